"""Parts: what a sidecar froze, and what a table holds, both as fingerprints see them.

The list of frozen parts comes from the sidecar's REST path, read by the server itself with url():
its address stands in the integration table's engine and may hold credentials, so it is used and
never told.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tasks.clickhouse.actions import READ_ONCE
from tasks.clickhouse.client import Server
from tasks.domain.errors import ClusterUnavailable, NotAllowed
from tasks.domain.fingerprint import Fingerprint, Part

_ADDRESS = re.compile(r"URL\(\\?'([^'\\]+)/backup/actions([^'\\]*)\\?'")
_HASH = re.compile("[0-9a-f]{32}")
_SHAPE = (
    "database String, table String, parts Nullable(UInt64), "
    "parts_list Array(Tuple(name String, partition_id String))"
)
_FROZEN = (
    "SELECT database, table, parts, arrayMap(part -> part.1, parts_list) AS names "
    "FROM url({address:String}, 'JSONEachRow', {shape:String})"
)
# the first two conditions let the server skip tables; the third one is exact
_PARTS = (
    "SELECT database, table, name, partition_id, rows, bytes_on_disk, hash_of_all_files, active "
    "FROM system.parts WHERE database IN {databases:Array(String)} "
    "AND table IN {names:Array(String)} "
    "AND concat(database, '.', table) IN {tables:Array(String)}"
)
# names travel in the address of a request, of which a server takes a megabyte at most
_LONGEST_NAMES = 50_000  # characters
_READ_SECONDS = 600.0


async def read_frozen(
    server: Server, backup: str, *, location: str = "local"
) -> dict[str, frozenset[str]] | None:
    """Read which parts the copy `backup` holds, locally or remotely: table -> part names.

    None where nobody can tell: the server may not ask (no right to use url()), or the sidecar is
    so old that it answers with the tables of the server instead.
    """
    base, query = await _rest_address(server)
    separator = "&" if query else "?"
    url = f"{base}/backup/tables{query}{separator}{location}_backup={backup}&list_parts=1"
    try:
        rows = await server.rows(
            _FROZEN,
            {"address": url, "shape": _SHAPE},
            # newer sidecars tell more, and older servers would refuse it
            settings={**READ_ONCE, "input_format_skip_unknown_fields": 1},
            timeout_seconds=_READ_SECONDS,
        )
    except NotAllowed:
        return None
    if any(row["parts"] is None for row in rows):
        return None
    return {f"{row['database']}.{row['table']}": frozenset(row["names"]) for row in rows}


async def read_parts(server: Server, tables: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    """Read all parts, active or not, of tables given by full name."""
    found: dict[str, tuple[Part, ...]] = {}
    for some in _portions(tables):
        found |= await _read_parts(server, some)
    return found


async def _read_parts(server: Server, tables: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    asked = {"databases": set[str](), "names": set[str](), "tables": set(tables)}
    for database, name in (split for table in tables for split in _splits(table)):
        asked["databases"].add(database)
        asked["names"].add(name)
    bound = {parameter: sorted(values) for parameter, values in asked.items()}
    rows = await server.rows(_PARTS, bound, timeout_seconds=_READ_SECONDS)
    found: dict[str, list[Part]] = defaultdict(list)
    for row in rows:
        found[f"{row['database']}.{row['table']}"].append(
            Part(
                name=row["name"],
                partition_id=row["partition_id"],
                rows=row["rows"],
                size_bytes=row["bytes_on_disk"],
                hash=row["hash_of_all_files"],
                active=bool(row["active"]),
            )
        )
    return {table: tuple(parts) for table, parts in found.items()}


def _splits(full_name: str) -> Iterator[tuple[str, str]]:
    """Split into database and table, at every dot: both may hold some."""
    dots = (place for place, letter in enumerate(full_name) if letter == ".")
    return ((full_name[:dot], full_name[dot + 1 :]) for dot in dots)


def _portions(tables: Sequence[str]) -> Iterator[list[str]]:
    portion, length = list[str](), 0
    for table in sorted(tables):
        if portion and length + len(table) > _LONGEST_NAMES:
            yield portion
            portion, length = [], 0
        portion.append(table)
        length += len(table)
    if portion:
        yield portion


async def read_fingerprints(
    server: Server, backup: str, tables: Sequence[str]
) -> dict[str, Fingerprint | None]:
    """Fingerprint `tables` as the local copy `backup` froze them. None: could not tell."""
    frozen = await read_frozen(server, backup)
    if frozen is None:
        return dict.fromkeys(tables)
    prints: dict[str, Fingerprint | None] = {}
    for some in _portions(tables):  # packed at once: a list of parts is many times as large
        parts = await _read_parts(server, some)
        prints |= {table: _fingerprint(table, frozen, parts) for table in some}
    return prints


def _fingerprint(
    table: str, frozen: Mapping[str, frozenset[str]], parts: Mapping[str, tuple[Part, ...]]
) -> Fingerprint | None:
    names = frozen.get(table)
    if names is None:
        return None
    known = [p for p in parts.get(table, ()) if p.name in names and _HASH.fullmatch(p.hash)]
    return Fingerprint.of(known) if len(known) == len(names) else None


async def _rest_address(server: Server) -> tuple[str, str]:
    engine = await server.value(
        "SELECT engine_full FROM system.tables "
        "WHERE database = 'system' AND name = 'backup_actions'"
    )
    found = _ADDRESS.search(engine or "")
    if found is None:
        message = f"{server.name} has no table system.backup_actions that leads to a sidecar"
        raise ClusterUnavailable(message)
    return found[1], found[2]
