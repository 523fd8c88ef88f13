"""The shared folder that stands for the object store: one prefix per shard, objects as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.files import remove_tree, write_file
from deployments.sandbox.double.knobs import Steps
from deployments.sandbox.double.local import Listed
from deployments.sandbox.double.metadata import (
    BACKUP_FILE,
    DATA_FORMAT,
    BackupMetadata,
    CorruptMetadata,
    TableMetadata,
    TableName,
    encoded,
)
from deployments.sandbox.double.settings import Settings

NO_DATE = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bucket:
    store: Path
    root: Path
    steps: Steps

    @classmethod
    def of(cls, settings: Settings, macros: Mapping[str, str], steps: Steps) -> "Bucket":
        path = settings.remote_path
        for macro, value in macros.items():
            path = path.replace("{" + macro + "}", value)
        return cls(settings.remote_dir, settings.remote_dir / path.strip("/"), steps)

    @property
    def away(self) -> bool:
        return not self.store.is_dir() or self.steps.knobs().remote_away

    @property
    def drafts(self) -> Path:
        """Keep objects on their way where nothing lists them."""
        return self.store / ".drafts"

    def check(self) -> None:
        if self.away:
            raise CommandFailed(f"remote storage {self.store}: connection refused")

    def list(self) -> list[Listed]:
        """List by time of upload. A store that does not answer lists nothing, and tells nobody."""
        if self.away:
            return []
        names = sorted(path.name for path in self.root.glob("*") if path.is_dir())
        rows = sorted((self.find(name) for name in names), key=self._uploaded)
        return rows[: len(rows) // 2] if self.steps.knobs().partial_listing else rows

    def _uploaded(self, row: Listed) -> float:
        return 0.0 if row.broken else (self.root / row.name / BACKUP_FILE).stat().st_mtime

    def find(self, name: str) -> Listed:
        """Find the backup of this name, broken when its metadata has not arrived."""
        try:
            content = (self.root / name / BACKUP_FILE).read_bytes()
            metadata = BackupMetadata.from_bytes(content)
        except FileNotFoundError:
            return Listed(name=name, created=NO_DATE, broken="broken (can't stat metadata.json)")
        except CorruptMetadata:
            return Listed(name=name, created=NO_DATE, broken="broken (bad metadata.json)")
        return Listed(name=name, created=metadata.created, metadata=metadata)

    def holds(self, name: str) -> bool:
        self.check()
        return (self.root / name).is_dir()

    def read(self, name: str) -> BackupMetadata:
        """Read a link of a chain: a broken base is named as such."""
        if not self.holds(name):
            raise CommandFailed(f"{name} not found on remote storage")
        found = self.find(name)
        if found.metadata is None:
            raise CommandFailed(f"{name} is {found.broken} on remote storage")
        return found.metadata

    def read_table(self, name: str, table: TableName) -> TableMetadata:
        path = self.root / name / table.file
        try:
            return TableMetadata.from_bytes(path.read_bytes())
        except FileNotFoundError as error:
            raise CommandFailed(
                f"remote metadata file {name}/{table.file} not found on remote storage,"
                " backup is broken"
            ) from error

    def part(self, name: str, table: TableName, disk: str, part: str) -> Path:
        file = f"{disk}_{encoded(part)}.{DATA_FORMAT}"
        return self.root / name / "shadow" / table.folder / file

    def write(self, name: str, file: str, content: bytes) -> int:
        self.check()
        return write_file(self.root / name / file, content)

    def remove(self, name: str) -> None:
        self.check()
        remove_tree(self.root / name)
