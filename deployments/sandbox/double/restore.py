"""`restore`: which tables, under which names, and the order of schema, data and functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from deployments.sandbox.double import ddl, files
from deployments.sandbox.double.clickhouse import quoted
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.local import clean_name
from deployments.sandbox.double.metadata import BackupMetadata, TableMetadata, TableName
from deployments.sandbox.double.patterns import (
    matches_any,
    names_database,
    part_is_wanted,
    partition_ids,
)
from deployments.sandbox.double.restored import RestoredTable
from deployments.sandbox.double.restoring_data import attach_tables, drop_partitions
from deployments.sandbox.double.restoring_schema import (
    allow_drop,
    create_tables,
    drop_tables,
    restore_functions,
)
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.tables import inner_tables, is_skipped

_WITHOUT_TABLES = frozenset({"rbac-only", "configs-only", "named-collections-only"})


@dataclass(frozen=True, slots=True)
class Names:
    """Where each table goes."""

    databases: dict[str, str]
    tables: dict[str, str]

    def target(self, name: TableName) -> TableName:
        database = self.databases.get(name.database, name.database)
        mapped = self.tables.get(str(name), self.tables.get(name.table))
        if mapped is None:
            return TableName(database, name.table)
        own_database, dot, table = mapped.rpartition(".")
        return TableName(own_database if dot else database, table)


async def restore(site: Site, command: Command) -> None:
    with files.pid_file(command.name, "restore"):
        name = clean_name(command.name)
        names = Names(
            ddl.mapping(command.lists.get("restore-database-mapping", ()), "database"),
            ddl.mapping(command.lists.get("restore-table-mapping", ()), "table"),
        )
        metadata = _metadata(site, name)
        await _create_databases(site, command, metadata, names)
        if not metadata.tables:
            return _accept_empty(site, name)
        if command.switches & _WITHOUT_TABLES:
            return None
        tables = _selected(site, command, name, names)
        await _restore_tables(site, command, metadata, tables)
    return None


async def _restore_tables(
    site: Site, command: Command, metadata: BackupMetadata, tables: list[RestoredTable]
) -> None:
    schema, data = "schema" in command.switches, "data" in command.switches
    if command.partitions and not tables:
        return
    if schema or "rm" in command.switches or schema == data:
        await site.steps.before("restore.drop")
        await drop_tables(site, tables)
        await site.steps.before("restore.schema")
        await create_tables(site, tables)
    if data and not schema and command.partitions:
        await drop_partitions(site, tables, command.partitions)
    if data or schema == data:
        await attach_tables(site, metadata, tables)
    if schema or schema == data:
        await restore_functions(site, metadata.functions)


def _metadata(site: Site, name: str) -> BackupMetadata:
    try:
        return site.local.read(name)
    except CommandFailed as error:
        raise CommandFailed(f"read backup metadata file: {error}") from error


def _accept_empty(site: Site, name: str) -> None:
    if not site.settings.allow_empty_backups:
        raise CommandFailed(
            f"'{name}' doesn't contains tables for restore, if you need it, you can setup"
            " `allow_empty_backups: true` in `general` config section"
        )


async def _create_databases(
    site: Site, command: Command, metadata: BackupMetadata, names: Names
) -> None:
    cluster = site.settings.restore_schema_on_cluster
    for database in metadata.databases:
        if command.tables and not names_database(command.tables, database["name"]):
            continue
        target = names.databases.get(database["name"], database["name"])
        if {"schema", "rm"} <= command.switches:
            allow_drop(site)
            sync = " SYNC" if site.version > (20, 11) else ""
            await site.clickhouse.run(f"DROP DATABASE IF EXISTS {quoted(target)}{sync}")
        query = ddl.create_database(database["query"], database["name"], target, cluster)
        await site.clickhouse.run(query)


def _selected(site: Site, command: Command, name: str, names: Names) -> list[RestoredTable]:
    stored = list(site.local.read_tables(name))
    wanted = {
        table.name for table in stored if matches_any(command.tables, str(table.name))
    } | _inner_of(command, stored)
    found = [
        _restored(table, command, names)
        for table in stored
        if table.name in wanted and not is_skipped(site, table.name)
    ]
    if not found:
        raise CommandFailed(
            f"getTablesForRestoreLocal: not found schemas by {command.tables or '*'} in {name},"
            " also check skip_tables and skip_table_engines setting"
        )
    if command.partitions:
        return [table for table in found if any(table.stored.each_part)]
    if "skip-empty-tables" in command.switches:
        return [table for table in found if any(table.stored.each_part)]
    return found


def _inner_of(command: Command, stored: Iterable[TableMetadata]) -> set[TableName]:
    return {
        inner
        for table in stored
        if matches_any(command.tables, str(table.name))
        for inner in inner_tables(table.name, table.query)
    }


def _restored(table: TableMetadata, command: Command, names: Names) -> RestoredTable:
    target = names.target(table.name)
    moved = target != table.name
    query = ddl.retarget(table.query, target, names.databases) if moved else table.query
    ids = partition_ids(command.partitions, str(table.name))
    kept = {
        disk: tuple(part for part in parts if part_is_wanted(part.name, ids))
        for disk, parts in table.parts.items()
    }
    return RestoredTable(stored=table.with_parts(kept), target=target, query=query)
