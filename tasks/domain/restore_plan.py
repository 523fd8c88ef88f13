"""The plan of a restore: what is done on each replica, in words and under a digest."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.domain.errors import BackupError
from tasks.domain.manifest import TableRecord
from tasks.domain.replication import KeeperEntry
from tasks.domain.restore_layout import Followed
from tasks.domain.restore_need import Need
from tasks.domain.restore_request import Mode, RestoreRequest
from tasks.domain.tables import Table, TableClass, table_patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A table that stands, `record`'s partitions of which are replaced. `rows`: those that go."""

    record: TableRecord
    table: Table
    rows: int = 0

    @property
    def partitions(self) -> tuple[str, ...]:
        return partitions_of(self.record)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRestore:
    """One replica's part. `fill`: tables whose rows are attached here, of `create` and `swap`.

    Rows of those in `follow` come by replication. `entries`: where each replicated table will be
    registered, as far as it can be told. `spared`: what else the backup holds. `aside`: where
    tables get other names, each of the backup's by the full name that it gets.
    """

    shard: str
    replica: str
    need: Need = Need.REPLACE
    drop: tuple[Table, ...]
    create: tuple[TableRecord, ...]
    late: tuple[TableRecord, ...]
    fill: tuple[TableRecord, ...]
    swap: tuple[Swap, ...] = ()
    by_partition: bool = False  # every attach empties its partitions first: it may be repeated
    spared: tuple[TableRecord, ...] = ()
    aside: Mapping[str, TableRecord] = field(default_factory=dict)
    follow: tuple[Followed, ...] = ()
    functions: tuple[str, ...] = ()  # SQL functions of another definition, which are replaced
    strays: frozenset[str] = frozenset()  # out of `drop`: made by the restore that is undone
    entries: Mapping[str, KeeperEntry] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Tell every table that this restore makes, drops or changes here."""
        made = (table.full_name for table in self.restored)
        return frozenset(made) | {table.full_name for table in self.drop}

    @property
    def restored(self) -> tuple[TableRecord, ...]:
        """List what stands at the end as the backup has it, in whole or in some partitions."""
        return (*self.create, *self.late, *(swap.record for swap in self.swap))

    @property
    def needed(self) -> tuple[TableRecord, ...]:
        """List the tables that must be on this replica's disk before anything is dropped."""
        if self.aside:
            return tuple(self.aside.values())
        filled = {table.full_name: table for table in self.fill}
        made = {table.full_name: table for table in (*self.create, *self.late)}
        return tuple((made | filled).values())

    @property
    def refilled(self) -> tuple[TableRecord, ...]:
        """List the tables that will hold the backup's rows, whoever attaches them."""
        return (*self.fill, *(followed.record for followed in self.follow))

    @property
    def schema_patterns(self) -> tuple[str, ...]:
        return patterns_of(self.create, apart_from=(*self.late, *self.spared))

    @property
    def late_patterns(self) -> tuple[str, ...]:
        return patterns_of(self.late, apart_from=(*self.create, *self.spared))

    @property
    def needed_patterns(self) -> tuple[str, ...]:
        return patterns_of(self.needed, apart_from=self.spared)

    @property
    def data_patterns(self) -> tuple[str, ...]:
        followed = (followed.record for followed in self.follow)
        others = (*self.late, *followed, *self.spared)
        return patterns_of(self.attached, apart_from=others)

    @property
    def attached(self) -> tuple[TableRecord, ...]:
        """List the tables whose rows are attached here, by the names that the backup knows."""
        return tuple(self.aside.values()) or self.fill

    @property
    def databases(self) -> dict[str, str]:
        """Tell which databases get another name."""
        made = zip(self.create, self.aside.values(), strict=True) if self.aside else ()
        return {record.database: target.database for target, record in made}

    @property
    def data_partitions(self) -> tuple[str, ...]:
        """Name the partitions that are attached, each with its table; empty: whole tables."""
        if not self.by_partition:
            return ()
        # never without the table: a sidecar takes an id for every table that a command names
        return tuple(f"{t.full_name}:{','.join(partitions_of(t))}" for t in self.attached)

    @property
    def may_lose_rows(self) -> bool:
        """Tell whether tables with rows are changed that no drop was planned for."""
        return self.need is Need.REMAKE or bool(self.swap)

    @property
    def replicates(self) -> bool:
        """Tell whether it drops or makes a table that the coordination service knows."""
        made = (table.table_class for table in self.restored)
        classes = {*made, *(table.table_class for table in self.drop)}
        return TableClass.REPLICATED in classes

    @property
    def sources(self) -> frozenset[str]:
        """Name the replicas that attach rows which come here by replication."""
        return frozenset(followed.source for followed in self.follow)

    @property
    def definitions(self) -> dict[str, str]:
        return {table.full_name: table.definition for table in (*self.create, *self.late)}

    @property
    def steps(self) -> Iterator[tuple[str, str]]:
        """What is done, in the same words whenever the same is done, each with its figures."""
        for table in self.drop:
            yield f"drop {table.full_name}", _rows(table.rows)
        for swap in self.swap:
            words = f"replace partition {', '.join(swap.partitions)} of {swap.record.full_name}"
            yield words, f" ({swap.rows} rows go)"
        for name in self.functions:
            yield f"replace SQL function {name}", ""
        for record in (*self.create, *self.late):
            yield f"create {record.full_name}", ""
        for record in self.fill:
            yield f"attach the rows of {record.full_name}", _rows(rows_of(record))
        for followed in self.follow:
            words = f"get the rows of {followed.record.full_name} from {followed.source}"
            yield words, _rows(rows_of(followed.record))

    def told(self, *, figures: bool) -> Iterator[str]:
        place = f"shard {self.shard}, {self.replica}:"
        return (f"{place} {words}{counted * figures}" for words, counted in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Rows that would be dropped and that this backup does not bring back here."""

    shard: str
    replica: str
    table: Table
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """One restore of a whole cluster, decided."""

    backup_name: str
    backup_operation_id: str = ""  # who made it: a name may be given again
    request: RestoreRequest
    replicas: tuple[ReplicaRestore, ...]
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()  # which replica attaches replicated rows, and why that one
    hints: tuple[str, ...] = ()  # what a person should know before anything else
    moves: tuple[str, ...] = ()  # how rows that are brought back beside come to their tables

    @property
    def drops(self) -> bool:
        return any(part.drop for part in self.replicas)

    def of(self, replica: str) -> ReplicaRestore:
        return next(part for part in self.replicas if part.replica == replica)

    def missing_on(self, replica: str) -> tuple[str, ...] | None:
        """Name the tables that are restored because they do not stand; None for other reasons."""
        if self.request.mode is not Mode.MISSING:
            return None
        return tuple(table.full_name for table in self.of(replica).restored)

    def unhurt(self, errors: Mapping[str, BackupError]) -> list[str]:
        """List the replicas of shards where nothing failed: a shard goes on whole or not at all.

        So do shards that share a replicated table.
        """
        shard_of = {part.replica: part.shard for part in self.replicas}
        hurt = {shard_of[replica] for replica in errors}
        ties = {
            frozenset({part.shard, shard_of[source]})
            for part in self.replicas
            for source in part.sources
        }
        while spread := [tie for tie in ties if tie & hurt and not tie <= hurt]:
            hurt |= frozenset().union(*spread)
        return [part.replica for part in self.replicas if part.shard not in hurt]

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person reads: hints first, then losses, then each step with its figures."""
        return (*self.hints, *self._told(figures=True))

    def _told(self, *, figures: bool) -> Iterator[str]:
        for loss, name in zip(self.losses, self.lost, strict=True):
            yield f"lost for good: {name}{_rows(loss.table.rows) * figures}"
        yield from self.choices
        for part in self.replicas:
            yield from part.told(figures=figures)

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(f"{loss.table.full_name} on {loss.replica}" for loss in self.losses)

    @property
    def digest(self) -> str:
        """SHA-256 of what is done and to which tables, hexadecimal: what `approved_plan` pins.

        Not of figures: rows come and go while somebody reads the plan.
        """
        saving = f"safety copy: {self.request.options.keep_safety_copy}"
        # the very tables that were looked at, not others of their names
        changed = [(*part.drop, *(swap.table for swap in part.swap)) for part in self.replicas]
        doomed = [f"{t.full_name} {t.identity}" for tables in changed for t in tables]
        source = f"{self.backup_name} {self.backup_operation_id}"
        text = "\n".join((source, saving, *doomed, *self._told(figures=False)))
        return hashlib.sha256(text.encode()).hexdigest()


def partitions_of(table: TableRecord) -> tuple[str, ...]:
    """List the ids of the partitions that a backup holds of a table."""
    return tuple(table.fingerprint.partitions) if table.fingerprint else ()


def rows_of(table: TableRecord) -> int | None:
    """Count the rows that a backup holds of a table, as far as it tells."""
    return table.rows if table.fingerprint is None else table.fingerprint.rows


def _rows(count: int | None) -> str:
    return "" if count is None else f" ({count} rows)"


def patterns_of(
    tables: Iterable[TableRecord], *, apart_from: Iterable[TableRecord] = ()
) -> tuple[str, ...]:
    """Patterns that name these tables in a command, and none of `apart_from`."""
    chosen, others = ([table.as_table() for table in some] for some in (tables, apart_from))
    return table_patterns(chosen, apart_from=others)
