"""Parts of a cluster: definitions alone, chosen tables, chosen partitions."""

import pytest

from tasks.domain.errors import TargetNotEmpty
from tasks.domain.outcomes import Status
from tests.integration.bench import SHOP, Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_a_schema_only_backup_brings_definitions_without_rows(one_shard: Bench) -> None:
    one_shard.fill_shop()
    made = await one_shard.backup("definitions", schema_only=True)
    one_shard.drop("shop")
    done = await one_shard.restore("definitions")
    assert (made.scope, made.rows, done.status) == ("schema", 0, Status.COMPLETED)
    assert one_shard.everywhere("SELECT count() FROM shop.orders") == [["0"]]


async def test_a_schema_only_restore_of_a_full_backup_brings_no_rows(one_shard: Bench) -> None:
    one_shard.fill_shop()
    await one_shard.backup("full")
    one_shard.drop("shop")
    done = await one_shard.restore("full", schema_only=True)
    assert done.status is Status.COMPLETED
    assert one_shard.everywhere("SELECT count() FROM shop.orders") == [["0"]]


async def test_a_backup_of_chosen_tables_leaves_the_others_alone(one_shard: Bench) -> None:
    one_shard.fill_shop()
    one_shard.everywhere(
        "CREATE TABLE shop.items (id UInt64) ENGINE = MergeTree ORDER BY id",
        "CREATE TABLE shop.orders_old (id UInt64) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO shop.items VALUES (1)",
        "INSERT INTO shop.orders_old VALUES (2)",
    )
    before = one_shard.contents("shop.orders", "shop.orders_old")
    made = await one_shard.backup("chosen", tables=["shop.orders*"])
    one_shard.everywhere("DROP TABLE shop.orders SYNC", "DROP TABLE shop.orders_old SYNC")
    one_shard.everywhere("INSERT INTO shop.items VALUES (3)")
    done = await one_shard.restore("chosen")
    assert (made.scope, made.replicas[0].tables, done.status) == ("partial", 2, Status.COMPLETED)
    assert one_shard.contents("shop.orders", "shop.orders_old") == before
    assert one_shard.everywhere("SELECT count() FROM shop.items") == [["2"]]


async def test_a_backup_of_chosen_partitions_holds_no_other_row(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=300, parts=3)
    await one_shard.backup("february", partitions=["shop.orders:202602"])
    one_shard.drop("shop")
    done = await one_shard.restore("february")
    assert done.status is Status.COMPLETED
    months = "SELECT toYYYYMM(day) AS month, count() FROM shop.orders GROUP BY month"
    assert one_shard.everywhere(months) == [["202602\t100"]]


async def test_a_backup_of_partitions_never_replaces_the_whole_table(one_shard: Bench) -> None:
    one_shard.fill_shop()
    await one_shard.backup("some", partitions=["202602"])
    before = one_shard.contents("shop.orders")
    with one_shard.refusal(TargetNotEmpty, "shop.orders", "partitions", after_asking=True):
        await one_shard.restore("some", overwrite=True)
    assert one_shard.contents("shop.orders") == before


async def test_the_download_limit_reaches_the_sidecar(one_shard: Bench) -> None:
    one_shard.everywhere(*SHOP)
    await one_shard.backup("limited")
    one_shard.drop("shop")
    await one_shard.restore("limited", options={"max_download_bytes_per_second": 7_000_000})
    (sent,) = (c for c in one_shard.commands(0, of="download") if c.endswith(" limited"))
    assert "--env=DOWNLOAD_MAX_BYTES_PER_SECOND=7000000 " in sent
