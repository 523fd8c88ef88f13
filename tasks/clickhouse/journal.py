"""The journal table `chops.operations` of one server: made when missing, appended to, read."""

from collections.abc import Mapping
from typing import Any

from tasks.clickhouse.client import Server
from tasks.domain.journal import Entry, Event, Journal
from tasks.domain.tables import RESERVED_DATABASE

_TABLE = f"{RESERVED_DATABASE}.operations"
_DEFINITION = (
    f"CREATE TABLE IF NOT EXISTS {_TABLE} (at DateTime DEFAULT now(), sequence UInt64, "
    "operation_id String, operation String, event String, subject String, payload String) "
    "ENGINE = MergeTree ORDER BY (sequence, at)"
)
# payloads of others may be large (fingerprints, manifests); under which lock they began is small
_READ = (
    "SELECT toUInt32(at) AS at, operation_id, operation, event, subject, "
    f"if(operation_id = {{own:String}} OR event = 'started', payload, '') AS payload FROM {_TABLE} "
    "ORDER BY sequence, at"
)


async def prepare_journal(server: Server) -> None:
    """Make the reserved database and the journal. NotAllowed where the right is missing."""
    await server.execute(f"CREATE DATABASE IF NOT EXISTS {RESERVED_DATABASE}")
    await server.execute(_DEFINITION)


async def read_journal(server: Server, *, operation_id: str) -> Journal:
    """Read all rows, payloads of this operation only; empty where no journal was ever made."""
    exists = await server.value(
        "SELECT count() AS found FROM system.tables "
        "WHERE database = {database:String} AND name = 'operations'",
        {"database": RESERVED_DATABASE},
    )
    if not exists:
        return Journal(())
    rows = await server.rows(_READ, {"own": operation_id})
    return Journal(tuple(_entry(row) for row in rows))


class JournalWriter:
    """Appends for one operation on one server, in an order that survives equal seconds."""

    def __init__(self, server: Server, *, operation_id: str, operation: str) -> None:
        self._server = server
        self._operation_id = operation_id
        self._operation = operation

    async def append(self, event: Event, subject: str = "", payload: str = "") -> None:
        row = {
            "sequence": await self._next(),
            "operation_id": self._operation_id,
            "operation": self._operation,
            "event": event.value,
            "subject": subject,
            "payload": payload,
        }
        await self._server.insert_row(_TABLE, row)

    async def _next(self) -> int:
        highest = await self._server.value(f"SELECT max(sequence) AS highest FROM {_TABLE}")
        return int(highest or 0) + 1


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(**{**row, "event": Event(row["event"])})
