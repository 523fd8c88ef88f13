"""Tables and databases of one server: read them, drop them, see that they are gone."""

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import UNKNOWN_DATABASE
from tasks.domain.errors import NotAllowed, ServerError
from tasks.domain.tables import SYSTEM_DATABASES, Dropped, Table

_READ = (
    "SELECT database, name, engine, toString(uuid) AS uuid, "
    "toUInt32(metadata_modification_time) AS modified, create_table_query AS definition, "
    "total_rows AS rows, total_bytes AS size_bytes FROM system.tables "
    "WHERE is_temporary = 0 AND database NOT IN {system:Array(String)} ORDER BY database, name"
)
_DROP_SECONDS = 600.0


async def read_tables(server: Server) -> tuple[Table, ...]:
    """Read every table outside the system databases, `chops` included."""
    rows = await server.rows(_READ, {"system": sorted(SYSTEM_DATABASES)})
    return tuple(Table(**row) for row in rows)


async def read_dropped(server: Server) -> tuple[Dropped, ...]:
    """Read the tables that can be undropped, the latest first; none where no server knows how."""
    try:
        rows = await server.rows(
            "SELECT database, table AS name, toString(uuid) AS uuid FROM system.dropped_tables "
            "ORDER BY table_dropped_time DESC"
        )
    except (ServerError, NotAllowed):  # an older server, or a user who may not look
        return ()
    return tuple(Dropped(**row) for row in rows)


async def read_database_engines(server: Server) -> dict[str, str]:
    rows = await server.rows(
        "SELECT name, engine FROM system.databases WHERE name NOT IN {system:Array(String)}",
        {"system": sorted(SYSTEM_DATABASES)},
    )
    return {row["name"]: row["engine"] for row in rows}


async def read_functions(server: Server) -> dict[str, str]:
    """Read the SQL functions that users made: name -> definition."""
    rows = await server.rows(
        "SELECT name, create_query FROM system.functions WHERE origin = 'SQLUserDefined'"
    )
    return {row["name"]: row["create_query"] for row in rows}


async def read_macros(server: Server) -> dict[str, str]:
    rows = await server.rows("SELECT macro, substitution FROM system.macros")
    return {row["macro"]: row["substitution"] for row in rows}


async def read_object_disks(server: Server) -> frozenset[str]:
    """Read the names of disks whose bytes lie in an object store."""
    rows = await server.rows("SELECT name FROM system.disks WHERE type NOT IN ('Local', 'local')")
    return frozenset(row["name"] for row in rows)


async def read_free_bytes(server: Server) -> int:
    """Read the free space of the fullest local disk."""
    sql = "SELECT min(free_space) AS free FROM system.disks WHERE type IN ('Local', 'local')"
    return int(await server.value(sql) or 0)


async def read_tables_on_disks(server: Server, disks: frozenset[str]) -> tuple[str, ...]:
    if not disks:
        return ()
    rows = await server.rows(
        "SELECT DISTINCT concat(database, '.', table) AS name FROM system.parts "
        "WHERE active AND disk_name IN {disks:Array(String)} ORDER BY name",
        {"disks": sorted(disks)},
    )
    return tuple(row["name"] for row in rows)


async def create_table(server: Server, table: Table) -> None:
    """Create a table of a definition that begins behind the name."""
    await server.execute(f"CREATE TABLE {quoted(table)} {table.definition}")


async def drop_table(server: Server, table: Table) -> None:
    """Drop a table and wait until it is gone, whatever its size."""
    kind = "DICTIONARY" if table.engine == "Dictionary" else "TABLE"
    await server.execute(
        f"DROP {kind} IF EXISTS {quoted(table)} SYNC "
        # what depends on it goes and comes back with it
        "SETTINGS max_table_size_to_drop = 0, check_table_dependencies = 0",
        timeout_seconds=_DROP_SECONDS,
    )


async def reload_dictionary(server: Server, table: Table) -> None:
    await server.execute(f"SYSTEM RELOAD DICTIONARY {quoted(table)}")


async def create_database(server: Server, name: str) -> None:
    await server.execute(f"CREATE DATABASE IF NOT EXISTS {identifier(name)}")


async def drop_database(server: Server, name: str) -> None:
    try:
        await server.execute(f"DROP DATABASE IF EXISTS {identifier(name)} SYNC")
    except ServerError as error:
        if error.code != UNKNOWN_DATABASE:
            raise


def identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def quoted(table: Table) -> str:
    return f"{identifier(table.database)}.{identifier(table.name)}"
