"""A drill that is interrupted leaves no scratch table and no local copy, whatever interrupts it."""

import asyncio

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tests.integration.bench import Bench
from tests.integration.ended import demand_nothing_left
from tests.integration.killing import LEASE, another_process
from tests.integration.kinds import ROWS, SCHEMA, statements

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

IN_SCRATCH = "FROM system.tables WHERE database LIKE 'chops\\\\_scratch%'"


def scratch_engines(bench: Bench, number: int) -> set[str]:
    return set(bench.nodes[number].query(f"SELECT DISTINCT engine {IN_SCRATCH}").split())


async def test_a_drill_whose_process_dies_is_cleared_away_by_the_next_operation(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.everywhere(*statements(SCHEMA), *statements(ROWS))
    await one_shard.backup("orphaned")
    before = one_shard.state()
    form = {"backup": "orphaned", "operation_id": "op-orphaned"}
    with (
        one_shard.turned(0, seconds={"restore.attach": 0.5}),
        another_process(prefect_server, one_shard, "verify", **form),
    ):
        await one_shard.wait_for(
            lambda: one_shard.is_at_work(0, "restore") and bool(scratch_engines(one_shard, 0)),
            what="rows come back into scratch tables",
        )
        engines = scratch_engines(one_shard, 0)
    assert {engine for engine in engines if not engine.endswith("MergeTree")} == set()
    assert one_shard.state() != before
    done = await one_shard.verify("orphaned", level="listing", options=LEASE)
    assert done.verdict == "passed"
    assert one_shard.state() == before
    await demand_nothing_left(one_shard, "op-orphaned")


async def test_a_drill_whose_sidecar_dies_is_done_again_and_leaves_nothing(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=90, parts=6)
    await one_shard.backup("revived")
    before = one_shard.state()
    with one_shard.turned(0, seconds={"restore.attach": 1.0}):
        running = asyncio.create_task(one_shard.verify("revived", operation_id="op-revived"))
        await one_shard.wait_for(
            lambda: one_shard.is_at_work(0, "restore") and bool(scratch_engines(one_shard, 0)),
            what="rows come back into scratch tables",
        )
        await asyncio.to_thread(one_shard.revive, 0)
    done = await running
    assert done.verdict == "passed", done.findings
    assert one_shard.state() == before
    await demand_nothing_left(one_shard, "op-revived")
