"""Rows of `backup_list` and of `/backup/tables`, with the real server's fields and omissions."""

from collections.abc import Iterable, Iterator
from typing import Any

from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.local import Listed
from deployments.sandbox.double.metadata import TableMetadata, TableName
from deployments.sandbox.double.patterns import matches_any
from deployments.sandbox.double.site import Site

Row = dict[str, Any]

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


def backup_rows(site: Site, where: str) -> Iterator[Row]:
    """List local ones, then remote ones: without any if the store does not answer."""
    if where in {"", "local"}:
        yield from (_backup_row(row, "local") for row in site.local.list())
    if where in {"", "remote"} and site.has_remote:
        yield from (_backup_row(row, "remote") for row in site.bucket.list())


def _backup_row(row: Listed, location: str) -> Row:
    found = row.metadata
    sizes = {
        "size": found.full_size if found else 0,
        "data_size": found.data_size if found else 0,
        "compressed_size": found.compressed_size if found else 0,
    }
    parts = [row.broken or (found.data_format if found else ""), found.tags if found else ""]
    return {
        "name": row.name,
        "created": _local_time(row),
        **{name: size for name, size in sizes.items() if size},
        "metadata_size": found.metadata_size if found else 0,
        "location": location,
        "required": row.required,
        "desc": ", ".join(part for part in parts if part),
    }


def _local_time(row: Listed) -> str:
    if row.created.year == 1:
        return "0001-01-01 00:00:00"
    return f"{row.created.astimezone():%Y-%m-%d %H:%M:%S}"


def local_tables(site: Site, name: str, pattern: str, *, with_parts: bool) -> list[Row]:
    if not any(row.name == name for row in site.local.list()):
        raise CommandFailed(
            f"collectTablesFromLocalBackup getLocalBackup: backup '{name}' is not found"
        )
    found = {row.name: row.metadata for row in site.local.list()}[name]
    stored = {table.name: table for table in site.local.read_tables(name)}
    names = found.tables if found else ()
    return _table_rows(((one, stored.get(one)) for one in names), pattern, with_parts=with_parts)


def remote_tables(site: Site, name: str, pattern: str, *, with_parts: bool) -> list[Row]:
    if not site.has_remote:
        raise CommandFailed(
            "`tables --remote-backup` does not support `none` and `custom` remote storage"
        )
    if site.bucket.away or not site.bucket.holds(name):
        raise CommandFailed(f"backup '{name}' not found on remote storage")
    found = site.bucket.find(name).metadata
    names = found.tables if found else ()
    tables = ((one, site.bucket.read_table(name, one)) for one in names)
    return _table_rows(tables, pattern, with_parts=with_parts)


def _table_rows(
    tables: Iterable[tuple[TableName, TableMetadata | None]], pattern: str, *, with_parts: bool
) -> list[Row]:
    return [
        _table_row(name, table, with_parts=with_parts)
        for name, table in tables
        if matches_any(pattern, str(name))
    ]


def _table_row(name: TableName, table: TableMetadata | None, *, with_parts: bool) -> Row:
    parts = sorted(part.name for _, part in table.each_part) if table else []
    listed = [{"name": part, "partition_id": part.partition("_")[0]} for part in parts]
    return {
        "database": name.database,
        "table": name.table,
        "total_bytes": table.total_bytes if table else 0,
        "size": readable(table.total_bytes) if table else "",
        "parts": len(parts),
        "disks": sorted(table.size) if table else [],
        "skip": False,
    } | ({"parts_list": listed} if with_parts and listed else {})


def readable(size: int) -> str:
    """Write bytes as a person reads them: 512B, 1.50KiB."""
    exponent = max(power for power in range(len(_UNITS)) if power == 0 or size >= _STEP**power)
    if exponent == 0:
        return f"{size}B"
    return f"{size / _STEP**exponent:.2f}{_UNITS[exponent]}"
