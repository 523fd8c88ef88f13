"""`download`: tables' metadata first, then their parts, the local metadata.json last."""

from dataclasses import dataclass, replace
from pathlib import Path

from deployments.sandbox.double import files
from deployments.sandbox.double.chain import source_of
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import BackupExists, CommandFailed
from deployments.sandbox.double.local import clean_name
from deployments.sandbox.double.metadata import BackupMetadata, Part, TableMetadata, TableName
from deployments.sandbox.double.patterns import matches_any, part_is_wanted, partition_ids
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.state import State
from deployments.sandbox.double.transfer import Throttle, receive_part

STATE_FILE = "download.state2"

_WITHOUT_TABLES = frozenset({"rbac-only", "configs-only", "named-collections-only"})


async def download(site: Site, command: Command) -> None:
    with files.pid_file(command.name, "download"):
        name = clean_name(command.name)
        site.require_remote("download")
        _refuse_unknown_local(site, name)
        metadata = _remote_metadata(site, name)
        await site.steps.before("download.start")
        state = _open_state(site, command, name)
        downloading = _Downloading(site, command, metadata, state)
        await downloading.run()
        if metadata.required:
            _remove_empty_neighbours(site, name)


def _open_state(site: Site, command: Command, name: str) -> State:
    site.local.folder(name).mkdir(parents=True, exist_ok=True)
    parameters = {
        "tablePattern": command.tables,
        "partitions": list(command.partitions),
        "schemaOnly": "schema" in command.switches,
    }
    return State.open(site.local.folder(name) / STATE_FILE, parameters)


def _refuse_unknown_local(site: Site, name: str) -> None:
    known = any(row.name == name for row in site.local.list())
    if known and not (site.local.folder(name) / STATE_FILE).exists():
        raise BackupExists(
            f"backup is already exists: local backup '{name}' exists but resumable state"
            f" '{STATE_FILE}' is missing, so it is unknown which parts are complete and resuming"
            " on top of partial data risks silent corruption; run `clickhouse-backup delete local"
            f" {name}` and retry the download, or investigate why the resumable state was lost"
        )


def _remote_metadata(site: Site, name: str) -> BackupMetadata:
    if site.bucket.away or not site.bucket.holds(name):
        raise CommandFailed(f"'{name}' is not found on remote storage")
    metadata = site.bucket.find(name).metadata
    if metadata is None:
        raise CommandFailed(f"'{name}' is empty backup")
    if not metadata.tables and not site.settings.allow_empty_backups:
        raise CommandFailed(f"'{name}' is empty backup")
    return metadata


def _remove_empty_neighbours(site: Site, name: str) -> None:
    """Drop every other local backup without sizes, also one in progress."""
    for row in site.local.list():
        found = row.metadata
        sizes = found.data_size + found.compressed_size + found.metadata_size if found else 0
        if row.name != name and sizes == 0:
            site.local.remove(row.name)


@dataclass(slots=True)
class _Downloading:
    site: Site
    command: Command
    metadata: BackupMetadata
    state: State

    async def run(self) -> None:
        tables = [self._table(name) for name in self._wanted()]
        sizes = [self._write_table(table) for table in tables]
        throttle = Throttle(self.site.settings.download_bytes_per_second)
        received = 0
        for table in tables:
            if not table.metadata_only:
                received += await self._data(table, throttle)
        await self.site.steps.before("download.metadata")
        self.site.local.write(
            replace(
                self.metadata,
                tables=tuple(table.name for table in tables),
                data_size=received,
                compressed_size=0,
                metadata_size=sum(sizes),
                data_format="",
            )
        )

    def _wanted(self) -> list[TableName]:
        if self.command.switches & _WITHOUT_TABLES:
            return []
        names = self.metadata.tables
        return [name for name in names if matches_any(self.command.tables, str(name))]

    def _table(self, name: TableName) -> TableMetadata:
        table = self.site.bucket.read_table(self.metadata.name, name)
        if "schema" in self.command.switches:
            return table.schema_only()
        ids = partition_ids(self.command.partitions, str(name))
        kept = {
            disk: tuple(part for part in parts if part_is_wanted(part.name, ids))
            for disk, parts in table.parts.items()
        }
        return table.with_parts(kept)

    def _write_table(self, table: TableMetadata) -> int:
        key = table.name.file
        size = self.state.size_of(key)
        if size is None:
            size = self.site.local.write_table(self.metadata.name, table)
            self.state.add(key, size)
        return size

    async def _data(self, table: TableMetadata, throttle: Throttle) -> int:
        if self.metadata.required:
            self._check_base()
        received = 0
        for disk, part in table.each_part:
            received += await self._part(table, disk, part, throttle)
        return received

    def _check_base(self) -> None:
        try:
            self.site.bucket.read(self.metadata.required)
        except CommandFailed as error:
            raise CommandFailed(
                "one of Download go-routine return error: downloadTableData: downloadDiffParts:"
                f" ReadBackupMetadataRemote: {error}"
            ) from error

    async def _part(self, table: TableMetadata, disk: str, part: Part, throttle: Throttle) -> int:
        target = self.site.local.part(self.metadata.name, table.name, disk, part.name)
        key = str(target)
        received = self.state.size_of(key)
        if received is not None:
            return received
        await self.site.steps.before("download.data")
        received = await fetch_part(self.site, self.metadata, table.name, part, (target, throttle))
        self.state.add(key, received)
        return received


async def fetch_part(
    site: Site,
    metadata: BackupMetadata,
    table: TableName,
    part: Part,
    into: tuple[Path, Throttle],
) -> int:
    target, throttle = into
    if part.required:
        source = source_of(site.bucket, metadata.required, table, part.name)
    else:
        disk = target.parent.name
        source = site.bucket.part(metadata.name, table, disk, part.name)
    return await receive_part(source, target, throttle)
