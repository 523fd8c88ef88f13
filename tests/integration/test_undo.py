"""Undoing an overwriting restore from its safety copies: what was there before, bit for bit."""

import shutil
from typing import Any

import pytest

from tasks.domain.errors import BackupNotFound, OperationIncomplete
from tasks.domain.outcomes import RestoreOutcome, Status
from tests.integration.bench import Bench

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
