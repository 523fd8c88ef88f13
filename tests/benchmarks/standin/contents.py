"""What a stand-in's server holds: databases and tables with their parts, as system tables show."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Self

Part = dict[str, Any]  # a row of system.parts without its table


@dataclass(slots=True, kw_only=True)
class Table:
    """One table; `told` is the text of a manifest, where it holds one."""

    database: str
    name: str
    engine: str
    definition: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    modified: int = field(default_factory=lambda: int(time.time()))
    parts: list[Part] = field(default_factory=list)
    told: str | None = None

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    def shown(self) -> dict[str, Any]:
        counts = self.engine.endswith("MergeTree")
        active = [part for part in self.parts if part["active"]]
        return {
            "database": self.database,
            "name": self.name,
            "engine": self.engine,
            "uuid": self.uuid,
            "modified": self.modified,
            "definition": self.definition,
            "rows": sum(part["rows"] for part in active) if counts else None,
            "size_bytes": sum(part["bytes_on_disk"] for part in active) if counts else None,
        }


@dataclass(slots=True)
class Contents:
    databases: dict[str, str]  # name -> engine
    tables: dict[str, Table]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        made = [Table(**fields) for fields in document["tables"]]
        return cls(dict(document["databases"]), {table.full_name: table for table in made})

    def matching(self, patterns: Sequence[str]) -> dict[str, Table]:
        return _matching(self.tables, patterns)

    def create(self, database: str, name: str, definition: str) -> None:
        table = Table(database=database, name=name, engine="MergeTree", definition=definition)
        self.tables[table.full_name] = table

    def create_anew(self, kept: Mapping[str, Table], patterns: Sequence[str]) -> None:
        """Do what a schema restore does: definitions and UUIDs of the copy, no rows."""
        for name, table in _matching(kept, patterns).items():
            self.databases.setdefault(table.database, "Atomic")
            self.tables[name] = replace(table, modified=int(time.time()), parts=[])

    def attach(self, kept: Mapping[str, Table], patterns: Sequence[str], mapping: str) -> None:
        """Do what a data restore does: the parts of the copy, under new names."""
        before, _, after = mapping.partition(":")
        for table in _matching(kept, patterns).values():
            database = after if table.database == before else table.database
            target = self.tables[f"{database}.{table.name}"]
            target.told = table.told
            target.parts += [
                part | {"name": f"{part['partition_id']}_{n}_{n}_0"}
                for n, part in enumerate(table.parts, start=len(target.parts) + 1)
            ]

    def drop(self, full_name: str) -> None:
        self.tables.pop(full_name, None)

    def drop_database(self, name: str) -> None:
        self.databases.pop(name, None)
        for full_name in [n for n, table in self.tables.items() if table.database == name]:
            del self.tables[full_name]

    def parts_of(self, full_names: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"database": table.database, "table": table.name, **part}
            for name in full_names
            if (table := self.tables.get(name))
            for part in table.parts
        ]


def _matching(tables: Mapping[str, Table], patterns: Sequence[str]) -> dict[str, Table]:
    return {
        name: table
        for name, table in tables.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
