"""The journal table `chops.operations` of one server: made when missing, appended to, read."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import UNKNOWN_DATABASE, UNKNOWN_TABLE
from tasks.domain.errors import PreflightFailed, ServerError
from tasks.domain.journal import Entry, Event, Journal
from tasks.domain.tables import RESERVED_DATABASE

_TABLE = f"{RESERVED_DATABASE}.operations"
_DEFINITION = (
    f"CREATE TABLE IF NOT EXISTS {_TABLE} (at DateTime DEFAULT now(), sequence UInt64, "
    "operation_id String, operation String, event String, subject String, payload String) "
    "ENGINE = MergeTree ORDER BY (sequence, at)"
)
_BULKY = f"('{Event.FINGERPRINT}', '{Event.MANIFEST}')"
_READ = "SELECT toUInt32(at) AS at, operation_id, operation, event, subject, "
_ORDER = "ORDER BY sequence, at"
_READ_OWN = (
    f"{_READ} if(event IN {_BULKY}, '', payload) AS payload FROM {_TABLE} "
    f"WHERE operation_id = {{own:String}} {_ORDER}"
)
# of others, what tells whether they are over: what ended long ago is nobody's business
_READ_ALL = (
    f"{_READ} if(operation_id = {{own:String}} AND ({{bulky:UInt8}} OR event NOT IN {_BULKY}) "
    f"OR event IN ('started', 'finished'), payload, '') AS payload FROM {_TABLE} "
    "WHERE operation_id = {own:String} OR event IN ('started', 'finished') AND "
    "(at > now() - toIntervalDay(30) OR event = 'finished' AND payload != '' "
    "OR operation_id IN (SELECT operation_id "
    f"FROM {_TABLE} WHERE event IN ('started', 'finished') GROUP BY operation_id "
    f"HAVING argMax(event, sequence) = 'started')) {_ORDER}"
)
_READ_PAYLOAD = (
    f"SELECT payload FROM {_TABLE} WHERE operation_id = {{own:String}} "
    "AND event = {event:String} AND subject = {subject:String} ORDER BY sequence DESC LIMIT 1"
)
_READ_KNOWN = (
    f"{_READ} payload FROM {_TABLE} WHERE event = 'known' ORDER BY sequence DESC LIMIT 1 BY subject"
)
_READ_VERIFIED = f"{_READ} payload FROM {_TABLE} WHERE event = 'verified' {_ORDER}"
_READ_RETENTION = (
    f"{_READ} payload FROM {_TABLE} WHERE event IN "
    f"('deleting', 'broken', 'mended', 'held', 'released') {_ORDER}"
)
_READ_SECONDS = 600.0
_NEVER_MADE = frozenset({UNKNOWN_TABLE, UNKNOWN_DATABASE})


async def prepare_journal(server: Server) -> None:
    """Make the reserved database and the journal. NotAllowed where the right is missing."""
    await server.execute(f"CREATE DATABASE IF NOT EXISTS {RESERVED_DATABASE}")
    await server.execute(_DEFINITION)


async def read_journal(server: Server, *, operation_id: str, bulky: bool = False) -> Journal:
    """Read all rows of this operation, and of others what tells whether they are under way.

    Only if `bulky`, payloads of fingerprints and manifests are among them: they grow with the
    number of parts. Empty where no journal was ever made.
    """
    asked = {"own": operation_id, "bulky": int(bulky)}
    try:
        rows = await server.rows(_READ_ALL, asked, timeout_seconds=_READ_SECONDS)
    except ServerError as error:
        if error.code not in _NEVER_MADE:
            raise
        return Journal(())
    return _journal(rows, server)


async def read_known(server: Server) -> Journal:
    """Read what any operation noted of backups: the newest summary of each, and all proofs."""
    try:
        known = await server.rows(_READ_KNOWN, timeout_seconds=_READ_SECONDS)
        verified = await server.rows(_READ_VERIFIED, timeout_seconds=_READ_SECONDS)
    except ServerError as error:
        if error.code not in _NEVER_MADE:
            raise
        return Journal(())
    return _journal([*known, *verified], server)


async def read_retention(server: Server) -> Journal:
    """Read what any operation noted of holds, of broken backups, and of deletions it began."""
    try:
        rows = await server.rows(_READ_RETENTION, timeout_seconds=_READ_SECONDS)
    except ServerError as error:
        if error.code not in _NEVER_MADE:
            raise
        return Journal(())
    return _journal(rows, server)


async def read_own_journal(server: Server, *, operation_id: str) -> Journal:
    """Read the rows of this operation alone, without what is bulky."""
    rows = await server.rows(_READ_OWN, {"own": operation_id})
    return _journal(rows, server)


async def read_payload(server: Server, *, operation_id: str, event: Event, subject: str) -> str:
    """Read the newest payload of that kind; empty where there is none."""
    asked = {"own": operation_id, "event": event.value, "subject": subject}
    return str(await server.value(_READ_PAYLOAD, asked) or "")


class JournalWriter:
    """Appends for one operation on one server, in an order that survives equal seconds."""

    def __init__(self, server: Server, *, operation_id: str, operation: str) -> None:
        self._server = server
        self._operation_id = operation_id
        self._operation = operation
        self._written: int | None = None

    async def append(self, event: Event, subject: str = "", payload: str = "") -> None:
        # counted from here on: what a stalled writer adds later stays behind what followed it
        self._written = (await self._highest() if self._written is None else self._written) + 1
        row = {
            "sequence": self._written,
            "operation_id": self._operation_id,
            "operation": self._operation,
            "event": event.value,
            "subject": subject,
            "payload": payload,
        }
        await self._server.insert_row(_TABLE, row)

    async def _highest(self) -> int:
        return int(await self._server.value(f"SELECT max(sequence) AS highest FROM {_TABLE}") or 0)


def _journal(rows: Iterable[Mapping[str, Any]], server: Server) -> Journal:
    return Journal(tuple(_entry(row, server) for row in rows))


def _entry(row: Mapping[str, Any], server: Server) -> Entry:
    try:
        return Entry.from_row(row)
    except ValueError as error:
        message = (
            f"{_TABLE} on {server.name} holds a row that no operation wrote (operation_id "
            f"{row['operation_id']!r}, event {row['event']!r}): {error}; delete it"
        )
        raise PreflightFailed(message) from error
