"""Scratch tables of a drill: make them, read them to the last byte, let them go."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import redacted
from tasks.clickhouse.tables import (
    create_database,
    drop_database,
    drop_table,
    quoted,
    read_tables,
)
from tasks.domain.errors import NotAllowed, ServerError
from tasks.domain.fingerprint import Part
from tasks.domain.tables import Table

_READ_SECONDS = 3600.0
_LARGE_BYTES = 20 * 2**30
_CHECKSUM_DOESNT_MATCH, _NOT_IMPLEMENTED = 40, 48
# what a damaged part answers when it is read
_DAMAGED = frozenset({_CHECKSUM_DOESNT_MATCH, 6, 32, 33, 49, 76, 79, 107, 226, 228, 229, 246, 271})


async def make_scratch_table(server: Server, table: Table) -> bool:
    """Make an empty table that stays as it is filled: parts are neither merged nor expire.

    `table.definition` is what follows the name. False where nobody may keep it from merging.
    """
    await server.execute(f"CREATE TABLE {quoted(table)} {table.definition}")
    try:
        await server.execute(f"SYSTEM STOP MERGES {quoted(table)}")
    except NotAllowed:  # parts that are merged are still known for some minutes
        return False
    return True


async def make_scratch_databases(server: Server, names: Iterable[str]) -> None:
    for name in names:
        await create_database(server, name)


async def drop_scratch_databases(server: Server, names: Iterable[str]) -> None:
    """Drop databases with all they hold, each table by itself: a server keeps large ones else."""
    doomed = set(names)
    for table in await read_tables(server) if doomed else ():
        if table.database in doomed:
            await drop_table(server, table)
    for name in sorted(doomed):
        await drop_database(server, name)


async def find_damage(server: Server, table: Table, parts: Iterable[Part]) -> str:
    """Read all that a table holds; say what is wrong with it, empty where nothing is.

    An attach takes a part by its list of checksums, and believes it.
    """
    bad: list[str] = []
    for scope in _scopes([part for part in parts if part.active]):
        try:
            rows = await server.documents(
                f"CHECK TABLE {quoted(table)}{scope}", timeout_seconds=_READ_SECONDS
            )
        except ServerError as error:
            if error.code == _NOT_IMPLEMENTED:
                return await _damage_when_read(server, table)
            return _damage(error)
        bad += [told for row in rows if (told := _told(row))]
    return redacted("; ".join(bad))


def _told(row: Mapping[str, Any]) -> str:
    """Read a row of a check: one for each part, or where a server says no more, one for all."""
    if row.get("is_passed", row.get("result")):
        return ""
    return f"{row['part_path']}: {row['message']}" if "part_path" in row else "a part is broken"


def _scopes(parts: Sequence[Part]) -> Sequence[str]:
    """Check a large table part by part: no statement may take longer than a client waits."""
    if sum(part.size_bytes for part in parts) < _LARGE_BYTES:
        return ("",)
    return [f" PART '{part.name}'" for part in parts]


async def _damage_when_read(server: Server, table: Table) -> str:
    """Read every column, on a server so old that it checks no MergeTree table."""
    try:
        await server.rows(
            f"SELECT count() FROM {quoted(table)} WHERE NOT ignore(*)",
            timeout_seconds=_READ_SECONDS,
        )
    except ServerError as error:
        return _damage(error)
    return ""


def _damage(error: ServerError) -> str:
    if error.code not in _DAMAGED:
        raise error
    return str(error)
