"""Adoption: a manifest for a whole backup that somebody made by hand, without fingerprints."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tasks.domain.catalogue import Catalogue, Copy, State
from tasks.domain.errors import BackupError, BackupNotFound, BackupUnusable
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.outcomes import Attempt, Outcome, ReplicaOutcome, Status
from tasks.domain.requests import Scope
from tasks.domain.tables import Table, is_user_database
from tasks.domain.topology import Topology

Frozen = Mapping[str, frozenset[str]]  # table -> names of its parts


def demand_adoptable(catalogue: Catalogue, name: str, observed: Observation) -> tuple[Copy, ...]:
    """Choose one copy of each shard, on a replica that answers.

    Raises BackupNotFound, or BackupUnusable saying what makes it less than whole.
    """
    backup = catalogue.find(name)
    if backup is None:
        message = f"no replica lists a backup {name}"
        raise BackupNotFound(message)
    if backup.listed_on:
        message = f"{name} has a manifest already: {', '.join(backup.listed_on)} lists it"
        raise BackupUnusable(message)
    if backup.state is not State.COMPLETE:
        message = f"{name} is {backup.state} and cannot be adopted: {backup.why}"
        raise BackupUnusable(message)
    answering = {seen.replica for seen in observed.inspections}
    chosen: dict[str, Copy] = {}
    for copy in backup.copies:
        if copy.replica in answering:
            chosen.setdefault(copy.shard, copy)
    unseen = {copy.shard for copy in backup.copies} - chosen.keys()
    if unseen:
        silent = "; ".join(f"{name}: {why}" for name, why in observed.unreachable.items())
        message = f"{name} cannot be adopted: shard {', '.join(sorted(unseen))} is silent: {silent}"
        raise BackupUnusable(message)
    return tuple(chosen.values())


def adopted(
    name: str,
    copies: tuple[Copy, ...],
    frozen: Mapping[str, Frozen | None],
    observed: Observation,
    topology: Topology,
    *,
    operation_id: str,
) -> Manifest:
    """Assemble the manifest. `frozen`: what each chosen replica's sidecar says that the copy holds.

    Definitions are those of the tables as they stand. Raises BackupUnusable where one stands no
    more, or where the sidecar cannot tell.
    """
    records = [_record(name, copy, frozen[copy.replica], observed) for copy in copies]
    return Manifest(
        backup_name=name,
        operation_id=operation_id,
        installation=topology.installation,
        cluster=topology.cluster,
        scope=_scope(records, frozen, observed),
        request={},
        shards={shard.name: tuple(r.name for r in shard.replicas) for shard in topology.shards},
        replicas=tuple(records),
        adopted=True,
    )


def _record(name: str, copy: Copy, frozen: Frozen | None, observed: Observation) -> ReplicaRecord:
    seen = observed.of(copy.replica)
    if frozen is None:
        message = f"{seen.place}: its sidecar cannot tell which tables {name} holds"
        raise BackupUnusable(message)
    standing = {table.full_name: table for table in seen.tables}
    held = {name for name in frozen if is_user_database(name.partition(".")[0])}
    gone = sorted(held - standing.keys())
    if gone:
        message = (
            f"{seen.place}: {name} holds tables that stand no more, so nobody can tell what they "
            f"were: {', '.join(gone)}"
        )
        raise BackupUnusable(message)
    at = datetime.fromtimestamp(copy.created_at, UTC)
    return ReplicaRecord(
        shard=copy.shard,
        replica=copy.replica,
        macros=dict(seen.macros),
        tables=tuple(_as_it_stands(standing[table]) for table in sorted(held)),
        frozen_from=at,
        frozen_until=at,
        size_bytes=copy.size_bytes,
        base=copy.base,
        clickhouse_version=seen.clickhouse_version,
        sidecar_version=seen.sidecar_version,
    )


def _scope(
    records: list[ReplicaRecord], frozen: Mapping[str, Frozen | None], observed: Observation
) -> Scope:
    """Tell how much it holds; a copy without a single part kept definitions only."""
    if not any(parts for kept in frozen.values() for parts in (kept or {}).values()):
        return Scope.SCHEMA
    whole = all(
        {table.full_name for table in record.tables} >= _standing(observed.of(record.replica))
        for record in records
    )
    return Scope.FULL if whole else Scope.PARTIAL


def _as_it_stands(table: Table) -> TableRecord:
    """Take its definition; how many rows of it were frozen nobody knows."""
    return TableRecord.of(table, None).model_copy(update={"rows": None})


def _standing(seen: Inspection) -> set[str]:
    return {table.full_name for table in seen.tables if is_user_database(table.database)}


def adoption_outcome(
    manifest: Manifest,
    attempt: Attempt,
    *,
    errors: Mapping[str, BackupError],
    finished: datetime,
) -> Outcome:
    """Judge the whole: completed only when every shard lists the manifest."""
    again = f"Run adopt_backup again with operation_id={attempt.operation_id!r}."
    return Outcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=manifest.backup_name,
        status=Status.PARTIALLY_FAILED if errors else Status.COMPLETED,
        started=attempt.started,
        finished=finished,
        replicas=tuple(
            _adopted(record, errors.get(record.replica)) for record in manifest.replicas
        ),
        notes=(
            "it has no fingerprint: whoever restores it could not tell whether its rows are right",
            "definitions of its tables were taken as they stand",
        ),
        next_steps=(again,) if errors else (),
    )


def _adopted(record: ReplicaRecord, error: BackupError | None) -> ReplicaOutcome:
    return ReplicaOutcome(
        shard=record.shard,
        replica=record.replica,
        done=error is None,
        failed=error is not None,
        phase="listed" if error else "committed",
        tables=len(record.tables),
        size_bytes=record.size_bytes,
        message=str(error) if error else "",
    )
