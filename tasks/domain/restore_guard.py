"""What forbids a restore: asked before it begins, and again under the lock with the whole plan."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tasks.domain.errors import (
    BackupNotFound,
    BackupUnusable,
    InvalidRequest,
    PreflightFailed,
    TargetNotEmpty,
)
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.journal import Event, Step
from tasks.domain.names import manifest_name
from tasks.domain.restore_beside import in_the_way_of
from tasks.domain.restore_plan import ReplicaRestore, RestorePlan
from tasks.domain.restore_request import Mode
from tasks.domain.tables import Table

_HEADROOM = 1.05


def demand_listed(backup: str, observed: Observation) -> tuple[str, ...]:
    """Find the replicas that list the manifest of `backup`: one copy commits the whole.

    Raises BackupNotFound where no shard knows the name, BackupUnusable where no manifest is.
    """
    demand_reachable(observed)
    name = manifest_name(backup)
    having = [seen for seen in observed.inspections if seen.listing.holds(name, location="remote")]
    if having:
        return tuple(seen.replica for seen in having)
    if any(seen.listing.has(backup) for seen in observed.inspections):
        message = (
            f"backup {backup} has no manifest: it was never completed, or another tool made it"
        )
        raise BackupUnusable(message)
    shards = ", ".join(sorted({seen.shard for seen in observed.inspections}))
    message = f"no shard lists a backup named {backup}; the shards asked are {shards}"
    raise BackupNotFound(message)


def demand_allowed(plan: RestorePlan, observed: Observation, *, operation_id: str) -> None:
    """Raise with every reason why the plan must not be carried out."""
    _demand_fit(plan, observed, operation_id=operation_id)
    if plan.request.overwrite:
        _demand_accepted_losses(plan)
    else:
        _demand_empty(plan.replicas, _made(observed, operation_id))
    _demand_approved(plan, observed, operation_id)


def _demand_approved(plan: RestorePlan, observed: Observation, operation_id: str) -> None:
    accepted = _accepted_digest(observed, operation_id) or plan.digest
    if plan.request.approved_plan not in (None, accepted):
        message = (
            f"the plan is not the approved one any more: its digest is {accepted}, approved was "
            f"{plan.request.approved_plan}; look at a dry run again"
        )
        raise InvalidRequest(message)


def _accepted_digest(observed: Observation, operation_id: str) -> str | None:
    """Find the plan that an earlier attempt began to drop by: what is left of it is not less."""
    journals = [seen.journal.of(operation_id) for seen in observed.inspections]
    if all(journal.last(Event.INTENT, Step.DROP) is None for journal in journals):
        return None
    noted = (journal.last(Event.STEP, Step.PLAN) for journal in journals)
    return next((entry.payload for entry in noted if entry is not None), None)


def demand_reachable(observed: Observation) -> None:
    if observed.unreachable:
        told = "; ".join(f"{name}: {why}" for name, why in observed.unreachable.items())
        message = f"a restore needs every replica: {told}"
        raise PreflightFailed(message)


def _demand_fit(plan: RestorePlan, observed: Observation, *, operation_id: str) -> None:
    findings = []
    for part in plan.replicas:
        seen = observed.of(part.replica)
        if seen.busy_with is not None:
            findings.append(f"{seen.place}: its sidecar is at work: {seen.busy_with}")
        source = "local" if plan.request.undoes else "remote"
        if part.needed and not seen.listing.holds(plan.backup_name, location=source):
            findings.append(_unlisted(plan, seen, observed))
        findings += [
            f"{seen.place}: {name} stands already: give its database another database_mapping"
            for name in in_the_way_of(part, seen, seen.journal.of(operation_id))
        ]
        findings += _unswappable(part, seen, data_only=plan.request.data_only)
        downloaded = seen.journal.of(operation_id).did(Step.DOWNLOAD)  # attaching takes no more
        needed = 0 if downloaded or plan.request.undoes else _bytes_of(part)
        if seen.free_bytes is not None and seen.free_bytes < needed * _HEADROOM:
            findings.append(
                f"{seen.place}: {needed} bytes are needed on disk, {seen.free_bytes} are free"
            )
    if not plan.drops and not any(part.restored for part in plan.replicas):
        told = "every table of it stands" if plan.request.mode is Mode.MISSING else "holds no table"
        findings.append(f"backup {plan.backup_name}: {told}")
    if findings:
        message = f"{plan.backup_name} cannot be restored: {'; '.join(findings)}"
        raise PreflightFailed(message)


def _unlisted(plan: RestorePlan, seen: Inspection, observed: Observation) -> str:
    """Say that a replica does not list a backup, and why if a sibling does."""
    backup = plan.backup_name
    told = f"{seen.place}: it does not list {backup} as whole"
    if plan.request.undoes:
        return told
    siblings = [
        other.replica
        for other in observed.of_shard(seen.shard)
        if other.listing.holds(backup, location="remote")
    ]
    if not siblings or seen.listing.has(backup):
        return told
    return (
        f"{told}, but {siblings[0]} does: each has a remote path of its own ({{replica}} stands in "
        "it), so this one cannot get the definitions; back up AllReplicas, or give the replicas of "
        "a shard one path"
    )


def _demand_accepted_losses(plan: RestorePlan) -> None:
    refused = [
        loss
        for loss in plan.losses
        if not any(fnmatchcase(loss.table.full_name, name) for name in plan.request.accept_loss)
    ]
    if refused:
        told = "; ".join(
            f"{loss.table.full_name} on {loss.replica} ({_rows(loss.table)}): {loss.why}"
            for loss in refused
        )
        message = f"overwriting would lose rows for good, so name them in accept_loss: {told}"
        raise TargetNotEmpty(message)


def _made(observed: Observation, operation_id: str) -> Mapping[str, Mapping[str, str]]:
    """Find the tables that earlier attempts worked on: replica -> name -> identity."""
    return {
        seen.replica: seen.journal.of(operation_id).identities() for seen in observed.inspections
    }


def _unswappable(part: ReplicaRestore, seen: Inspection, *, data_only: bool) -> list[str]:
    """Say which tables cannot take rows as they stand."""
    place = seen.place
    found = [
        f"{place}: {swap.table.full_name} has another definition than in the backup, so its "
        "partitions cannot be attached there"
        for swap in part.swap
        if swap.table.definition != swap.record.definition
    ]
    if data_only:
        found += [f"{place}: {table.full_name} does not stand there" for table in part.create]
    return found + [
        f"{place}: {table.full_name} is the inner table of a view that does not stand there"
        for table in part.create
        if part.by_partition and not part.aside and table.as_table().is_inner
    ]


def _demand_empty(parts: Sequence[ReplicaRestore], made: Mapping[str, Mapping[str, str]]) -> None:
    taken = [
        f"{table.full_name} on {part.replica} ({_rows(table)})"
        for part in parts
        for table in part.drop
        if table.holds_rows and table.rows != 0
    ]
    taken += [
        f"{table.full_name} on {part.replica} (a {table.engine} of another definition)"
        for part in parts
        for table in part.drop
        if not table.holds_rows and part.definitions.get(table.full_name) != table.definition
    ]
    taken += [
        f"partition {', '.join(swap.partitions)} of {swap.table.full_name} on {part.replica} "
        f"({swap.rows} rows)"
        for part in parts
        for swap in part.swap
        if swap.rows and made[part.replica].get(swap.table.full_name) != swap.table.identity
    ]
    taken += [
        f"SQL function {name} on {part.replica} (another definition)"
        for part in parts
        for name in part.functions
    ]
    if taken:
        message = f"the target is not empty, and overwrite was not asked for: {'; '.join(taken)}"
        raise TargetNotEmpty(message)


def _bytes_of(part: ReplicaRestore) -> int:
    return sum(table.fingerprint.size_bytes for table in part.refilled if table.fingerprint)


def _rows(table: Table) -> str:
    return "rows not counted" if table.rows is None else f"{table.rows} rows"
