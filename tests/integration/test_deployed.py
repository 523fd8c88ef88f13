"""Backup and restore as registered deployments, run by a worker, end as they do by call."""

import asyncio
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun

from deployments.registration import Pools, register
from deployments.registry import BACKUP_ON_DEMAND, RESTORE_ON_DEMAND, Deployment
from deployments.sandbox.prefect_server import PrefectServer
from tests.integration.bench import Bench
from tests.integration.runs import artifacts_of

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

POOL = "of-the-deployed"


async def run(client: PrefectClient, deployment: Deployment, **parameters: Any) -> FlowRun:
    """Order a run, and wait until a worker has brought it to its end."""
    found = await client.read_deployment_by_name(deployment.full_name)
    ordered = await client.create_flow_run_from_deployment(found.id, parameters=parameters)
    async with asyncio.timeout(180):
        while True:
            seen = await client.read_flow_run(ordered.id)
            if seen.state is not None and seen.state.is_final():
                return seen
            await asyncio.sleep(0.5)


async def test_the_registered_deployments_back_up_and_restore(
    three_shards: Bench, prefect_server: PrefectServer
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    form = three_shards.form({"inventory": str(three_shards.cluster.inventory_path)})
    both = (BACKUP_ON_DEMAND, RESTORE_ON_DEMAND)
    pools = Pools(ordinary=POOL, destructive=POOL)
    async with get_client() as client:
        assert [told async for told in register(client, both, pools)]
        prefect_server.start_workers([POOL], {})
        made = await run(client, BACKUP_ON_DEMAND, backup_name="deployed", **form)
        three_shards.drop("shop")
        done = await run(client, RESTORE_ON_DEMAND, backup="deployed", **form)
    for ended in (made, done):
        assert ended.state is not None
        assert ended.state.is_completed(), ended.state.message
        assert "outcome" in await artifacts_of(ended.id)
    assert three_shards.contents("shop.orders") == before
    assert done.name == "restore-demo"
