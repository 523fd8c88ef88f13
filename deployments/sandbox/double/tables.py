"""Tables of the node as a backup sees them, and the SQL that freezes and describes their parts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.sandbox.double.clickhouse import ClickHouse, literal, quoted
from deployments.sandbox.double.errors import SqlFailed
from deployments.sandbox.double.metadata import TableName
from deployments.sandbox.double.patterns import matches_any, matches_for_create, names_database
from deployments.sandbox.double.site import Site

_FREEZES_WHOLE_TABLES = (19, 1, 5)
_FOREIGN_ENGINES = "'DataLakeCatalog','MySQL','PostgreSQL','MaterializedPostgreSQL'"
_OWN_DATABASES = frozenset(
    {"system", "INFORMATION_SCHEMA", "information_schema", "_temporary_and_external_tables"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTable:
    name: TableName
    engine: str
    query: str
    uuid: str
    data_paths: tuple[Path, ...]
    total_bytes: int

    @property
    def has_parts(self) -> bool:
        return self.engine.endswith("MergeTree")

    @property
    def sql_name(self) -> str:
        return sql_name(self.name)


def sql_name(name: TableName) -> str:
    return f"{quoted(name.database)}.{quoted(name.table)}"


async def live_tables(site: Site, pattern: str) -> list[LiveTable]:
    """List what `create` would store: big tables first, inner tables with their views."""
    everything = await all_tables(site.clickhouse)
    wanted = [table for table in everything if matches_for_create(pattern, str(table.name))]
    inner = {name for table in wanted for name in _inner_names(table)}
    return [
        table
        for table in everything
        if (table in wanted or table.name in inner) and not is_skipped(site, table.name)
    ]


def is_skipped(site: Site, name: TableName) -> bool:
    return any(matches_any(glob, str(name)) for glob in site.settings.skip_tables)


async def all_tables(clickhouse: ClickHouse) -> list[LiveTable]:
    optional = {
        "uuid": "toString(uuid)",
        "data_paths": "data_paths",
        "data_path": "[data_path]",
        "total_bytes": "toUInt64(ifNull(total_bytes, 0))",
    }
    present = {name for name in optional if await clickhouse.has_column("tables", name)}
    paths = "data_paths" if "data_paths" in present else "data_path"
    columns = ", ".join(
        [
            "database, name, engine, create_table_query",
            f"{optional['uuid']} AS uuid" if "uuid" in present else "'' AS uuid",
            f"{optional[paths]} AS paths" if paths in present else "emptyArrayString() AS paths",
            f"{optional['total_bytes']} AS bytes" if "total_bytes" in present else "0 AS bytes",
        ]
    )
    rows = await clickhouse.rows(
        f"SELECT {columns} FROM system.tables WHERE NOT is_temporary AND database NOT IN"
        f" (SELECT name FROM system.databases WHERE engine IN ({_FOREIGN_ENGINES}))"
        " ORDER BY bytes DESC, database, name",
        await _complete_queries(clickhouse),
    )
    return [_live_table(row) for row in rows]


async def _complete_queries(clickhouse: ClickHouse) -> dict[str, str]:
    """Ask for statements that bring a table back with its own UUID and secrets."""
    wanted = (
        "show_table_uuid_in_table_create_query_if_not_nil",
        "display_secrets_in_show_and_select",
    )
    return {name: "1" for name in wanted if await clickhouse.has_setting(name)}


def _live_table(row: dict[str, Any]) -> LiveTable:
    return LiveTable(
        name=TableName(row["database"], row["name"]),
        engine=row["engine"],
        query=row["create_table_query"],
        uuid=row["uuid"].replace("00000000-0000-0000-0000-000000000000", ""),
        data_paths=tuple(Path(path) for path in row["paths"] if path),
        total_bytes=int(row["bytes"]),
    )


def _inner_names(view: LiveTable) -> Iterable[TableName]:
    return inner_tables(view.name, view.query)


def inner_tables(name: TableName, query: str) -> tuple[TableName, ...]:
    """Name the hidden table behind a materialized view that stores its rows itself."""
    if not re.match(r"(CREATE|ATTACH) MATERIALIZED", query):
        return ()
    if " TO " in query and " TO INNER UUID " not in query:
        return ()
    inner = re.search(r"TO INNER UUID '([0-9a-f-]+)'", query)
    own = re.search(r"UUID '([0-9a-f-]+)'", query)
    hidden = f".inner_id.{own[1]}" if own else f".inner.{name.table}"
    names = {TableName(name.database, hidden)}
    if inner:
        names.add(TableName(name.database, f".inner_id.{inner[1]}"))
    return tuple(names)


async def databases(site: Site, pattern: str) -> tuple[dict[str, str], ...]:
    rows = await site.clickhouse.rows("SELECT name, engine FROM system.databases ORDER BY name")
    wanted = [
        row
        for row in rows
        if row["name"] not in _OWN_DATABASES
        and (not pattern or names_database(pattern, row["name"]))
    ]
    return tuple([row | {"query": await _database_query(site.clickhouse, row)} for row in wanted])


async def _database_query(clickhouse: ClickHouse, row: dict[str, Any]) -> str:
    try:
        return await clickhouse.value(f"SHOW CREATE DATABASE {quoted(row['name'])}")
    except SqlFailed:  # old servers keep no statement for every database
        return f"CREATE DATABASE {quoted(row['name'])} ENGINE = {row['engine']}"


async def functions(clickhouse: ClickHouse) -> tuple[dict[str, str], ...]:
    if not await clickhouse.has_column("functions", "create_query"):
        return ()
    rows = await clickhouse.rows(
        "SELECT name, create_query FROM system.functions WHERE create_query != ''"
    )
    return tuple(
        row
        | {
            "create_query": row["create_query"].replace(
                "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1
            )
        }
        for row in rows
    )


async def freeze(site: Site, table: LiveTable, shadow: str) -> None:
    """Freeze the whole table; old servers can only do it partition by partition."""
    if site.version >= _FREEZES_WHOLE_TABLES:
        await site.clickhouse.run(
            f"ALTER TABLE {table.sql_name} FREEZE WITH NAME {literal(shadow)}"
        )
        return
    rows = await site.clickhouse.rows(
        f"SELECT DISTINCT partition_id FROM system.parts WHERE active AND {_of(table.name)}"
    )
    for row in rows:
        await site.clickhouse.run(
            f"ALTER TABLE {table.sql_name} FREEZE PARTITION ID {literal(row['partition_id'])}"
            f" WITH NAME {literal(shadow)}"
        )


async def part_hashes(clickhouse: ClickHouse, table: TableName) -> dict[str, str]:
    """Read the server's own fingerprints, also of parts that it has merged away since."""
    if not await clickhouse.has_column("parts", "hash_of_all_files"):
        return {}
    rows = await clickhouse.rows(
        f"SELECT name, hash_of_all_files FROM system.parts WHERE {_of(table)}"
    )
    return {row["name"]: row["hash_of_all_files"] for row in rows}


def _of(table: TableName) -> str:
    return f"database = {literal(table.database)} AND table = {literal(table.table)}"
