"""The two kinds of JSON file in a backup, with the real server's keys."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

BACKUP_FILE = "metadata.json"
DATA_FORMAT = "tar"


class CorruptMetadata(Exception):
    """The file is there and cannot be read as metadata."""


@dataclass(frozen=True, slots=True)
class TableName:
    database: str
    table: str

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"

    @property
    def folder(self) -> str:
        return f"{encoded(self.database)}/{encoded(self.table)}"

    @property
    def file(self) -> str:
        return f"metadata/{self.folder}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    required: bool = False
    size: int = 0

    @property
    def order(self) -> tuple[str, int]:
        """Sort by block: merging engines need their parts attached in that order."""
        partition, _, rest = self.name.partition("_")
        first_block = rest.partition("_")[0]
        return partition, int(first_block) if first_block.isdigit() else 0


Parts = Mapping[str, tuple[Part, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetadata:
    """One table of a backup.

    `fingerprints` tell equal parts: a hash from the server, or, where the server has none, one of
    the part's own checksum file.
    """

    name: TableName
    query: str
    uuid: str = ""
    parts: Parts = field(default_factory=dict)
    size: Mapping[str, int] = field(default_factory=dict)
    total_bytes: int = 0
    metadata_only: bool = False
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        found = _parsed(content)
        return cls(
            name=TableName(found["database"], found["table"]),
            query=found["query"],
            uuid=found.get("uuid", ""),
            parts={disk: tuple(_parts(rows)) for disk, rows in (found["parts"] or {}).items()},
            size=found["size"] or {},
            total_bytes=found.get("total_bytes", 0),
            metadata_only=found["metadata_only"],
            fingerprints=found.get("hash_of_all_files", {}),
        )

    def to_bytes(self) -> bytes:
        document = {
            "table": self.name.table,
            "database": self.name.database,
            "uuid": self.uuid,
            "parts": {disk: [_part_row(part) for part in found] for disk, found in self.each_disk},
            "query": self.query,
            "size": dict(self.size),
            "total_bytes": self.total_bytes,
            "metadata_only": self.metadata_only,
            "hash_of_all_files": dict(self.fingerprints),
        }
        return json.dumps(document, indent="\t").encode()

    @property
    def each_disk(self) -> Iterable[tuple[str, tuple[Part, ...]]]:
        return self.parts.items()

    @property
    def each_part(self) -> Iterator[tuple[str, Part]]:
        return ((disk, part) for disk, parts in self.parts.items() for part in parts)

    def schema_only(self) -> Self:
        return replace(self, parts={}, size={}, total_bytes=0, fingerprints={}, metadata_only=True)

    def with_parts(self, parts: Parts) -> Self:
        return replace(self, parts=parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMetadata:
    name: str
    created: datetime
    disks: Mapping[str, str]
    disk_types: Mapping[str, str]
    tags: str = "regular"
    clickhouse_version: str = ""
    data_size: int = 0
    metadata_size: int = 0
    compressed_size: int = 0
    databases: tuple[Mapping[str, str], ...] = ()
    tables: tuple[TableName, ...] = ()
    functions: tuple[Mapping[str, str], ...] = ()
    data_format: str = ""
    required: str = ""

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        found = _parsed(content)
        return cls(
            name=found["backup_name"],
            created=datetime.fromisoformat(found["creation_date"]),
            disks=found["disks"],
            disk_types=found["disk_types"],
            tags=found.get("tags", ""),
            clickhouse_version=found.get("clickhouse_version", ""),
            data_size=found.get("data_size", 0),
            metadata_size=found["metadata_size"],
            compressed_size=found.get("compressed_size", 0),
            databases=tuple(found.get("databases", ())),
            tables=tuple(TableName(row["database"], row["table"]) for row in found["tables"] or ()),
            functions=tuple(found["functions"] or ()),
            data_format=found["data_format"],
            required=found.get("required_backup", ""),
        )

    def to_bytes(self) -> bytes:
        document = {
            "backup_name": self.name,
            "disks": dict(self.disks),
            "disk_types": dict(self.disk_types),
            "version": "double",
            "creation_date": self.created.isoformat(),
            "tags": self.tags,
            "clickhouse_version": self.clickhouse_version,
            "data_size": self.data_size,
            "metadata_size": self.metadata_size,
            "compressed_size": self.compressed_size,
            "databases": [dict(database) for database in self.databases],
            "tables": [{"database": name.database, "table": name.table} for name in self.tables],
            "functions": [dict(function) for function in self.functions],
            "data_format": self.data_format,
            "required_backup": self.required,
        }
        return json.dumps(document, indent="\t").encode()

    @property
    def full_size(self) -> int:
        return self.metadata_size + (self.compressed_size or self.data_size)


def encoded(name: str) -> str:
    """Write a name as a folder name: every character outside [0-9A-Za-z_] as %XX."""
    return re.sub(r"[^0-9A-Za-z_]", _percent, name)


def _percent(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())


def _part_row(part: Part) -> dict[str, Any]:
    required = {"required": True} if part.required else {}
    return {"name": part.name, **required, "size": part.size}


def _parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[Part]:
    for row in rows:
        required, size = row.get("required", False), row.get("size", 0)
        yield Part(name=row["name"], required=required, size=size)


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise CorruptMetadata(str(error)) from error
    if not isinstance(found, dict):
        raise CorruptMetadata("not an object")
    return found
