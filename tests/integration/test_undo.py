"""Undoing an overwriting restore from its safety copies: what was there before, bit for bit."""

import shutil
from typing import Any

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.errors import BackupNotFound, OperationIncomplete
from tasks.domain.outcomes import RestoreOutcome, Status
from tasks.domain.phases import RestorePhase
from tests.integration.bench import ORDERS, Bench
from tests.integration.killing import LEASE, another_process
from tests.moments import Moment, Point

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

HASHES = (
    "SELECT table, partition_id, rows, hash_of_all_files FROM system.parts "
    "WHERE active AND database = 'shop' ORDER BY ALL"
)
DEFINITIONS = (
    "SELECT name, create_table_query FROM system.tables WHERE database = 'shop' ORDER BY 1"
)


def everything(bench: Bench) -> list[list[str]]:
    return bench.everywhere(HASHES, DEFINITIONS)


async def replaced(bench: Bench, name: str, **form: Any) -> tuple[list[list[str]], RestoreOutcome]:
    """Back up, change rows and definitions on every replica, and restore over it."""
    bench.fill_shop(rows=30)
    bench.everywhere("CREATE TABLE shop.gone (a UInt8) ENGINE = MergeTree ORDER BY a")
    await bench.backup(name)
    bench.everywhere("DROP TABLE shop.gone SYNC", "ALTER TABLE shop.orders ADD COLUMN note String")
    for number in range(len(bench.nodes)):
        bench.nodes[number].query(
            f"INSERT INTO shop.orders SELECT {number} * 10 + number, today(), 'x', 'y' "
            "FROM numbers(7)"
        )
    before = everything(bench)
    done = await bench.restore(name, overwrite=True, accept_loss=["shop.orders"], **form)
    assert everything(bench) != before
    return before, done


async def test_an_undo_brings_back_every_replica_as_it_was_though_the_bucket_is_away(
    two_by_two: Bench,
) -> None:
    before, done = await replaced(two_by_two, "mistake")
    kept = f"pre-restore-{done.operation_id}"
    assert any(f"backup='{kept}'" in step for step in done.next_steps)
    for number in range(4):
        two_by_two.nodes[number].query("INSERT INTO shop.gone VALUES (1)")
    remote = two_by_two.cluster.directory / "remote"
    away = remote.with_name("remote-away")
    remote.rename(away)
    try:
        undone = await two_by_two.restore(kept, overwrite=True)
    finally:
        shutil.rmtree(remote, ignore_errors=True)
        away.rename(remote)
    assert (undone.status, undone.verdict) == (Status.COMPLETED, "passed")
    assert everything(two_by_two) == before
    # what the restore had made, with the row of somebody else in it, comes back by undoing the undo
    redone = await two_by_two.restore(f"pre-restore-{undone.operation_id}", overwrite=True)
    assert redone.status is Status.COMPLETED
    assert two_by_two.everywhere("SELECT count() FROM shop.gone") == [["1"]] * 4


async def test_a_restore_that_failed_after_its_drop_is_undone_the_same_way(
    one_shard: Bench,
) -> None:
    with (
        one_shard.turned(0, fail={"restore.schema": "injected trouble"}),
        pytest.raises(OperationIncomplete) as caught,
    ):
        await replaced(one_shard, "broken-off", operation_id="op-broken-off")
    outcome = caught.value.outcome
    assert any("backup='pre-restore-op-broken-off'" in step for step in outcome.next_steps)
    undone = await one_shard.restore("pre-restore-op-broken-off", overwrite=True)
    assert undone.status is Status.COMPLETED
    assert "note" in one_shard.nodes[0].query("SHOW CREATE TABLE shop.orders")
    assert one_shard.everywhere("SELECT count() FROM shop.orders") == [["37"]]


async def test_a_table_that_somebody_made_anew_since_the_restore_is_left_alone(
    one_shard: Bench,
) -> None:
    _, done = await replaced(one_shard, "taken-over")
    one_shard.everywhere(
        "DROP TABLE shop.gone SYNC",
        "CREATE TABLE shop.gone (b String) ENGINE = MergeTree ORDER BY b",
    )
    undone = await one_shard.restore(f"pre-restore-{done.operation_id}", overwrite=True)
    assert undone.status is Status.COMPLETED
    assert any("shop.gone" in note for note in undone.notes)
    assert "`b` String" in one_shard.nodes[0].query("SHOW CREATE TABLE shop.gone FORMAT TSVRaw")


async def test_a_restore_that_was_undone_is_not_called_complete_when_it_runs_again(
    one_shard: Bench,
) -> None:
    before, done = await replaced(one_shard, "undone-since", operation_id="op-undone-since")
    await one_shard.restore(f"pre-restore-{done.operation_id}", overwrite=True)
    with pytest.raises(OperationIncomplete, match="not the table that this restore made"):
        await one_shard.restore(
            "undone-since",
            overwrite=True,
            accept_loss=["shop.orders"],
            operation_id="op-undone-since",
        )
    assert everything(one_shard) == before


async def test_rows_of_a_table_that_was_made_anew_after_an_interrupted_drop_are_kept(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.fill_shop(rows=30, parts=1)
    await one_shard.backup("dropped")
    form = {"backup": "dropped", "operation_id": "op-dropped", "overwrite": True}
    moment = Moment(
        phase=RestorePhase.DROP, replica=one_shard.members[0].replica, point=Point.RUNNING
    )
    with another_process(prefect_server, one_shard, "restore", moment, **form) as flow:
        assert flow.is_held()
        await one_shard.wait_for(
            lambda: one_shard.tables("shop") == [""], what="the table is dropped"
        )
    one_shard.everywhere(ORDERS)
    one_shard.add_orders(0, rows=5, parts=1, first=5000)
    theirs = one_shard.contents("shop.orders")
    with pytest.raises(OperationIncomplete, match="after their safety copy was taken"):
        await one_shard.restore("dropped", operation_id="op-dropped", overwrite=True, options=LEASE)
    assert one_shard.contents("shop.orders") == theirs


async def test_a_local_backup_of_a_stranger_named_like_a_safety_copy_is_not_replaced(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    await one_shard.backup("crossed")
    one_shard.tell(0, "create --tables=shop.* pre-restore-op-crossed")
    before = everything(one_shard)
    with pytest.raises(OperationIncomplete, match="this restore did not make"):
        await one_shard.restore("crossed", overwrite=True, operation_id="op-crossed")
    assert everything(one_shard) == before
    assert "pre-restore-op-crossed" in one_shard.listed(0, "local")


async def test_a_safety_copy_goes_when_its_time_is_over_and_no_copy_of_a_stranger_does(
    one_shard: Bench,
) -> None:
    _, short = await replaced(one_shard, "short", options={"keep_safety_copy_hours": 0})
    long = await one_shard.restore("short", overwrite=True)
    one_shard.tell(0, "create --tables=shop.* pre-restore-by-a-stranger")
    await one_shard.backup("later")
    local = one_shard.listed(0, "local")
    assert f"pre-restore-{short.operation_id}" not in local
    assert {f"pre-restore-{long.operation_id}", "pre-restore-by-a-stranger"} <= local
    with one_shard.refusal(BackupNotFound, "expired"):
        await one_shard.restore(f"pre-restore-{short.operation_id}", overwrite=True)
