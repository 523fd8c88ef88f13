"""The data half of a restore: parts are linked into `detached` and attached, never compared."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from deployments.sandbox.double import files, tables
from deployments.sandbox.double.clickhouse import literal
from deployments.sandbox.double.download import fetch_part
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.metadata import BackupMetadata, Part, TableName
from deployments.sandbox.double.patterns import partition_ids
from deployments.sandbox.double.restored import RestoredTable
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.tables import sql_name
from deployments.sandbox.double.transfer import Throttle
from deployments.sandbox.double.uninterrupted import uninterrupted

_WAITS_FOR_MUTATIONS = (19, 17)


async def drop_partitions(
    site: Site, restored: Iterable[RestoredTable], partitions: Sequence[str]
) -> None:
    """Make `restore --data --partitions` repeatable: these partitions are emptied first."""
    settings = {"mutations_sync": "2"} if site.version >= _WAITS_FOR_MUTATIONS else {}
    for table in restored:
        if "MergeTree" not in table.query:
            continue
        ids = sorted(partition_ids(partitions, str(table.stored.name)))
        drops = ", ".join(f"DROP PARTITION ID {literal(one)}" for one in ids)
        if drops:
            await site.clickhouse.run(f"ALTER TABLE {sql_name(table.target)} {drops}", settings)


async def attach_tables(
    site: Site, metadata: BackupMetadata, restored: Sequence[RestoredTable]
) -> None:
    """Append to whatever the tables hold.

    Once begun it does not stop: a kill marks the row, and all parts are attached nevertheless.
    """
    await uninterrupted(_attach_all(site, metadata, restored))


async def _attach_all(
    site: Site, metadata: BackupMetadata, restored: Sequence[RestoredTable]
) -> None:
    live = {table.name: table for table in await tables.all_tables(site.clickhouse)}
    missing = [f"'{table.target}'" for table in restored if table.target not in live]
    if missing:
        raise CommandFailed(
            f"RestoreData: restoreData: {', '.join(missing)} is not created. Restore schema first"
            " or create missing tables manually"
        )
    for table in restored:
        await site.steps.before("restore.data")
        await _attach(site, metadata, table, live[table.target].data_paths)


async def _attach(
    site: Site, metadata: BackupMetadata, table: RestoredTable, data_paths: Sequence[Path]
) -> None:
    for disk, part in table.stored.each_part:
        source = site.local.part(metadata.name, table.stored.name, disk, part.name)
        if part.required and not source.is_dir():
            unlimited = Throttle(0)
            await fetch_part(site, metadata, table.stored.name, part, (source, unlimited))
        files.link_tree(source, _home(site, disk, data_paths) / "detached" / part.name)
    for _, part in table.stored.each_part:
        await site.steps.before("restore.attach")
        await _attach_part(site, table.target, part)


async def _attach_part(site: Site, target: TableName, part: Part) -> None:
    await site.clickhouse.run(f"ALTER TABLE {sql_name(target)} ATTACH PART {literal(part.name)}")


def _home(site: Site, disk: str, data_paths: Sequence[Path]) -> Path:
    """Find the table's folder on the disk that the part was stored from."""
    root = site.local.disk(disk)
    for path in sorted(data_paths, key=lambda found: len(str(found)), reverse=True):
        if path.is_relative_to(root):
            return path
    raise CommandFailed(f"dstDataPaths={list(map(str, data_paths))}, not contains {disk}")
