"""The plan of a backup: which replica of each shard stores which tables, and why that one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.domain.base_choice import Base, Wish, base_for
from tasks.domain.errors import PreflightFailed
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.names import is_companion, manifest_name
from tasks.domain.replica_choice import begun_on, choose
from tasks.domain.requests import NONE, BackupRequest
from tasks.domain.restore_need import half_restored_by
from tasks.domain.tables import Table, TableClass, database_patterns, selected, table_patterns
from tasks.domain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPlan:
    """What one chosen replica stores. `patterns` name its tables in commands; none: no tables."""

    shard: str
    replica: str
    reason: str
    tables: tuple[Table, ...]
    patterns: tuple[str, ...]
    base: Base = field(default_factory=Base)

    @property
    def why(self) -> str:
        """Say why this replica stores, and how where that had to be chosen."""
        how = self.base.sentence if self.tables else ""
        return f"{self.reason}; {how}" if how else self.reason

    @property
    def sentence(self) -> str:
        tables = f"{len(self.tables)} tables" if self.tables else "no tables"
        return f"shard {self.shard}: {tables} from {self.replica} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """One backup of a whole cluster, decided. `uncovered`: rows that no chosen replica holds.

    `doubts`: why it should not take the place of an earlier one.
    """

    backup_name: str
    request: BackupRequest
    replicas: tuple[ReplicaPlan, ...]
    uncovered: tuple[str, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()

    def of(self, replica: str) -> ReplicaPlan:
        return next(plan for plan in self.replicas if plan.replica == replica)


def plan_backup(wish: Wish, topology: Topology, observed: Observation) -> BackupPlan:
    """Choose replicas, tables and bases. PreflightFailed tells every finding of every shard."""
    request, name, operation_id = wish.request, wish.backup_name, wish.operation_id
    choices = {shard.name: choose(shard, wish, observed) for shard in topology.shards}
    chosen = [seen for choice in choices.values() for seen in choice.chosen]
    findings = [finding for choice in choices.values() for finding in choice.findings]
    findings += _taken(name, observed, chosen, operation_id)
    plans = tuple(_replica_plan(wish, seen, choices[seen.shard].reason) for seen in chosen)
    findings += _strange_partitions(request, plans)
    findings += _refused_bases(request, plans)
    if not findings and not any(plan.tables for plan in plans):
        findings.append(_nothing(request))
    if findings:
        message = "the cluster cannot be backed up as asked: " + "; ".join(findings)
        raise PreflightFailed(message)
    doubts = _half_restored(chosen)
    return BackupPlan(
        backup_name=name,
        request=request,
        replicas=plans,
        uncovered=_uncovered(request, observed, chosen),
        notes=(
            *(f"{replica} was left out: {why}" for replica, why in observed.unreachable.items()),
            *(choice.note for choice in choices.values() if choice.note),
            *_full_ones(request, plans),
            *doubts,
            *_unmatched(request, plans),
        ),
        doubts=doubts,
    )


def doubtful_paths(inspections: Sequence[Inspection]) -> tuple[str, ...]:
    """Find replicas that may share a remote path: listings that meet, or that prove nothing.

    Two listings of one path may differ (an upload ended between two looks, the store answered in
    part), so a single common row is enough. An empty listing meets every other one.
    """
    rows = {
        seen.replica: {row for row in seen.listing.remote_rows if not is_companion(row.name)}
        for seen in inspections
    }
    if len(rows) == 1:
        return ()
    if not all(rows.values()):
        return tuple(rows)
    listed = Counter(row for own in rows.values() for row in own)
    return tuple(replica for replica, own in rows.items() if any(listed[row] > 1 for row in own))


def _replica_plan(wish: Wish, seen: Inspection, reason: str) -> ReplicaPlan:
    request = wish.request
    tables = selected(seen.tables, request.tables)
    chosen = {table.full_name for table in tables}
    others = [table for table in seen.tables if table.full_name not in chosen]
    named = table_patterns(tables, apart_from=others)  # whole or not: a restore must name each
    return ReplicaPlan(
        shard=seen.shard,
        replica=seen.replica,
        reason=reason,
        tables=tables,
        patterns=named if request.tables else database_patterns(tables),
        base=base_for(seen, wish),
    )


def _refused_bases(request: BackupRequest, plans: Sequence[ReplicaPlan]) -> list[str]:
    return [
        f"{request.base} cannot be the base: {plan.base.refused}"
        for plan in plans
        if plan.tables and plan.base.refused
    ]


def _full_ones(request: BackupRequest, plans: Sequence[ReplicaPlan]) -> list[str]:
    """Tell where an increment was wanted and a full backup is made."""
    if request.incremental == NONE:
        return []
    return [
        f"shard {plan.shard}, replica {plan.replica}: {plan.base.sentence}"
        for plan in plans
        if plan.tables and not plan.base.name
    ]


def _taken(
    name: str, observed: Observation, chosen: Sequence[Inspection], operation_id: str
) -> list[str]:
    """Tell where the name is listed though this operation put nothing there.

    A replica that is not chosen may list what its sibling uploaded into a path of the shard, also
    when it was away at that time and knows nothing of the operation.
    """
    begun = {seen.shard for seen in observed.inspections if begun_on(seen, operation_id)}
    return [
        f"{seen.place}: the name {name} is taken by a backup that this operation did not make here"
        for seen in observed.inspections
        if (seen.listing.has(name) or seen.listing.has(manifest_name(name)))
        and not begun_on(seen, operation_id)
        and (seen in chosen or seen.shard not in begun)
    ]


def _strange_partitions(request: BackupRequest, plans: Sequence[ReplicaPlan]) -> list[str]:
    """Find tables that are not there: ignored, all partitions of the others would be taken."""
    known = {table.full_name for plan in plans for table in plan.tables}
    named = {name for name, colon, _ in (p.partition(":") for p in request.partitions) if colon}
    strange = sorted(named - known)
    return [f"partitions name {name}, which is not among the tables" for name in strange]


def _nothing(request: BackupRequest) -> str:
    if request.tables:
        return f"no table on any shard matches {', '.join(request.tables)}"
    return "there is no table to back up on any shard"


def _half_restored(chosen: Sequence[Inspection]) -> tuple[str, ...]:
    """Tell where a backup may hold less than people think."""
    return tuple(
        f"{seen.place}: restore operation {operation_id} ended half way there and no later one "
        "made it whole: tables may lack rows, so this backup is suspect"
        for seen in chosen
        if (operation_id := half_restored_by(seen.journal)) is not None
    )


def _unmatched(request: BackupRequest, plans: Sequence[ReplicaPlan]) -> list[str]:
    """Tell patterns that mean nothing today: a slip of the pen, or tables that are to come."""
    stored = [table for plan in plans for table in plan.tables]
    return [f"no table matches {p}" for p in request.tables if not selected(stored, [p])]


def _uncovered(
    request: BackupRequest, observed: Observation, chosen: Sequence[Inspection]
) -> tuple[str, ...]:
    """Name the rows that this backup does not hold: of other replicas, and of unkept engines."""
    stored = {seen.shard: _stored_there(request, seen) for seen in chosen}
    picked = {seen.replica for seen in chosen}
    left_out = [seen for seen in observed.inspections if seen.replica not in picked]
    elsewhere = [
        f"{table.full_name} on {seen.replica}: {table.rows} rows"
        for seen in left_out
        for table, place in _placed(request, seen)
        if table.engine.endswith("MergeTree")
        and table.rows
        and place not in stored.get(seen.shard, ())
    ]
    unkept = [
        f"{table.full_name} on {seen.replica}: {table.rows} rows of a {table.engine} table, which "
        "a sidecar does not keep"
        for seen in chosen
        for table in selected(seen.tables, request.tables)
        if table.table_class is TableClass.SCHEMA_ONLY and table.holds_rows and table.rows
    ]
    return (*elsewhere, *unkept)


def _stored_there(request: BackupRequest, seen: Inspection) -> set[str]:
    """Tell by where they live which replicated tables a chosen replica stores for its shard."""
    return {place for _, place in _placed(request, seen) if place}


def _placed(request: BackupRequest, seen: Inspection) -> Iterator[tuple[Table, str]]:
    """Tell what makes a table the same as a sibling's; empty for one whose rows are its own."""
    paths = {state.table: state.path for state in seen.replication}
    for table in selected(seen.tables, request.tables):
        shared = table.table_class is TableClass.REPLICATED
        yield table, paths.get(table.full_name, table.full_name) if shared else ""
