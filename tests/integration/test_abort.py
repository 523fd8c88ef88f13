"""An operation is aborted, its process alive or dead: nothing of it goes on or looks whole."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from flows.abort import abort_operation
from tasks.abort import abandon
from tasks.clickhouse.client import open_cluster
from tasks.domain.errors import LockLost, OperationIncomplete
from tasks.domain.outcomes import AbortOutcome, Status
from tests.integration.bench import Bench
from tests.integration.ended import demand_nothing_left, remote
from tests.integration.killing import LEASE, another_process

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def abort(bench: Bench, operation_id: str, **options: int) -> AbortOutcome:
    patience = LEASE | {"action_timeout_seconds": 20} | options
    form = bench.form({"options": patience}, operation_id=operation_id)
    done: AbortOutcome = await abort_operation(**form)
    return done


async def test_a_backup_whose_process_was_killed_is_aborted_without_a_trace(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.fill_shop(rows=30)
    before = remote(one_shard)
    with one_shard.turned(0, pause=("upload.data",)):
        form = {"backup_name": "orphan", "operation_id": "op-orphan"}
        with another_process(prefect_server, one_shard, "backup", **form):
            await one_shard.wait_for(
                lambda: one_shard.is_at_work(0, "upload"), what="the other process uploads"
            )
        done = await abort(one_shard, "op-orphan")
        assert (done.status, done.aborted_operation) == (Status.COMPLETED, "backup")
        assert [replica.phase for replica in done.replicas] == ["undone"]
        await demand_nothing_left(one_shard, "op-orphan")
    assert remote(one_shard) == before
    again = await abort(one_shard, "op-orphan")
    assert again.status is Status.COMPLETED
    made = await one_shard.backup("orphan", operation_id="op-orphan")
    assert made.status is Status.COMPLETED


async def test_a_flow_that_is_alive_ends_when_its_operation_is_aborted(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    before = remote(three_shards)
    with three_shards.turned(1, pause=("upload.data",)):
        running = asyncio.create_task(
            three_shards.backup("alive", operation_id="op-alive", options=LEASE)
        )
        await three_shards.wait_for(
            lambda: three_shards.is_at_work(1, "upload"), what="shard 1 uploads"
        )
        done = await abort(three_shards, "op-alive")
        with pytest.raises(LockLost, match="abort operation abort:op-alive took over"):
            await running
    assert {replica.phase for replica in done.replicas} == {"undone"}
    await demand_nothing_left(three_shards, "op-alive")
    assert remote(three_shards) == before


async def leave_uncommitted(bench: Bench, number: int, name: str) -> None:
    """Let one replica fail to write its copy of the manifest, when all data is in the bucket."""
    with bench.turned(number, pause=("upload.data",)):
        running = asyncio.create_task(bench.backup(name, operation_id=f"op-{name}"))
        await bench.wait_for(lambda: bench.is_at_work(number, "upload"), what="it uploads")
        with (
            bench.turned(number, fail={"create.freeze": "injected trouble"}),
            pytest.raises(OperationIncomplete),
        ):
            await running
    assert f"{name}.manifest" not in bench.listed(number, "remote")


async def test_a_backup_that_one_manifest_committed_is_finished_by_its_abort(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    before = three_shards.contents("shop.orders")
    await leave_uncommitted(three_shards, 1, "sealed")
    done = await abort(three_shards, "op-sealed")
    assert {replica.phase for replica in done.replicas} == {"rolled forward"}
    await demand_nothing_left(three_shards, "op-sealed")
    assert all({"sealed", "sealed.manifest"} <= listed for listed in remote(three_shards))
    three_shards.drop("shop")
    await three_shards.restore("sealed")
    assert three_shards.contents("shop.orders") == before


@dataclass
class ShortLease:
    """Is lost after so many checks: an abort that is interrupted there."""

    checks: int
    remaining_seconds: float = 10.0

    async def check(self) -> None:
        self.checks -= 1
        if self.checks < 0:
            message = "interrupted"
            raise LockLost(message)

    def fence(self) -> AbstractContextManager[int]:
        return nullcontext(10)


async def test_an_abort_that_is_interrupted_at_every_step_ends_all_the_same(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    before = remote(one_shard)
    await leave_uncommitted(one_shard, 0, "piecemeal")
    interruptions = 0
    async with open_cluster(one_shard.cluster.inventory) as cluster:
        while True:
            lease = ShortLease(checks=interruptions)
            abandoned = await abandon(cluster, "op-piecemeal", lease=lease, width=1)
            if abandoned.over:
                break
            interruptions += 1
            assert interruptions < 20, abandoned.open_on
    assert interruptions >= 3
    await demand_nothing_left(one_shard, "op-piecemeal")
    assert remote(one_shard) == before


async def test_an_old_sidecar_is_waited_for_since_its_kill_stops_nothing(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=30)
    before = remote(one_shard)
    old = {"kills_in_name_only": True}
    with one_shard.turned(0, pause=("upload.data",), **old):
        running = asyncio.create_task(one_shard.backup("old", operation_id="op-old", options=LEASE))
        await one_shard.wait_for(lambda: one_shard.is_at_work(0, "upload"), what="it uploads")
        with pytest.raises(OperationIncomplete, match="still at work on `upload old`"):
            await abort(one_shard, "op-old", action_timeout_seconds=1)
        with pytest.raises(LockLost):
            await running
        assert one_shard.is_at_work(0, "upload")
        assert one_shard.listed(0, "local") == {"old"}
    with one_shard.turned(0, **old):
        assert (await abort(one_shard, "op-old")).status is Status.COMPLETED
    await demand_nothing_left(one_shard, "op-old")
    assert remote(one_shard) == before


async def test_an_operation_stays_open_where_nobody_answers_until_it_is_aborted_again(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    before = remote(three_shards)
    trouble = {"upload.metadata": "injected trouble"}
    with three_shards.turned(1, fail=trouble), pytest.raises(OperationIncomplete):
        await three_shards.backup("apart", operation_id="op-apart")
    three_shards.sidecar(1).stop()
    three_shards.nodes[2].stop()
    with pytest.raises(OperationIncomplete) as caught:
        await abort(three_shards, "op-apart")
    phases = [replica.phase for replica in caught.value.outcome.replicas]
    assert phases == ["undone", "left open", "left open"]
    assert any("op-apart" in told for told in caught.value.outcome.next_steps)
    three_shards.cluster.start_what_is_down()
    assert "apart" in three_shards.listed(2, "remote")
    assert (await abort(three_shards, "op-apart")).status is Status.COMPLETED
    assert remote(three_shards) == before


async def test_an_operation_that_nobody_knows_is_not_reported_as_aborted(one_shard: Bench) -> None:
    with pytest.raises(OperationIncomplete) as caught:
        await abort(one_shard, "op-mistyped")
    assert "is the id right" in caught.value.outcome.notes[0]
