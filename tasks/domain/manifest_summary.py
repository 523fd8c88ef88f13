"""The summary of a manifest: what the catalogue needs of it, small however many parts there are.

Kept in the journal of the replica that read or wrote the manifest, so that a listing of many
backups fetches each manifest once.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.requests import Scope
from tasks.domain.tables import TableClass


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def definition_digest(definition: str) -> str:
    """Shorten a definition to what tells it from another one."""
    return hashlib.sha256(definition.encode()).hexdigest()[:16]


class TableSummary(_Kept):
    """One table on one replica. `rows` None: nobody could tell, or none were kept.

    `digest`: of its definition; empty where that was not noted.
    """

    name: str
    table_class: TableClass
    rows: int | None = None
    digest: str = ""

    @property
    def keeps_rows(self) -> bool:
        return self.table_class in {TableClass.REPLICATED, TableClass.LOCAL}

    @classmethod
    def of(cls, table: TableRecord, scope: Scope) -> Self:
        kept = table.fingerprint
        made = cls(
            name=table.full_name,
            table_class=table.table_class,
            rows=None if kept is None else kept.rows,
            digest=definition_digest(table.definition) if table.definition else "",
        )
        if made.keeps_rows and kept is None and scope is Scope.FULL:  # as the server counted them
            return made.model_copy(update={"rows": table.rows})
        return made


class ReplicaSummary(_Kept):
    """What one replica stored."""

    shard: str
    replica: str
    frozen_from: datetime
    frozen_until: datetime
    size_bytes: int
    tables: tuple[TableSummary, ...]

    @classmethod
    def of(cls, record: ReplicaRecord, scope: Scope) -> Self:
        return cls(
            shard=record.shard,
            replica=record.replica,
            frozen_from=record.frozen_from,
            frozen_until=record.frozen_until,
            size_bytes=record.size_bytes,
            tables=tuple(TableSummary.of(table, scope) for table in record.tables),
        )


class ManifestSummary(_Kept):
    """One recovery point in short."""

    backup_name: str
    operation_id: str
    installation: str
    cluster: str
    scope: Scope
    schedule: str = ""
    selection: tuple[str, ...] = ()  # what was asked for: tables, partitions; empty: all
    adopted: bool = False
    doubts: tuple[str, ...] = ()
    shards: dict[str, tuple[str, ...]]
    replicas: tuple[ReplicaSummary, ...]
    uncovered: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        return cls(
            backup_name=manifest.backup_name,
            operation_id=manifest.operation_id,
            installation=manifest.installation,
            cluster=manifest.cluster,
            scope=manifest.scope,
            schedule=str(manifest.request.get("schedule") or ""),
            selection=_selection(manifest.request),
            adopted=manifest.adopted,
            doubts=manifest.doubts,
            shards=manifest.shards,
            replicas=tuple(ReplicaSummary.of(r, manifest.scope) for r in manifest.replicas),
            uncovered=manifest.uncovered,
        )

    @property
    def frozen_at(self) -> datetime:
        """The time that it stands for: the freeze of the last shard, by the flow's clock."""
        return max(replica.frozen_until for replica in self.replicas)

    @property
    def skew_seconds(self) -> float:
        first = min(replica.frozen_from for replica in self.replicas)
        return (self.frozen_at - first).total_seconds()

    @property
    def rows(self) -> int:
        return sum(self.rows_by_table().values())

    @property
    def counted(self) -> bool:
        """Tell whether the rows of every table that keeps any are known."""
        kept = (table for replica in self.replicas for table in replica.tables)
        return all(table.rows is not None for table in kept if table.keeps_rows)

    def rows_by_place(self) -> dict[tuple[str, str], int]:
        """Count the rows of each table on each shard; of several copies of a shard, one."""
        counted: dict[tuple[str, str], int] = {}
        for replica in self.replicas:
            for table in replica.tables:
                place, rows = (replica.shard, table.name), table.rows or 0
                if table.table_class is TableClass.LOCAL:  # rows of its own on every replica
                    counted[place] = counted.get(place, 0) + rows
                else:
                    counted[place] = max(counted.get(place, 0), rows)
        return counted

    def rows_by_table(self) -> dict[str, int]:
        """Count the rows of each table over all shards."""
        total: dict[str, int] = {}
        for (_, name), rows in self.rows_by_place().items():
            total[name] = total.get(name, 0) + rows
        return total


def _selection(request: Mapping[str, Any]) -> tuple[str, ...]:
    asked = [*(request.get("tables") or ()), *(request.get("partitions") or ())]
    return tuple(sorted(str(one) for one in asked))
