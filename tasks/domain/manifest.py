"""The manifest: the record of a whole-cluster backup that lies beside it in the bucket.

Written only when every shard is confirmed; the first copy that is listed commits the backup.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.domain.errors import BackupUnusable
from tasks.domain.fingerprint import Fingerprint
from tasks.domain.requests import Scope, sentence_of
from tasks.domain.tables import Table, TableClass, database_patterns, is_user_database

FORMAT = 1


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TableRecord(_Stored):
    """A table as it was. `fingerprint` None: its rows could not be told, or were not kept."""

    database: str
    name: str
    engine: str
    definition: str
    uuid: str = ""
    rows: int | None = None
    fingerprint: Fingerprint | None = None

    @classmethod
    def of(cls, table: Table, fingerprint: Fingerprint | None) -> Self:
        return cls(
            database=table.database,
            name=table.name,
            engine=table.engine,
            definition=table.definition,
            uuid=table.uuid,
            rows=table.rows,
            fingerprint=fingerprint,
        )

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def table_class(self) -> TableClass:
        return self.as_table().table_class

    def as_table(self) -> Table:
        return Table(
            database=self.database,
            name=self.name,
            engine=self.engine,
            uuid=self.uuid,
            definition=self.definition,
            rows=self.rows,
        )


class ReplicaRecord(_Stored):
    """What one chosen replica put into the backup, and when it was frozen (the flow's clock).

    `base`: the backup whose parts it does not hold again; empty for a full one.
    """

    shard: str
    replica: str
    macros: dict[str, str]
    tables: tuple[TableRecord, ...]
    functions: dict[str, str] = {}  # name -> definition
    frozen_from: datetime
    frozen_until: datetime
    size_bytes: int = 0
    base: str = ""
    clickhouse_version: str = ""
    sidecar_version: str = ""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns that name these tables, and no others of the copy, in a command."""
        return database_patterns(table.as_table() for table in self.tables)

    @property
    def frozen_bytes(self) -> int:
        """How large the parts of its tables are, as far as their fingerprints are known."""
        return sum(table.fingerprint.size_bytes for table in self.tables if table.fingerprint)

    def gaps_in(self, parts: Mapping[str, int]) -> tuple[str, ...]:
        """Name the tables of which a copy holds too little; `parts`: table -> number of parts."""
        return tuple(
            table.full_name
            for table in self.tables
            if table.full_name not in parts
            or (table.fingerprint and table.fingerprint.count != parts[table.full_name])
        )


class Manifest(_Stored):
    """One recovery point of a whole cluster."""

    format: int = FORMAT
    backup_name: str
    operation_id: str
    installation: str
    cluster: str
    scope: Scope
    request: dict[str, Any]
    shards: dict[str, tuple[str, ...]]  # every shard and its replicas at that time
    replicas: tuple[ReplicaRecord, ...] = Field(min_length=1)  # those that hold data of it
    uncovered: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()  # why it should not take the place of an earlier one
    adopted: bool = False  # written for a backup that this product did not make

    @model_validator(mode="after")
    def _names_tables_of_users(self) -> Self:
        # a restore drops and creates what a manifest names: never our own journal and locks
        named = (table for record in self.replicas for table in record.tables)
        ours = {table.full_name for table in named if not is_user_database(table.database)}
        if ours:
            message = f"tables that no backup holds: {', '.join(sorted(ours))}"
            raise ValueError(message)
        return self

    def to_text(self) -> str:
        """Render with the digest that `from_text` checks."""
        body = self.model_dump(mode="json")
        return json.dumps({"format": self.format, "digest": _digest(body), "manifest": body})

    @classmethod
    def from_text(cls, text: str, *, origin: str) -> Self:
        """Parse. Raises BackupUnusable when corrupt or newer than this product."""
        try:
            document = json.loads(text)
            number, digest, body = document["format"], document["digest"], document["manifest"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"the manifest of {origin} is corrupt: {error!r}"
            raise BackupUnusable(message) from error
        if number != FORMAT:
            message = f"the manifest of {origin} has format {number}; this version reads {FORMAT}"
            raise BackupUnusable(message)
        if digest != _digest(body):
            message = f"the manifest of {origin} is corrupt: its digest does not match"
            raise BackupUnusable(message)
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            message = f"the manifest of {origin} is corrupt: {sentence_of(error)}"
            raise BackupUnusable(message) from error

    @property
    def table_names(self) -> tuple[str, ...]:
        return tuple(sorted({t.full_name for replica in self.replicas for t in replica.tables}))

    @property
    def rows(self) -> int:
        return sum(
            table.fingerprint.rows
            for replica in self.replicas
            for table in replica.tables
            if table.fingerprint
        )

    @property
    def size_bytes(self) -> int:
        return sum(replica.size_bytes for replica in self.replicas)


def _digest(body: object) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
