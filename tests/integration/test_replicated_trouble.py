"""Restores of servers that really replicate, while something is lost, away or being written."""

import asyncio
from dataclasses import dataclass, field

import pytest

from deployments.sandbox.client import QueryFailed
from tasks.domain.errors import PreflightFailed
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.replicated_shop import (
    LOSSES,
    catch_up,
    contents,
    lost_disk,
    of_cluster,
    open_shop,
    zookeeper_away,
)

pytestmark = [pytest.mark.replicated, pytest.mark.prefect]

FRONT = """
CREATE TABLE front.orders (id UInt64, day Date, text String)
ENGINE = Distributed(main, shop, orders, id)
"""
FIRST_WRITTEN = 10_000_000
ROWS_AT_ONCE = 4


async def test_a_lost_replica_stops_a_restore_until_its_entry_is_removed(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    before = contents(replicas)
    await replicas.backup("with-all")
    with lost_disk(replicas, 1) as entry:
        with replicas.refusal(
            PreflightFailed, "chi-demo-main-0-1", "SYSTEM DROP REPLICA", after_asking=True
        ):
            await replicas.restore("with-all", overwrite=True, accept_loss=LOSSES)
        of_cluster(replicas).zookeeper.delete_tree(entry)
        done = await replicas.restore("with-all", overwrite=True, accept_loss=LOSSES)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before


async def test_nothing_is_dropped_while_zookeeper_is_away(replicas: Bench) -> None:
    open_shop(replicas)
    before = contents(replicas)
    await replicas.backup("unreachable")
    with (
        zookeeper_away(replicas),
        replicas.refusal(PreflightFailed, "coordination service", after_asking=True),
    ):
        await replicas.restore("unreachable", overwrite=True, accept_loss=LOSSES)
    assert contents(replicas) == before


@dataclass
class Writer:
    """Inserts through a Distributed table as long as it is let. Remembers what was acknowledged."""

    bench: Bench
    acknowledged: set[int] = field(default_factory=set)
    ended: bool = False

    async def write(self) -> None:
        first = FIRST_WRITTEN
        while not self.ended:
            written = range(first, first + ROWS_AT_ONCE)
            if await asyncio.to_thread(self._insert, written):
                self.acknowledged.update(written)
            first += ROWS_AT_ONCE
            await asyncio.sleep(0.2)

    def _insert(self, ids: range) -> bool:
        """Wait for all shards; where one refuses, the others may have taken their rows."""
        rows = f"SELECT {ids.start} + number, toDate('2026-05-01'), 'new' FROM numbers({len(ids)})"
        try:
            self.bench.nodes[1].query(
                f"INSERT INTO front.orders {rows}", {"insert_distributed_sync": "1"}
            )
        except QueryFailed:
            return False
        return True


async def test_writers_lose_nothing_and_change_nothing_of_a_backup_that_comes_back(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    of_backup = f"(SELECT * FROM shop.orders WHERE id < {FIRST_WRITTEN})"
    before = contents(replicas, of_backup)
    await replicas.backup("written-to", tables=["shop.*"])
    replicas.everywhere("CREATE DATABASE front", FRONT)
    replicas.drop("shop")

    writer = Writer(replicas)
    writing = asyncio.create_task(writer.write())
    slow = {"restore.attach": 0.5}
    with replicas.turned(0, seconds=slow), replicas.turned(2, seconds=slow):
        done = await replicas.restore("written-to")
    written_meanwhile = set(writer.acknowledged)
    writer.ended = True
    await writing
    catch_up(replicas)

    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas, of_backup) == before
    stored = replicas.nodes[0].query(f"SELECT id FROM shop.all_orders WHERE id >= {FIRST_WRITTEN}")
    ids = [int(row) for row in stored.split()]
    assert written_meanwhile != set()
    assert writer.acknowledged <= set(ids)
    assert len(ids) == len(set(ids))
