"""Inspections: what one look at a replica showed, and what of it forbids an operation."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tasks.domain.fingerprint import Part
from tasks.domain.journal import Journal
from tasks.domain.listing import Listing
from tasks.domain.replication import Replication
from tasks.domain.tables import Table, TableClass, is_user_database
from tasks.domain.versions import number_of

_OLDEST_SIDECAR = (2, 5, 0)  # --env overrides exist since then
_PLAIN_DATABASES = frozenset({"Atomic", "Ordinary", "Memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """One replica as seen. `busy_with`: what its sidecar is doing for somebody else.

    `parts`: of some tables, where they were asked for.
    """

    shard: str
    replica: str
    clickhouse_version: str
    sidecar_version: str
    macros: Mapping[str, str]
    tables: tuple[Table, ...]
    database_engines: Mapping[str, str]
    functions: Mapping[str, str]
    listing: Listing
    journal: Journal
    replication: tuple[Replication, ...] = ()
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    object_disk_tables: tuple[str, ...] = ()
    free_bytes: int | None = None
    busy_with: str | None = None

    @property
    def place(self) -> str:
        return f"shard {self.shard}, replica {self.replica}"


@dataclass(frozen=True, slots=True)
class Observation:
    """The whole cluster as seen: replicas that answered, and why the others did not."""

    inspections: tuple[Inspection, ...]
    unreachable: Mapping[str, str] = field(default_factory=dict)

    def of_shard(self, shard: str) -> tuple[Inspection, ...]:
        return tuple(seen for seen in self.inspections if seen.shard == shard)

    def of(self, replica: str) -> Inspection:
        return next(seen for seen in self.inspections if seen.replica == replica)


def unfit(seen: Inspection, tables: Iterable[Table]) -> tuple[str, ...]:
    """Say why this replica cannot take part with these tables; empty when it can."""
    chosen = tuple(tables)
    names = {table.full_name for table in chosen}
    findings = [_old_sidecar(seen.sidecar_version), *_odd_databases(seen, chosen)]
    findings += [
        f"table {name} lies on an object-store disk, which is not supported yet"
        for name in seen.object_disk_tables
        if name in names
    ]
    findings += [
        f"table {table.full_name} has the unsupported engine {table.engine}"
        for table in chosen
        if table.engine.startswith("Shared")
    ]
    counted = Counter(table.full_name for table in chosen)
    findings += [
        f"two tables are both called {name}: a dot in a name makes them one to a sidecar"
        for name, count in counted.items()
        if count > 1
    ]
    if seen.busy_with is not None:
        findings.append(f"its sidecar is at work for somebody else: {seen.busy_with}")
    return tuple(f"{seen.place}: {finding}" for finding in findings if finding)


def _old_sidecar(version: str) -> str:
    number = number_of(version)
    if number is None or number >= _OLDEST_SIDECAR:  # without one its behaviour is probed anyhow
        return ""
    oldest = ".".join(str(part) for part in _OLDEST_SIDECAR)
    return f"clickhouse-backup {version} is too old, {oldest} is the oldest that works"


def _odd_databases(seen: Inspection, tables: Iterable[Table]) -> list[str]:
    used = {table.database for table in tables}
    return [
        f"database {name} has the engine {engine}, which is not supported yet"
        for name, engine in sorted(seen.database_engines.items())
        if name in used and engine not in _PLAIN_DATABASES and is_user_database(name)
    ]


def replicated_tables(tables: Iterable[Table]) -> tuple[str, ...]:
    return tuple(t.full_name for t in tables if t.table_class is TableClass.REPLICATED)
