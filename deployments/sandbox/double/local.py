"""Backups on the node's own disks: where they lie, what they say, how they are listed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployments.sandbox.double.clickhouse import Disk
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.files import remove_tree, write_file
from deployments.sandbox.double.metadata import (
    BACKUP_FILE,
    BackupMetadata,
    CorruptMetadata,
    TableMetadata,
    TableName,
)

_REMOVED_FROM_NAMES = re.compile(r"[\t\r\n ]+|\.{2,}|[\\/]+")


def clean_name(name: str) -> str:
    """Remove blanks, slashes and runs of dots, without a word."""
    return _REMOVED_FROM_NAMES.sub("", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One backup as a listing shows it; `broken` is empty for a healthy one."""

    name: str
    created: datetime
    metadata: BackupMetadata | None = None
    broken: str = ""

    @property
    def required(self) -> str:
        return self.metadata.required if self.metadata else ""


@dataclass(frozen=True, slots=True)
class LocalBackups:
    """The folders `backup/<name>` on every disk; the first disk also holds the metadata."""

    disks: tuple[Disk, ...]

    @property
    def default(self) -> Path:
        named = [disk.path for disk in self.disks if disk.name == "default"]
        return named[0] if named else self.disks[0].path

    def folder(self, name: str) -> Path:
        return self.default / "backup" / name

    def part(self, name: str, table: TableName, disk: str, part: str) -> Path:
        return self.disk(disk) / "backup" / name / "shadow" / table.folder / disk / part

    def disk(self, name: str) -> Path:
        for disk in self.disks:
            if disk.name == name:
                return disk.path
        raise CommandFailed(f"disk {name} not found in diskMap")

    def list(self) -> list[Listed]:
        """List the oldest first, broken ones by the age of their folder."""
        home = self.default / "backup"
        folders = [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []
        return sorted((self._listed(path) for path in folders), key=lambda row: row.created)

    def _listed(self, folder: Path) -> Listed:
        changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        try:
            metadata = BackupMetadata.from_bytes((folder / BACKUP_FILE).read_bytes())
        except FileNotFoundError:
            broken = "broken metadata.json not found"
        except CorruptMetadata as error:
            broken = f"parse metadata.json error: {error}"
        else:
            return Listed(name=metadata.name, created=metadata.created, metadata=metadata)
        return Listed(name=folder.name, created=changed, broken=broken)

    def read(self, name: str) -> BackupMetadata:
        path = self.folder(name) / BACKUP_FILE
        try:
            return BackupMetadata.from_bytes(path.read_bytes())
        except FileNotFoundError as error:
            raise CommandFailed(f"open {path}: no such file or directory") from error

    def read_tables(self, name: str) -> Iterator[TableMetadata]:
        """Read the metadata folder, which may hold less than the list in metadata.json."""
        for path in sorted((self.folder(name) / "metadata").glob("*/*.json")):
            yield TableMetadata.from_bytes(path.read_bytes())

    def write(self, metadata: BackupMetadata) -> None:
        write_file(self.folder(metadata.name) / BACKUP_FILE, metadata.to_bytes())

    def write_table(self, name: str, table: TableMetadata) -> int:
        return write_file(self.folder(name) / table.name.file, table.to_bytes())

    def remove(self, name: str) -> None:
        for disk in self.disks:
            folder = disk.path / "backup" / name
            if folder.is_dir():
                remove_tree(folder)

    def clean_shadow(self, name: str = "*") -> None:
        for disk in self.disks:
            for folder in (disk.path / "shadow").glob(name):
                if folder.is_dir():
                    remove_tree(folder)
                else:
                    folder.unlink()
