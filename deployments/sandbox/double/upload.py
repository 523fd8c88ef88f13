"""`upload`: the parts first, then each table's metadata, metadata.json last."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployments.sandbox.double import files
from deployments.sandbox.double.chain import base_tables, with_required_parts
from deployments.sandbox.double.commands import Command
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.local import clean_name
from deployments.sandbox.double.metadata import (
    BACKUP_FILE,
    DATA_FORMAT,
    BackupMetadata,
    Part,
    TableMetadata,
    TableName,
)
from deployments.sandbox.double.patterns import matches_any, part_is_wanted, partition_ids
from deployments.sandbox.double.retention import keep_newest_local, keep_newest_remote
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.state import State
from deployments.sandbox.double.transfer import Throttle, send_part

STATE_FILE = "upload.state2"

_WITHOUT_TABLES = frozenset({"rbac-only", "configs-only", "named-collections-only"})


async def upload(site: Site, command: Command) -> None:
    with files.pid_file(command.name, "upload"):
        name = clean_name(command.name)
        _check(site, command, name)
        metadata = _local_metadata(site, name)
        selected = _selected_tables(site, command, name)
        site.bucket.check()
        base, required = _base(site, command)
        state = _open_state(site, command, name)
        throttle = Throttle(site.settings.upload_bytes_per_second)
        uploading = _Uploading(site, command, name, state, throttle)
        await site.steps.before("upload.start")
        if required:
            metadata = replace(metadata, required=required)
        for table in selected:
            uploading.compressed += await uploading.table(table, base.get(table.name))
        await uploading.finish(replace(metadata, tables=tuple(table.name for table in selected)))
    await _clean_up(site, command, name)


def upload_parameters(command: Command) -> dict[str, Any]:
    """Tell what a resumed upload must have in common with the one that it resumes."""
    return {
        "diffFrom": command.texts.get("diff-from", ""),
        "diffFromRemote": command.texts.get("diff-from-remote", ""),
        "tablePattern": command.tables,
        "partitions": list(command.partitions),
        "schemaOnly": "schema" in command.switches,
    }


def _check(site: Site, command: Command, name: str) -> None:
    try:
        site.require_remote("upload")
    except CommandFailed as error:
        raise CommandFailed(f"validateUploadParams: {error}") from error
    bases = [command.texts.get(flag, "") for flag in ("diff-from", "diff-from-remote")]
    if name in bases:
        raise CommandFailed("validateUploadParams: you cannot upload diff from the same backup")
    if all(bases):
        raise CommandFailed(
            "validateUploadParams: choose setup only `--diff-from-remote` or `--diff-from`,"
            " not both"
        )


def _local_metadata(site: Site, name: str) -> BackupMetadata:
    if not any(row.name == name for row in site.local.list()):
        raise CommandFailed(f"can't find local backup: backup '{name}' is not found")
    prefix = "b.ReadBackupMetadataLocal return error"
    try:
        metadata = site.local.read(name)
    except CommandFailed as error:
        raise CommandFailed(f"{prefix}: ReadBackupMetadataLocal: {error}") from error
    if not metadata.tables and not site.settings.allow_empty_backups:
        raise CommandFailed(f"{prefix}: '{name}' is empty backup")
    return metadata


def _selected_tables(site: Site, command: Command, name: str) -> list[TableMetadata]:
    found = [
        _only_partitions(table, command)
        for table in site.local.read_tables(name)
        if matches_any(command.tables, str(table.name))
    ]
    if command.switches & _WITHOUT_TABLES:
        return []
    return found


def _only_partitions(table: TableMetadata, command: Command) -> TableMetadata:
    ids = partition_ids(command.partitions, str(table.name))
    kept = {
        disk: tuple(part for part in parts if part_is_wanted(part.name, ids))
        for disk, parts in table.parts.items()
    }
    return table.with_parts(kept)


def _base(site: Site, command: Command) -> tuple[dict[TableName, TableMetadata], str]:
    remote = command.texts.get("diff-from-remote", "")
    if remote:
        return base_tables(site.bucket, remote, command.tables), remote
    local = command.texts.get("diff-from", "")
    if not local:
        return {}, ""
    site.local.read(local)
    return {table.name: table for table in site.local.read_tables(local)}, local


def _open_state(site: Site, command: Command, name: str) -> State:
    """Forget a state that speaks of a remote backup which is gone: everything is sent again."""
    path = site.local.folder(name) / STATE_FILE
    if not site.bucket.holds(name):
        path.unlink(missing_ok=True)
    return State.open(path, upload_parameters(command))


@dataclass(slots=True)
class _Uploading:
    """One run: counts what has been stored under the name, by this run and those before it."""

    site: Site
    command: Command
    name: str
    state: State
    throttle: Throttle
    compressed: int = 0
    metadata_size: int = 0

    async def table(self, table: TableMetadata, base: TableMetadata | None) -> int:
        sent = 0
        if "schema" not in self.command.switches:
            table = with_required_parts(table, base) if base else table
            for disk, part in table.each_part:
                if not part.required:
                    sent += await self._part(table.name, disk, part)
        self.metadata_size += self._table_file(table)
        return sent

    async def finish(self, metadata: BackupMetadata) -> None:
        await self.site.steps.before("upload.metadata")
        described = replace(
            metadata,
            compressed_size=self.compressed,
            metadata_size=self.metadata_size,
            data_format=DATA_FORMAT,
        )
        self.site.bucket.write(self.name, BACKUP_FILE, described.to_bytes())

    async def _part(self, table: TableName, disk: str, part: Part) -> int:
        key = f"{self.name}/shadow/{table.folder}/{disk}/{part.name}"
        sent = self.state.size_of(key)
        if sent is not None:
            return sent
        await self.site.steps.before("upload.data")
        self.site.bucket.check()
        source = self.site.local.part(self.name, table, disk, part.name)
        target = self.site.bucket.part(self.name, table, disk, part.name)
        sent = await send_part(source, target, self.site.bucket.drafts, self.throttle)
        self.state.add(key, sent)
        if "delete-source" in self.command.switches:
            _remove(source)
        return sent

    def _table_file(self, table: TableMetadata) -> int:
        """Write it once: a second upload under the name keeps describing the old parts."""
        key = f"{self.name}/{table.name.file}"
        size = self.state.size_of(key)
        if size is None:
            size = self.site.bucket.write(self.name, table.name.file, table.to_bytes())
            self.state.add(key, size)
        return size


def _remove(folder: Path) -> None:
    if folder.is_dir():
        files.remove_tree(folder)


async def _clean_up(site: Site, command: Command, name: str) -> None:
    await site.steps.before("upload.retention")
    keep_newest_remote(site)
    keep_newest_local(site, after_create=False)
    if site.settings.keep_local >= 0 and "delete-source" in command.switches:
        site.local.remove(name)
