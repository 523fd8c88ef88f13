"""One operation at a time: the second one is told who holds the cluster, and what clears it."""

import asyncio
import subprocess
import sys

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tasks.clickhouse import lock
from tasks.clickhouse.client import open_cluster
from tasks.domain.errors import ClusterBusy
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.killing import CHECKOUT, LEASE, another_process

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


def unlock(bench: Bench, operation_id: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--installation", "demo", "--inventory", str(bench.cluster.inventory_path)]
    return subprocess.run(
        (sys.executable, "-m", "flows", "unlock", *arguments, "--operation-id", operation_id),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


async def silent_for_a_lease(bench: Bench) -> None:
    async with open_cluster(bench.cluster.inventory) as cluster, asyncio.timeout(60):
        while True:
            holder = await lock.read_holder(cluster.lock_server)
            if holder is not None and not holder.is_alive:
                return
            await asyncio.sleep(0.2)


async def test_a_second_operation_is_refused_and_told_who_is_at_work(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("earlier")
    with three_shards.turned(1, pause=("upload.start",)):
        running = asyncio.create_task(three_shards.backup("first", operation_id="op-first"))
        await three_shards.wait_for(
            lambda: (
                [three_shards.is_at_work(n, "upload") for n in range(3)] == [False, True, False]
            ),
            what="the first one waits for shard 1 alone",
        )
        with three_shards.refusal(ClusterBusy, "backup operation op-first"):
            await three_shards.backup("second")
        with three_shards.refusal(ClusterBusy, "backup operation op-first"):
            await three_shards.restore("earlier", overwrite=True)
        with three_shards.refusal(ClusterBusy, "op-first"):
            await three_shards.backup("first", operation_id="op-first", options=LEASE)
        refused = await asyncio.to_thread(unlock, three_shards, "op-first")
        assert refused.returncode == 1
        assert "alive" in refused.stderr
    assert (await running).status is Status.COMPLETED
    assert (await three_shards.backup("second")).status is Status.COMPLETED


async def test_of_two_operations_begun_at_once_one_runs(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    ended = await asyncio.gather(
        three_shards.backup("left"), three_shards.backup("right"), return_exceptions=True
    )
    refused = [one for one in ended if isinstance(one, BaseException)]
    done = [one for one in ended if not isinstance(one, BaseException)]
    assert [one.status for one in done] == [Status.COMPLETED]
    assert [type(one) for one in refused] == [ClusterBusy]


async def test_what_a_dead_process_holds_is_cleared_by_hand_once_it_is_surely_dead(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.fill_shop(rows=30)
    form = {"backup_name": "orphan", "operation_id": "op-orphan"}
    with one_shard.turned(0, pause=("upload.start",)):
        with another_process(prefect_server, one_shard, "backup", **form):
            await one_shard.wait_for(
                lambda: one_shard.is_at_work(0, "upload"), what="the other process uploads"
            )
        early = await asyncio.to_thread(unlock, one_shard, "op-orphan")
        assert early.returncode == 1
        assert "alive" in early.stderr
    one_shard.wait_for_end(0, "upload")
    await silent_for_a_lease(one_shard)
    with one_shard.refusal(
        ClusterBusy, "op-orphan", "python -m flows unlock --operation-id op-orphan"
    ):
        await one_shard.backup("next")
    cleared = await asyncio.to_thread(unlock, one_shard, "op-orphan")
    assert "released the lock on chi-demo-main-0-0" in cleared.stdout
    again = await asyncio.to_thread(unlock, one_shard, "op-orphan")
    assert "holds nothing" in again.stdout
    assert (await one_shard.backup("next")).status is Status.COMPLETED


async def test_a_holder_that_died_before_its_first_renewal_can_be_cleared_too(
    one_shard: Bench,
) -> None:
    holder = lock.Holder(
        generation=1,
        operation_id="op-stillborn",
        operation="backup",
        instance="0",
        lease_seconds=1,
        released=False,
        renewals=0,
        silent_seconds=0,
    )
    async with open_cluster(one_shard.cluster.inventory) as cluster:
        await cluster.lock_server.execute("CREATE DATABASE IF NOT EXISTS chops")
        await lock._create(cluster.lock_server, holder)
        await one_shard.wait_for(
            lambda: unlock(one_shard, "op-stillborn").returncode == 0, what="it counts as dead"
        )
        await lock.demand_unheld(cluster.lock_server, operation_id="op-next")
