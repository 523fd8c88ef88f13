"""Flows called in a test, and flows run by a worker, end as they would anywhere."""

import time
from datetime import timedelta
from typing import NoReturn

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType

from deployments.sandbox.prefect_server import PrefectServer
from tasks.fan_out import PLAIN, step

pytestmark = pytest.mark.prefect

QUICK = timedelta(seconds=15)


@task
async def double(number: int) -> int:
    return 2 * number


@flow
async def double_twice(number: int) -> int:
    return await double(await double(number))


class Unread(list[int]):
    """Something large: whoever walks through it wastes the time of all others."""

    def __iter__(self) -> NoReturn:
        pytest.fail("somebody walked through it")


@step(task_run_name="hold-{name}", **PLAIN)
async def hold(name: str, large: list[int]) -> int:
    return len(large)


@flow
async def hold_in_a_flow() -> int:
    return await hold("it", large=Unread([1, 2, 3]))


async def test_a_step_is_handed_its_parameters_unread(prefect_server: PrefectServer) -> None:
    assert await hold_in_a_flow() == 3


async def test_a_flow_called_in_a_test_is_recorded_by_the_server(
    prefect_server: PrefectServer,
) -> None:
    begun = time.monotonic()
    state = await double_twice(3, return_state=True)
    assert await state.aresult() == 12
    assert time.monotonic() - begun < QUICK.total_seconds()
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    async with get_client() as client:
        assert str(client.api_url).startswith(prefect_server.api_url)
        recorded = await client.read_flow_run(run_id)
    assert recorded.state_type is StateType.COMPLETED


def test_a_worker_serves_its_pool_and_stops_when_it_is_told(
    prefect_server: PrefectServer,
) -> None:
    prefect_server.start_workers(["of-this-test"], {})
    worker = prefect_server.workers[-1]
    assert worker.alive
    begun = time.monotonic()
    worker.stop()
    assert not worker.alive
    assert time.monotonic() - begun < QUICK.total_seconds()
    assert "stopped" in worker.log_tail()
