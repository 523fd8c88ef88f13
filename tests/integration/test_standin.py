"""Stand-ins of the benchmarks answer as a real node with its sidecar does, or not at all."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient

from flows.backup import backup_cluster
from flows.restore import restore_cluster
from flows.verify import verify_backup
from tasks.clickhouse.client import open_cluster
from tasks.domain.errors import ServerError
from tasks.domain.inventory import Inventory
from tests.benchmarks.standin.shards import Served, served
from tests.benchmarks.standin.sidecar import Durations
from tests.benchmarks.standins import contents_of, inventory_of, learned
from tests.integration.bench import QUICK, Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

# What no two servers answer alike: clocks, tokens, sizes of what a sidecar writes.
VOLATILE = {
    *("at", "created_at", "made", "modified", "now", "payload", "sign", "silent_seconds"),
    *("command", "engine_full", "free", "manifest", "size_bytes", "told", "uuid"),
}
AT_ONCE = Durations(create=0, upload=0, download=0, schema=0, data=0, companion=0)
Heard = dict[str, tuple[dict[str, str], list[dict[str, Any]]]]


def document_of(bench: Bench, shards: int) -> dict[str, Any]:
    """Describe stand-ins that hold what a real node holds."""
    node = bench.nodes[0]
    return {
        "shards": shards,
        "learned": learned(node),
        "contents": contents_of(node, "shop"),
        "durations": asdict(AT_ONCE),
    }


@asynccontextmanager
async def stood_in(document: dict[str, Any]) -> AsyncIterator[tuple[Inventory, tuple[Served, ...]]]:
    async with served(document) as shards:
        yield inventory_of(tuple(shard.port for shard in shards)), shards


async def all_flows(inventory: Inventory) -> None:
    usual: dict[str, Any] = {"installation": "demo", "inventory": inventory, "options": QUICK}
    await backup_cluster(backup_name="alike", **usual)
    await verify_backup(backup="alike", **usual)
    await restore_cluster(backup="alike", overwrite=True, **usual)


@contextmanager
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Keep, for each statement, the types of its columns and its last answer."""
    heard: Heard = {}
    original = AsyncClient.query

    async def query(self: AsyncClient, sql: str, **named: Any) -> Any:
        result = await original(self, sql, **named)
        types = {n: t.name for n, t in zip(result.column_names, result.column_types, strict=True)}
        statement = re.sub(r"lock_\d+|chops_scratch_\w+", "<ours>", " ".join(sql.split()))
        rows = [row for row in result.named_results() if of_interest(row)]
        if types or statement not in heard:  # an empty answer has no types
            heard[statement] = types, [masked(row) for row in rows]
        return result

    with monkeypatch.context() as patched:
        patched.setattr(AsyncClient, "query", query)
        yield heard


def of_interest(row: dict[str, Any]) -> bool:
    """Leave out what this bench alone holds: backups that tell its shards apart, older commands."""
    foreign = str(row.get("name", "")).startswith("seed")
    return not foreign and "CHOPS_OP" in row.get("command", "CHOPS_OP")


def masked(row: dict[str, Any]) -> dict[str, Any]:
    own = row.get("database") == "chops"
    hidden = VOLATILE | ({"definition", "rows"} if own else set())
    tokens = re.compile(r"lock_\d+|[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{12}\b")
    return {
        name: tokens.sub("<ours>", str(value)) for name, value in row.items() if name not in hidden
    }


async def test_a_flow_hears_the_same_of_a_stand_in_as_of_a_real_node(
    one_shard: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_shard.revive(0)  # what other tests told this sidecar is no answer to this one
    one_shard.fill_shop()
    document = document_of(one_shard, 1)
    with listening(monkeypatch) as real:
        await all_flows(one_shard.cluster.inventory)
    async with stood_in(document) as (inventory, _):
        with listening(monkeypatch) as stood:
            await all_flows(inventory)
    assert set(stood) == set(real)
    assert {s: types for s, (types, _) in stood.items()} == {
        s: types for s, (types, _) in real.items()
    }
    for statement, (_, rows) in real.items():
        assert sorted(map(str, stood[statement][1])) == sorted(map(str, rows)), statement


async def test_a_statement_that_nobody_taught_it_is_refused(one_shard: Bench) -> None:
    one_shard.fill_shop()
    async with stood_in(document_of(one_shard, 1)) as (inventory, _), open_cluster(inventory) as c:
        with pytest.raises(ServerError, match="was never taught SELECT 42"):
            await c.servers[0].rows("SELECT 42")


async def test_what_a_shard_is_asked_does_not_depend_on_the_number_of_shards(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop()
    document = document_of(one_shard, 2)
    few = await asked_of_the_last(document)
    many = await asked_of_the_last(document | {"shards": 6})
    assert many == few


async def asked_of_the_last(document: dict[str, Any]) -> Counter[str]:
    """Count statements at a shard that does not hold the lock; polls depend on the clock alone."""
    async with stood_in(document) as (inventory, shards):
        await all_flows(inventory)
        asked = shards[-1].shard.asked
    return Counter({s: n for s, n in asked.items() if "system.backup_actions ORDER" not in s})
