"""The catalogue on a real cluster: what the bucket holds is known again by whoever looks."""

import shutil

import pytest

from flows.list import list_backups
from tasks.domain.catalogue_result import ListedBackup, ListOutcome
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


@pytest.fixture
def shop(three_shards: Bench) -> Bench:
    three_shards.fill_shop()
    return three_shards


async def listed(bench: Bench, **form: object) -> ListOutcome:
    found: ListOutcome = await list_backups(**bench.form(dict(form)))
    return found


def the(outcome: ListOutcome, name: str) -> ListedBackup:
    (found,) = (backup for backup in outcome.backups if backup.name == name)
    return found


async def test_everything_forgotten_but_the_bucket_is_known_again(shop: Bench) -> None:
    """Weak point: what is known of a backup was lost with the cluster's objects."""
    made = await shop.backup("kept")
    shop.everywhere("DROP DATABASE chops SYNC")
    backup = the(await listed(shop), "kept")
    assert (backup.state, backup.is_point, backup.counts) == ("complete", True, True)
    assert (backup.rows, backup.size_bytes) == (made.rows, made.size_bytes)
    assert backup.skew_seconds == pytest.approx(made.skew_seconds)
    assert all(shop.listed(number, "local") == set() for number in range(3))
    reads = [len(shop.commands(number, of="download")) for number in range(3)]
    assert the(await listed(shop), "kept") == backup
    assert [len(shop.commands(number, of="download")) for number in range(3)] == reads


async def test_a_table_is_found_in_the_backups_that_hold_it(shop: Bench) -> None:
    await shop.backup("with-orders")
    shop.everywhere("CREATE TABLE shop.events (id UInt64) ENGINE = MergeTree ORDER BY id")
    await shop.backup("with-events", tables=["shop.events"])
    outcome = await listed(shop, tables=["shop.orders"])
    assert [backup.name for backup in outcome.backups if backup.tables] == ["with-orders"]
    assert the(outcome, "with-orders").tables == {"shop.orders": 900}
    sheet = next(sheet for sheet in outcome.sheets if sheet.key == "tables")
    assert [line["rows"] for line in sheet.lines] == ["900"]


async def test_a_backup_by_hand_and_one_that_lost_a_shard_are_told_apart(shop: Bench) -> None:
    shop.tell(0, "create_remote --tables=shop.* by-hand")
    await shop.backup("halved")
    remote = shop.cluster.directory / "remote"
    (copy,) = (path for path in remote.rglob("halved") if "shard-1" in str(path))
    shutil.rmtree(copy)
    outcome = await listed(shop)
    assert the(outcome, "halved").state == "incomplete"
    assert "missing on shard 1" in the(outcome, "halved").why
    by_hand = the(outcome, "by-hand")
    assert (by_hand.state, by_hand.owner) == ("incomplete", "no manifest")


async def test_a_node_that_is_away_makes_its_backups_unknown(shop: Bench) -> None:
    await shop.backup("doubted")
    shop.nodes[2].stop()
    try:
        outcome = await listed(shop)
    finally:
        shop.nodes[2].start()
    backup = the(outcome, "doubted")
    assert (backup.state, backup.counts) == ("unknown", False)
    assert any("chi-demo-main-2-0" in note for note in outcome.notes)
