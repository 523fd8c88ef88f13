"""The journal on a real server: what is read does not grow with what was done before."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deployments.sandbox.cluster import Cluster as Sandbox
from tasks.clickhouse.client import Server, open_cluster
from tasks.clickhouse.journal import (
    JournalWriter,
    prepare_journal,
    read_journal,
    read_own_journal,
    read_payload,
)
from tasks.domain.journal import Event, others_under_way

pytestmark = pytest.mark.sandbox

BIG = "x" * 100_000


@pytest_asyncio.fixture(loop_scope="session")
async def server(cluster: Sandbox) -> AsyncIterator[Server]:
    async with open_cluster(cluster.inventory) as opened:
        found = opened.lock_server
        await prepare_journal(found)
        yield found
        await found.execute("DROP TABLE chops.operations SYNC")


def writer(server: Server, operation_id: str) -> JournalWriter:
    return JournalWriter(server, operation_id=operation_id, operation="backup")


async def done_before(server: Server, *, operations: int) -> None:
    for number in range(operations):
        earlier = writer(server, f"earlier-{number}")
        await earlier.append(Event.STARTED, payload='{"name": "b"}')
        await earlier.append(Event.INTENT, "create", BIG)
        await earlier.append(Event.FINISHED)


async def test_an_operation_reads_its_own_rows_however_many_there_are_of_others(
    server: Server,
) -> None:
    await done_before(server, operations=5)
    own = writer(server, "op-1")
    await own.append(Event.STARTED, payload='{"name": "b"}')
    await own.append(Event.FINGERPRINT, "b", BIG)
    found = await read_own_journal(server, operation_id="op-1")
    assert [entry.event for entry in found.entries] == [Event.STARTED, Event.FINGERPRINT]
    assert sum(len(entry.payload) for entry in found.entries) < 100
    read = {"operation_id": "op-1", "subject": "b"}
    assert await read_payload(server, event=Event.FINGERPRINT, **read) == BIG
    assert await read_payload(server, event=Event.MANIFEST, **read) == ""


async def test_of_others_is_read_what_tells_whether_they_are_over(server: Server) -> None:
    await done_before(server, operations=3)
    await writer(server, "op-open").append(Event.STARTED, payload='{"name": "b"}')
    found = await read_journal(server, operation_id="op-1")
    assert {entry.event for entry in found.entries} == {Event.STARTED, Event.FINISHED}
    (other,) = others_under_way([found], operation_id="op-1")
    assert (other.operation_id, other.document()) == ("op-open", {"name": "b"})


async def test_what_ended_long_ago_is_not_read_and_what_never_ended_is(server: Server) -> None:
    for event in ("started", "finished"):
        await aged(server, "op-old", event)
    await aged(server, "op-open", "started")
    found = await read_journal(server, operation_id="op-1")
    assert [entry.operation_id for entry in found.entries] == ["op-open"]


async def test_a_manifest_is_read_with_the_rest_only_when_asked_for(server: Server) -> None:
    await writer(server, "op-1").append(Event.MANIFEST, "b", BIG)
    assert [e.payload for e in (await read_journal(server, operation_id="op-1")).entries] == [""]
    bulky = await read_journal(server, operation_id="op-1", bulky=True)
    assert [entry.payload for entry in bulky.entries] == [BIG]


async def test_a_server_without_a_journal_has_an_empty_one(server: Server) -> None:
    await server.execute("DROP TABLE chops.operations SYNC")
    assert (await read_journal(server, operation_id="op-1")).entries == ()
    await prepare_journal(server)


async def aged(server: Server, operation_id: str, event: str) -> None:
    payload = '{"name": "b"}' if event == "started" else ""
    await server.execute(
        "INSERT INTO chops.operations (at, sequence, operation_id, operation, event, payload) "
        f"SELECT now() - toIntervalDay(31), count() + 1, '{operation_id}', 'backup', '{event}', "
        f"'{payload}' FROM chops.operations"
    )
