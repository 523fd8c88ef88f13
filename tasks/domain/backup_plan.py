"""The plan of a backup: which replica of each shard stores which tables, and why that one."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.domain.errors import PreflightFailed
from tasks.domain.inspection import Inspection, Observation, unfit
from tasks.domain.journal import Event
from tasks.domain.names import is_companion, manifest_name
from tasks.domain.requests import BackupRequest, ReplicaSelection
from tasks.domain.tables import Table, TableClass, selected, sidecar_patterns
from tasks.domain.topology import Shard, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPlan:
    """What one chosen replica stores. `patterns` name its tables in commands; none: no tables."""

    shard: str
    replica: str
    reason: str
    tables: tuple[Table, ...]
    patterns: tuple[str, ...]

    @property
    def sentence(self) -> str:
        tables = f"{len(self.tables)} tables" if self.tables else "no tables"
        return f"shard {self.shard}: {tables} from {self.replica} ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """One backup of a whole cluster, decided. `uncovered`: rows that no chosen replica holds."""

    backup_name: str
    request: BackupRequest
    replicas: tuple[ReplicaPlan, ...]
    uncovered: tuple[str, ...]
    notes: tuple[str, ...]

    def of(self, replica: str) -> ReplicaPlan:
        return next(plan for plan in self.replicas if plan.replica == replica)


def plan_backup(
    request: BackupRequest,
    topology: Topology,
    observed: Observation,
    *,
    backup_name: str,
    operation_id: str,
) -> BackupPlan:
    """Choose replicas and tables. Raises PreflightFailed with every finding of every shard."""
    findings: list[str] = []
    chosen: list[Inspection] = []
    reasons: dict[str, str] = {}
    for shard in topology.shards:
        picked, why, wrong = _choose(shard, request, observed, operation_id)
        findings += wrong
        chosen += picked
        reasons |= {seen.replica: why for seen in picked}
    findings += _taken(backup_name, observed, chosen, operation_id)
    plans = tuple(_replica_plan(request, seen, reasons[seen.replica]) for seen in chosen)
    findings += _strange_partitions(request, plans)
    if not findings and not any(plan.tables for plan in plans):
        findings.append(_nothing(request))
    if findings:
        message = "the cluster cannot be backed up as asked: " + "; ".join(findings)
        raise PreflightFailed(message)
    return BackupPlan(
        backup_name=backup_name,
        request=request,
        replicas=plans,
        uncovered=_uncovered(request, observed, chosen),
        notes=(
            *(f"{name} was left out: {why}" for name, why in observed.unreachable.items()),
            *_unmatched(request, plans),
        ),
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
    return tuple(
        replica
        for replica, own in rows.items()
        if any(
            other != replica and (not own or not others or own & others)
            for other, others in rows.items()
        )
    )


def _choose(
    shard: Shard, request: BackupRequest, observed: Observation, operation_id: str
) -> tuple[list[Inspection], str, list[str]]:
    candidates = observed.of_shard(shard.name)
    problems = {
        seen.replica: unfit(seen, selected(seen.tables, request.tables)) for seen in candidates
    }
    absent = [
        f"shard {shard.name}, replica {replica.name}: {observed.unreachable[replica.name]}"
        for replica in shard.replicas
        if replica.name in observed.unreachable
    ]
    wrong = [*absent, *(finding for found in problems.values() for finding in found)]
    if request.replica_selection is ReplicaSelection.ALL_REPLICAS:
        return list(candidates), "all replicas were asked for", wrong
    begun = [seen for seen in candidates if _begun_on(seen, operation_id)]
    if begun:  # its data may lie in the bucket: another replica's would be taken for it
        found = problems[begun[0].replica]
        return ([] if found else begun[:1]), "an earlier attempt began here", list(found)
    fit = [seen for seen in candidates if not problems[seen.replica]]
    if not fit:
        return [], "", wrong or [f"shard {shard.name} has no replica that answers"]
    first = fit[0]
    if first.replica == shard.replicas[0].name:
        return [first], "first replica of the shard", []
    return [first], f"first healthy replica: {'; '.join(wrong)}", []


def _replica_plan(request: BackupRequest, seen: Inspection, reason: str) -> ReplicaPlan:
    tables = selected(seen.tables, request.tables)
    sidecar_patterns(tables, whole_databases=False)  # so that a restore can name each of them
    return ReplicaPlan(
        shard=seen.shard,
        replica=seen.replica,
        reason=reason,
        tables=tables,
        patterns=sidecar_patterns(tables, whole_databases=not request.tables),
    )


def _begun_on(seen: Inspection, operation_id: str) -> bool:
    return seen.journal.of(operation_id).last(Event.INTENT) is not None


def _taken(
    name: str, observed: Observation, chosen: Sequence[Inspection], operation_id: str
) -> list[str]:
    """Tell where the name is listed though this operation put nothing there.

    A replica that is not chosen may list what its sibling uploaded into a path of the shard, also
    when it was away at that time and knows nothing of the operation.
    """
    begun = {seen.shard for seen in observed.inspections if _begun_on(seen, operation_id)}
    return [
        f"{seen.place}: the name {name} is taken by a backup that this operation did not make here"
        for seen in observed.inspections
        if (seen.listing.has(name) or seen.listing.has(manifest_name(name)))
        and not _begun_on(seen, operation_id)
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


def _unmatched(request: BackupRequest, plans: Sequence[ReplicaPlan]) -> list[str]:
    """Tell patterns that mean nothing today: a slip of the pen, or tables that are to come."""
    stored = [table for plan in plans for table in plan.tables]
    return [f"no table matches {p}" for p in request.tables if not selected(stored, [p])]


def _uncovered(
    request: BackupRequest, observed: Observation, chosen: Sequence[Inspection]
) -> tuple[str, ...]:
    """Name the rows that this backup does not hold: of other replicas, and of unkept engines."""
    left_out = [seen for seen in observed.inspections if seen not in chosen]
    elsewhere = [
        f"{table.full_name} on {seen.replica}: {table.rows} rows"
        for seen in left_out
        for table in selected(seen.tables, request.tables)
        if table.table_class is TableClass.LOCAL and table.rows
    ]
    unkept = [
        f"{table.full_name} on {seen.replica}: {table.rows} rows of a {table.engine} table, which "
        "a sidecar does not keep"
        for seen in chosen
        for table in selected(seen.tables, request.tables)
        if table.table_class is TableClass.SCHEMA_ONLY and table.holds_rows and table.rows
    ]
    return (*elsewhere, *unkept)
