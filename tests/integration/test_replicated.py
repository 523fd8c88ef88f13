"""On servers that really replicate: one replica per shard stores, and every replica comes back."""

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench

pytestmark = [pytest.mark.replicated, pytest.mark.prefect]

ORDERS = """
CREATE TABLE shop.orders (id UInt64, day Date, text String)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/shop/orders', '{replica}')
PARTITION BY toYYYYMM(day) ORDER BY id
"""
SCHEMA = (
    "CREATE DATABASE shop",
    ORDERS,
    "CREATE TABLE shop.seen (id UInt64) ENGINE = MergeTree ORDER BY id",
    "CREATE TABLE shop.all_orders AS shop.orders ENGINE = Distributed(main, shop, orders, id)",
    "CREATE VIEW shop.days AS SELECT day, count() AS orders FROM shop.orders GROUP BY day",
)
FIRST_OF_SHARD = (0, 2)


def fill(bench: Bench, *, rows: int = 300, first: int = 0) -> None:
    """Give each shard orders of its own, and each replica of it local rows of its own."""
    for number in FIRST_OF_SHARD:
        bench.add_orders(number, rows=rows, first=first)
    for number, node in enumerate(bench.nodes):
        node.query(f"INSERT INTO shop.seen SELECT number FROM numbers({10 + number})")


async def test_a_backup_of_one_replica_per_shard_is_complete(replicated: Bench) -> None:
    replicated.everywhere(*SCHEMA)
    fill(replicated)
    made = await replicated.backup("one-of-each")
    assert made.status is Status.COMPLETED
    assert [replica.replica for replica in made.replicas] == [
        "chi-demo-main-0-0",
        "chi-demo-main-1-0",
    ]
    assert made.rows == 2 * 300 + 10 + 12
    assert made.uncovered == (
        "shop.seen on chi-demo-main-0-1: 11 rows",
        "shop.seen on chi-demo-main-1-1: 13 rows",
    )
