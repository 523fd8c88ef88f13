"""A backup that somebody made by hand becomes a recovery point, without claims about its rows."""

import pytest

from flows.adopt import adopt_backup
from flows.list import list_backups
from tasks.domain.errors import BackupNotFound, BackupUnusable, OperationIncomplete
from tasks.domain.outcomes import RestoreOutcome
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def adopt(bench: Bench, backup: str) -> None:
    outcome = await adopt_backup(**bench.form({}, backup=backup))
    assert outcome.succeeded


async def test_a_backup_by_hand_is_adopted_and_restored_without_a_verdict(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop()
    before = three_shards.contents("shop.orders")
    for number in range(3):
        three_shards.tell(number, "create_remote --tables=shop.* by-hand")
    await adopt(three_shards, "by-hand")
    backups = (await list_backups(**three_shards.form({}))).backups
    (listed,) = (backup for backup in backups if backup.name == "by-hand")
    assert (listed.is_point, listed.scope, listed.rows) == (True, "full", None)
    three_shards.drop("shop")
    with pytest.raises(OperationIncomplete) as refused:
        await three_shards.restore("by-hand")
    outcome = refused.value.outcome
    assert isinstance(outcome, RestoreOutcome)
    assert outcome.verdict == "could not tell"
    assert three_shards.contents("shop.orders") == before


async def test_what_is_not_whole_or_has_a_manifest_is_not_adopted(three_shards: Bench) -> None:
    three_shards.fill_shop()
    for number in range(2):
        three_shards.tell(number, "create_remote --tables=shop.* two-of-three")
    with pytest.raises(BackupUnusable, match="shard 2"):
        await adopt(three_shards, "two-of-three")
    await three_shards.backup("ours")
    with pytest.raises(BackupUnusable, match="has a manifest already"):
        await adopt(three_shards, "ours")
    with pytest.raises(BackupNotFound, match="nosuch"):
        await adopt(three_shards, "nosuch")


async def test_a_table_that_stands_no_more_keeps_a_backup_from_being_adopted(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop()
    one_shard.tell(0, "create_remote --tables=shop.* orphaned")
    one_shard.drop("shop")
    with pytest.raises(BackupUnusable, match=r"shop\.orders"):
        await adopt(one_shard, "orphaned")
