"""`create`: freeze the tables, hard-link their parts, write the metadata, metadata.json last."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deployments.sandbox.double import files, tables
from deployments.sandbox.double.chain import base_tables, same_part
from deployments.sandbox.double.clickhouse import Disk
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.local import clean_name
from deployments.sandbox.double.metadata import BackupMetadata, Part, TableMetadata, TableName
from deployments.sandbox.double.patterns import part_is_wanted, partition_ids
from deployments.sandbox.double.retention import keep_newest_local
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.tables import LiveTable

_WITHOUT_TABLES = frozenset({"rbac-only", "configs-only", "named-collections-only"})


async def create(site: Site, command: Command) -> None:
    with files.pid_file(command.name, "create"):
        name = clean_name(command.name)
        wanted = await tables.live_tables(site, command.tables)
        if not wanted and not site.settings.allow_empty_backups:
            raise CommandFailed("no tables for backup")
        shadow = uuid.uuid4().hex
        try:
            await _Creation(site, command, name, shadow).run(wanted)
        except BaseException as error:
            site.local.remove(name)
            if isinstance(error, CommandFailed):
                raise CommandFailed(f"createBackup failed: {error}") from error
            raise
        finally:
            site.local.clean_shadow(f"{shadow}*")
        keep_newest_local(site, after_create=True)


@dataclass(frozen=True, slots=True)
class _Creation:
    site: Site
    command: Command
    name: str
    shadow: str

    async def run(self, wanted: list[LiveTable]) -> None:
        started = datetime.now(UTC)
        self.site.local.folder(self.name).mkdir(parents=True, exist_ok=True)
        base = base_tables(self.site.bucket, self.base, self.command.tables) if self.base else {}
        stored: list[TableMetadata] = []
        metadata_size = 0
        if not self.command.switches & _WITHOUT_TABLES:
            for position, live in enumerate(wanted):
                await self.site.steps.before("create.freeze")
                table = await self._store(live, base.get(live.name), f"{self.shadow}{position}")
                metadata_size += self.site.local.write_table(self.name, table)
                stored.append(table)
        await self.site.steps.before("create.metadata")
        self.site.local.write(await self._metadata(stored, started, metadata_size))

    @property
    def base(self) -> str:
        return self.command.texts.get("diff-from-remote", "")

    async def _metadata(
        self, stored: list[TableMetadata], started: datetime, metadata_size: int
    ) -> BackupMetadata:
        offset = timedelta(seconds=self.site.steps.knobs().clock_offset_seconds)
        clickhouse, disks = self.site.clickhouse, self.site.local.disks
        return BackupMetadata(
            name=self.name,
            created=started + offset,
            disks={disk.name: str(disk.path) for disk in disks},
            disk_types={disk.name: disk.type for disk in disks},
            clickhouse_version=await clickhouse.version_text(),
            data_size=sum(size for table in stored for size in table.size.values()),
            metadata_size=metadata_size,
            databases=await tables.databases(self.site, self.command.tables),
            tables=tuple(table.name for table in stored),
            functions=await tables.functions(clickhouse),
            required=self.base,
        )

    async def _store(
        self, live: LiveTable, base: TableMetadata | None, shadow: str
    ) -> TableMetadata:
        table = TableMetadata(
            name=live.name, query=live.query, uuid=live.uuid, total_bytes=live.total_bytes
        )
        if "schema" in self.command.switches:
            return table.schema_only()
        if not live.has_parts:
            return table
        await tables.freeze(self.site, live, shadow)
        hashes = await tables.part_hashes(self.site.clickhouse, live.name)
        for disk in self.site.local.disks:
            table = self._link_parts(table, base, (disk, shadow), hashes)
        return table

    def _link_parts(
        self,
        table: TableMetadata,
        base: TableMetadata | None,
        frozen_on: tuple[Disk, str],
        hashes: Mapping[str, str],
    ) -> TableMetadata:
        disk, shadow = frozen_on
        if not (disk.path / "shadow" / shadow).is_dir():
            return table
        ids = partition_ids(self.command.partitions, str(table.name))
        self._clear(table.name, disk)
        parts: list[Part] = []
        fingerprints = dict(table.fingerprints)
        for path in _frozen_parts(disk.path / "shadow" / shadow):
            if not part_is_wanted(path.name, ids):
                continue
            fingerprints[path.name] = hashes.get(path.name) or files.fingerprint(path)
            parts.append(self._link_part(table.name, disk, path))
            if base and same_part(base, disk.name, path.name, fingerprints[path.name]):
                files.remove_tree(self._target(table.name, disk, path.name))
                parts[-1] = Part(name=path.name, required=True)
        return replace(
            table,
            parts=dict(table.parts) | {disk.name: tuple(sorted(parts, key=_by_block))},
            size=dict(table.size) | {disk.name: sum(part.size for part in parts)},
            fingerprints=fingerprints,
        )

    def _link_part(self, table: TableName, disk: Disk, path: Path) -> Part:
        files.link_tree(path, self._target(table, disk, path.name))
        return Part(name=path.name, size=files.size_of(path))

    def _target(self, table: TableName, disk: Disk, part: str) -> Path:
        return self.site.local.part(self.name, table, disk.name, part)

    def _clear(self, table: TableName, disk: Disk) -> None:
        """Start each table anew: the name may have been created before."""
        folder = self._target(table, disk, "any").parent
        if folder.is_dir():
            files.remove_tree(folder)


def _by_block(part: Part) -> tuple[str, int]:
    return part.order


def _frozen_parts(shadow: Path) -> list[Path]:
    """Find them under `store/<abc>/<uuid>/` or, of old servers, `data/<database>/<table>/`."""
    return sorted(
        path for path in shadow.glob("*/*/*/*") if path.is_dir() and path.name != "detached"
    )
