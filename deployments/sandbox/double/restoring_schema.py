"""The schema half of a restore: existing tables are dropped, whatever they hold, then created."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from deployments.sandbox.double import ddl
from deployments.sandbox.double.clickhouse import literal, quoted
from deployments.sandbox.double.errors import CommandFailed, SqlFailed
from deployments.sandbox.double.restored import RestoredTable
from deployments.sandbox.double.site import Site

_ATOMIC_ENGINES = ("Atomic", "Replicated")


async def drop_tables(site: Site, tables: Iterable[RestoredTable]) -> None:
    cluster = site.settings.restore_schema_on_cluster

    async def drop(table: RestoredTable) -> None:
        engine = await _database_engine(site, table.target.database)
        statement = ddl.drop(
            table.query,
            table.target,
            cluster=cluster,
            without_delay=engine.startswith(_ATOMIC_ENGINES),
        )
        allow_drop(site)
        await site.clickhouse.run(statement)

    ordered = sorted(tables, key=lambda table: ddl.order(table.query, dropping=True))
    await _with_retries(ordered, drop, "RestoreSchema: dropExistsTables: can't drop table")


async def create_tables(site: Site, tables: Iterable[RestoredTable]) -> None:
    cluster = site.settings.restore_schema_on_cluster

    async def create(table: RestoredTable) -> None:
        await site.clickhouse.run(f"CREATE DATABASE IF NOT EXISTS {quoted(table.target.database)}")
        await site.clickhouse.run(ddl.as_restored(table.query, cluster))

    ordered = sorted(tables, key=lambda table: ddl.order(table.query, dropping=False))
    await _with_retries(ordered, create, "RestoreSchema: restoreSchema: can't create table")


async def restore_functions(site: Site, functions: Iterable[Mapping[str, str]]) -> None:
    """Recreate all of them, whatever tables were asked for."""
    for function in functions:
        await site.clickhouse.run(f"DROP FUNCTION IF EXISTS {quoted(function['name'])}")
        await site.clickhouse.run(function["create_query"])


def allow_drop(site: Site) -> None:
    """Let the server drop a table of any size, once, by its flag file."""
    flag = site.local.default / "flags" / "force_drop_table"
    flag.parent.mkdir(exist_ok=True)
    flag.touch()


async def _database_engine(site: Site, database: str) -> str:
    return await site.clickhouse.value(
        f"SELECT engine FROM system.databases WHERE name = {literal(database)}"
    )


async def _with_retries(
    tables: Sequence[RestoredTable], act: Callable[[RestoredTable], Awaitable[None]], what: str
) -> None:
    """Try again in the hope that a dependency was the reason, once per table at most."""
    left, failures = list(tables), 0
    while left:
        failed: list[RestoredTable] = []
        for table in left:
            try:
                await act(table)
            except SqlFailed as error:
                failures += 1
                failed.append(table)
                if failures >= len(tables):
                    name = f"`{table.target.database}`.`{table.target.table}`"
                    raise CommandFailed(
                        f"{what} {name} after {failures} times, please check your schema"
                        f" dependencies: {error}"
                    ) from error
        left = failed
