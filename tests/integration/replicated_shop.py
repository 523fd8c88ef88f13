"""A shop on servers that replicate: orders on all replicas of a shard, other rows on each alone."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from deployments.sandbox.processes import wait_until
from tests.integration.bench import Bench
from tests.replicated.cluster import ReplicatedCluster

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
LOSSES = ("shop.seen",)
RECOVERY = timedelta(seconds=60)


def open_shop(bench: Bench, *, rows: int = 300) -> None:
    """Give each shard orders of its own, and each replica rows that no other one has."""
    bench.everywhere(*SCHEMA)
    for number in first_replicas(bench):
        bench.add_orders(number, rows=rows)
    for number, node in enumerate(bench.nodes):
        node.query(f"INSERT INTO shop.seen SELECT number FROM numbers({10 + number})")
    catch_up(bench)


def first_replicas(bench: Bench) -> list[int]:
    shards = [member.shard for member in bench.members]
    return [number for number, shard in enumerate(shards) if shard not in shards[:number]]


def catch_up(bench: Bench) -> None:
    bench.everywhere("SYSTEM SYNC REPLICA shop.orders")


def contents(bench: Bench, table: str = "shop.orders") -> list[str]:
    """Count and hash every row of a table, on each node."""
    asked = bench.everywhere(f"SELECT count(), sum(cityHash64(*)) FROM {table}")
    return [answer for (answer,) in asked]


def counts(bench: Bench, table: str = "shop.orders") -> list[int]:
    return [int(content.split()[0]) for content in contents(bench, table)]


def of_cluster(bench: Bench) -> ReplicatedCluster:
    assert isinstance(bench.cluster, ReplicatedCluster)
    return bench.cluster


def wait_until_writable(bench: Bench) -> None:
    """Wait until every server has found ZooKeeper again."""
    readonly = "SELECT count() FROM system.replicas WHERE is_readonly OR is_session_expired"

    def all_found_it() -> bool:
        return all(node.query(readonly) == "0" for node in bench.nodes)

    wait_until(all_found_it, what="all servers found ZooKeeper again", within=RECOVERY)


@contextmanager
def lost_disk(bench: Bench, number: int) -> Iterator[str]:
    """Let a server come back empty. Yields the entry that stays in ZooKeeper: remove it.

    Where the test fails, that is done for it, since no other test could make the table.
    """
    member = bench.members[number]
    member.node.kill()
    shutil.rmtree(member.node.data_dir)
    member.node.data_dir.mkdir()
    member.node.start()
    bench.sidecar(number).restart()
    entry = f"/clickhouse/tables/{member.shard}/shop/orders/replicas/{member.replica}"
    try:
        yield entry
    except BaseException:
        of_cluster(bench).zookeeper.delete_tree(entry)
        raise


@contextmanager
def zookeeper_away(bench: Bench) -> Iterator[None]:
    zookeeper = of_cluster(bench).zookeeper
    zookeeper.stop()
    try:
        yield
    finally:
        zookeeper.start()
        wait_until_writable(bench)
