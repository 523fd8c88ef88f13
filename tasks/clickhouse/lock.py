"""The lock's door of an installation without Kubernetes: generation tables `chops.lock_<n>`.

Generation n belongs to whoever succeeded in creating its table: the server refuses the second
CREATE with code 57. The holder stands in the table's own definition, so that holding and saying
who holds are one step. Renewals and the release are rows in it.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import TABLE_EXISTS
from tasks.domain.errors import ClusterBusy, ServerError
from tasks.domain.lock import Holder, Superseded
from tasks.domain.tables import RESERVED_DATABASE

_TABLE = re.compile(r"lock_([1-9]\d*)")
_SAID = ("operation_id", "operation", "instance", "lease_seconds")
_TOLD = (
    "SELECT default_expression AS told FROM system.columns "
    "WHERE database = {database:String} AND table = {table:String} AND name = 'holder'"
)
_MADE = (
    "(SELECT toUInt32(metadata_modification_time) FROM system.tables "
    "WHERE database = {database:String} AND name = {table:String})"
)


class TableDoor:
    """The lock on one server, inside the reserved database, which must exist."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __repr__(self) -> str:
        return f"TableDoor({self.identity})"

    @property
    def identity(self) -> str:
        return f"table:{self._server.name}"

    async def newest(self) -> Holder | None:
        generation = max(await self._generations(), default=0)
        if generation == 0:
            return None
        holder = await self._read(generation)
        if holder is None:
            message = f"{_name(generation)} at {self._server.name} is no lock of ours: drop it"
            raise ClusterBusy(message)
        return holder

    async def take(self, ours: Holder, *, over: Holder | None) -> bool:
        del over  # the number of the generation says it
        told = json.dumps(
            {
                "operation_id": ours.operation_id,
                "operation": ours.operation,
                "instance": ours.instance,
                "lease_seconds": ours.lease_seconds,
            }
        )
        try:
            await self._server.execute(
                f"CREATE TABLE {_name(ours.generation)} (event String, "
                f"holder String DEFAULT '{told}', at DateTime DEFAULT now()) "
                "ENGINE = MergeTree ORDER BY at"
            )
        except ServerError as error:
            if error.code != TABLE_EXISTS:
                raise
            return False
        return True

    async def look_back(self, before: Holder) -> Holder:
        return await self._read(before.generation) or before

    async def renew(self, ours: Holder) -> None:
        if max(await self._generations(), default=0) != ours.generation:
            raise Superseded(await self.newest())
        await self._write(ours, "renewed")

    async def release(self, ours: Holder) -> None:
        await self._write(ours, "released")
        # whoever is before us has stopped, so nobody looks at older ones; the newest always stays
        for old in await self._generations():
            if old < ours.generation - 1:
                await self._server.execute(f"DROP TABLE IF EXISTS {_name(old)}")

    async def _generations(self) -> list[int]:
        rows = await self._server.rows(
            "SELECT name FROM system.tables "
            "WHERE database = {database:String} AND name LIKE 'lock_%'",
            {"database": RESERVED_DATABASE},
        )
        found = (_TABLE.fullmatch(row["name"]) for row in rows)
        return [int(match[1]) for match in found if match]

    async def _read(self, generation: int) -> Holder | None:
        place = {"database": RESERVED_DATABASE, "table": f"lock_{generation}"}
        told = await self._server.value(_TOLD, place)
        if not told:
            return None
        # a holder that died before its first renewal has been silent since it made the table
        rows = await self._server.rows(
            f"SELECT countIf(event = 'released') > 0 AS released, count() AS sign, {_MADE} AS made,"
            f" toUInt32(now()) - greatest(toUInt32(max(at)), made) AS silent_seconds "
            f"FROM {_name(generation)}",
            place,
        )
        return Holder(
            generation=generation,
            **_facts(str(told), generation),
            released=bool(rows[0]["released"]),
            sign=str(rows[0]["sign"]),
            since=datetime.fromtimestamp(int(rows[0]["made"]), UTC),
            silent_seconds=int(rows[0]["silent_seconds"]),
        )

    async def _write(self, ours: Holder, event: str) -> None:
        await self._server.insert_row(_name(ours.generation), {"event": event})


def _facts(told: str, generation: int) -> dict[str, Any]:
    """Read what a holder said of itself. Raises ClusterBusy where it is not one of ours."""
    try:
        found = json.loads(told.strip("'"))
        return {name: found[name] for name in _SAID}
    except (ValueError, KeyError, TypeError) as error:
        message = f"{_name(generation)} is no lock of ours: drop it"
        raise ClusterBusy(message) from error


def _name(generation: int) -> str:
    return f"{RESERVED_DATABASE}.lock_{generation}"
