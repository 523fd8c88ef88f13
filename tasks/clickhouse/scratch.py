"""Scratch tables of a drill: make them, read them to the last byte, let them go."""

from collections.abc import Iterable, Sequence

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


async def make_scratch_table(server: Server, table: Table) -> None:
    """Make an empty table that stays as it is filled: parts are neither merged nor expire.

    `table.definition` is what follows the name.
    """
    await server.execute(f"CREATE TABLE {quoted(table)} {table.definition}")
    try:
        await server.execute(f"SYSTEM STOP MERGES {quoted(table)}")
    except NotAllowed:  # parts that are merged are still known for some minutes
        return


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
                f"CHECK TABLE {quoted(table)}{scope} SETTINGS check_query_single_value_result = 0",
                timeout_seconds=_READ_SECONDS,
            )
        except ServerError as error:
            if error.code == _NOT_IMPLEMENTED:
                return await _damage_when_read(server, table)
            return _damage(error)
        bad += [f"{row['part_path']}: {row['message']}" for row in rows if not row["is_passed"]]
    return redacted("; ".join(bad))


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
