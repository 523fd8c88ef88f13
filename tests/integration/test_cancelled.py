"""A run cancelled in Prefect's UI takes back what it did, before its process is gone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from deployments.registration import Pools, register
from deployments.registry import (
    BACKUP_ON_DEMAND,
    RESTORE_ON_DEMAND,
    VERIFY_ON_DEMAND,
    Deployment,
)
from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.ended import demand_nothing_left, remote

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

POOL = "of-the-cancelled"


@pytest.fixture(scope="module")
def worker(prefect_server: PrefectServer) -> None:
    """Serve the runs of this module as people do: by a worker that ends them with a signal."""
    prefect_server.start_workers([POOL], {})


async def cancel(
    bench: Bench, deployment: Deployment, when: Callable[[], bool], **fields: Any
) -> None:
    """Order a run, cancel it as the UI does, and wait until it is Cancelled."""
    form = bench.form({"inventory": str(bench.cluster.inventory_path)}, **fields)
    async with get_client() as client:
        pools = Pools(ordinary=POOL, destructive=POOL)
        assert [told async for told in register(client, [deployment], pools)]
        found = await client.read_deployment_by_name(deployment.full_name)
        run = await client.create_flow_run_from_deployment(found.id, parameters=form)
        await bench.wait_for(when, what="the run is where it is to be cancelled")
        await client.set_flow_run_state(run.id, Cancelling())
        async with asyncio.timeout(60):
            # another process tells no events
            while not await _is_cancelled(client, run):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def _is_cancelled(client: PrefectClient, run: FlowRun) -> bool:
    state = (await client.read_flow_run(run.id)).state
    assert state is not None
    assert state.is_cancelled() or not state.is_final(), state
    return state.is_cancelled()


@pytest.mark.usefixtures("worker")
async def test_a_backup_cancelled_while_it_uploads_leaves_nothing(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    before = remote(three_shards)

    def half_uploaded() -> bool:
        whole = "given-up" in three_shards.listed(0, "remote")
        return whole and three_shards.is_at_work(1, "upload")

    fields = {"backup_name": "given-up", "operation_id": "op-given-up"}
    with three_shards.turned(1, pause=("upload.data",)):
        await cancel(three_shards, BACKUP_ON_DEMAND, half_uploaded, **fields)
        await demand_nothing_left(three_shards, "op-given-up")
    assert remote(three_shards) == before


@pytest.mark.usefixtures("worker")
async def test_a_restore_cancelled_while_it_downloads_changes_nothing(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("not-yet")
    three_shards.add_orders(0, first=5000)
    before = three_shards.state()
    fields = {"backup": "not-yet", "operation_id": "op-not-yet", "overwrite": True}
    with three_shards.turned(1, pause=("download.data",)):
        await cancel(
            three_shards,
            RESTORE_ON_DEMAND,
            lambda: three_shards.has_begun(1, "download", "not-yet"),
            **fields,
        )
        await demand_nothing_left(three_shards, "op-not-yet")
    assert three_shards.state() == before


@pytest.mark.usefixtures("worker")
async def test_a_restore_cancelled_while_it_attaches_is_ended_by_a_rerun_every_row_once(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    await three_shards.backup("halfway")
    three_shards.drop("shop")
    form = {"operation_id": "op-halfway"}
    with three_shards.turned(1, seconds={"restore.attach": 1.0}):
        await cancel(
            three_shards,
            RESTORE_ON_DEMAND,
            lambda: three_shards.holds_orders(1),
            backup="halfway",
            **form,
        )
        await demand_nothing_left(three_shards, "op-halfway", copies={"halfway"})
    done = await three_shards.restore("halfway", **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert three_shards.contents("shop.orders") == before
    await demand_nothing_left(three_shards, "op-halfway")


@pytest.mark.usefixtures("worker")
async def test_a_drill_cancelled_while_it_attaches_leaves_nothing(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("half-drilled")
    before = three_shards.state()
    fields = {"backup": "half-drilled", "operation_id": "op-half-drilled"}
    with three_shards.turned(1, seconds={"restore.attach": 1.0}):
        await cancel(
            three_shards,
            VERIFY_ON_DEMAND,
            lambda: three_shards.has_begun(1, "restore", "half-drilled"),
            **fields,
        )
        await demand_nothing_left(three_shards, "op-half-drilled")
    assert three_shards.state() == before
