"""From what each phase of a backup brought to its manifest and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tasks.domain.backup_plan import BackupPlan, ReplicaPlan
from tasks.domain.coverage import Coverage
from tasks.domain.errors import BackupError, BackupUnusable
from tasks.domain.increments import Increment
from tasks.domain.manifest import Manifest, ReplicaRecord
from tasks.domain.outcomes import Attempt, BackupOutcome, ReplicaOutcome, Status
from tasks.domain.requests import NONE, Scope
from tasks.domain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the phases brought, by replica: frozen, confirmed (bytes), committed; or an error."""

    records: Mapping[str, ReplicaRecord]
    sizes: Mapping[str, int]
    committed: frozenset[str] = frozenset()
    unseen: tuple[str, ...] = ()  # replicas that do not list what their sibling stored
    errors: Mapping[str, BackupError]


def manifest_of(plan: BackupPlan, topology: Topology, attempt: Attempt, stored: Stored) -> Manifest:
    """Assemble the manifest once every chosen replica is confirmed."""
    return Manifest(
        backup_name=plan.backup_name,
        operation_id=attempt.operation_id,
        installation=topology.installation,
        cluster=topology.cluster,
        scope=plan.request.scope,
        request=plan.request.model_dump(mode="json"),
        shards={s.name: tuple(r.name for r in s.replicas) for s in topology.shards},
        replicas=tuple(
            record.model_copy(update={"size_bytes": stored.sizes[name]})
            for name, record in stored.records.items()
        ),
        uncovered=plan.uncovered,
        doubts=plan.doubts,
    )


def text_to_commit(manifest: Manifest, *, noted: str = "") -> str:
    """Render the manifest, or take the text an earlier attempt noted: all copies are the same.

    Raises BackupUnusable when the data is not what that text says any more.
    """
    if not noted:
        return manifest.to_text()
    before = Manifest.from_text(noted, origin=manifest.backup_name)
    if before.replicas != manifest.replicas:
        message = (
            f"{manifest.backup_name} is not what its manifest was written for any more: its "
            "data was deleted or made anew; back up again under another name"
        )
        raise BackupUnusable(message)
    return noted


def backup_outcome(
    plan: BackupPlan,
    attempt: Attempt,
    stored: Stored,
    *,
    finished: datetime,
    coverage: Coverage | None = None,
) -> BackupOutcome:
    """Judge the whole: completed only when every chosen replica lists its copy of the manifest."""
    replicas = tuple(_replica_outcome(chosen, stored) for chosen in plan.replicas)
    status = _status(replicas, any_uploaded=bool(stored.sizes))
    whole = len(stored.records) == len(plan.replicas)
    return BackupOutcome(
        operation="backup",
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=plan.backup_name,
        status=status,
        started=attempt.started,
        finished=finished,
        replicas=replicas,
        notes=(
            *plan.notes,
            *_unseen(plan, stored),
            *_no_rows(plan, stored),
            *_unknown_fingerprints(plan, stored.records),
        ),
        next_steps=_next_steps(plan, attempt, status, copies=len(stored.committed)),
        scope=plan.request.scope,
        manifest_written=len(stored.committed) == len(plan.replicas),
        skew_seconds=_skew(stored.records) if whole else None,
        size_bytes=sum(stored.sizes.values()),
        rows=sum(replica.rows for replica in replicas),
        uncovered=plan.uncovered,
        increments=_increments(plan, stored),
        coverage=coverage or Coverage(),
    )


def _increments(plan: BackupPlan, stored: Stored) -> tuple[Increment, ...]:
    """Tell of every replica whose data is confirmed what it builds on and what it had to send."""
    if plan.request.incremental == NONE:
        return ()
    confirmed = (r for r in plan.replicas if r.tables and r.replica in stored.sizes)
    return tuple(
        Increment(
            shard=chosen.shard,
            replica=chosen.replica,
            base=stored.records[chosen.replica].base,
            why=chosen.base.sentence,
            frozen_bytes=stored.records[chosen.replica].frozen_bytes,
            sent_bytes=stored.sizes[chosen.replica],
        )
        for chosen in confirmed
    )


def _replica_outcome(chosen: ReplicaPlan, stored: Stored) -> ReplicaOutcome:
    name = chosen.replica
    record, error = stored.records.get(name), stored.errors.get(name)
    return ReplicaOutcome(
        shard=chosen.shard,
        replica=name,
        done=name in stored.committed and error is None,
        failed=error is not None,
        phase=_last_phase(name, stored),
        tables=len(chosen.tables),
        rows=_rows(record) if record else 0,
        size_bytes=stored.sizes.get(name, 0),
        message=str(error) if error else chosen.why,
    )


def _last_phase(replica: str, stored: Stored) -> str:
    if replica in stored.committed:
        return "committed"
    if replica in stored.sizes:
        return "uploaded"
    return "frozen" if replica in stored.records else "planned"


def _rows(record: ReplicaRecord) -> int:
    return sum(table.fingerprint.rows for table in record.tables if table.fingerprint)


def _skew(records: Mapping[str, ReplicaRecord]) -> float:
    first = min(record.frozen_from for record in records.values())
    return (max(record.frozen_until for record in records.values()) - first).total_seconds()


def _status(replicas: tuple[ReplicaOutcome, ...], *, any_uploaded: bool) -> Status:
    if all(replica.done for replica in replicas):
        return Status.COMPLETED
    return Status.PARTIALLY_FAILED if any_uploaded else Status.FAILED


def _no_rows(plan: BackupPlan, stored: Stored) -> list[str]:
    if not plan.request.partitions or any(_rows(record) for record in stored.records.values()):
        return []
    return [f"no row lies in the partitions {', '.join(plan.request.partitions)} on any shard"]


def _unseen(plan: BackupPlan, stored: Stored) -> list[str]:
    if not stored.unseen:
        return []
    note = (
        f"{', '.join(stored.unseen)} does not list {plan.backup_name}, which a sibling stored: its "
        "remote path is its own ({replica} stands in it), so a restore onto all replicas will be "
        "refused; give the replicas of a shard one path, or back up AllReplicas"
    )
    return [note]


def _unknown_fingerprints(plan: BackupPlan, records: Mapping[str, ReplicaRecord]) -> list[str]:
    if plan.request.scope is Scope.SCHEMA:  # no rows were kept, so none are missed
        return []
    return [
        f"{table.full_name} on {record.replica}: fingerprint could not be told, so a restore of it "
        "cannot be verified"
        for record in records.values()
        for table in record.tables
        if table.fingerprint is None and table.engine.endswith("MergeTree") and table.rows
    ]


def _next_steps(
    plan: BackupPlan, attempt: Attempt, status: Status, *, copies: int
) -> tuple[str, ...]:
    if status is Status.COMPLETED:
        return (f"Restore it with restore_cluster(backup={plan.backup_name!r}).",)
    again = (
        f"Run backup_cluster again with operation_id={attempt.operation_id!r} and the same "
        "parameters: finished shards are skipped."
    )
    if copies == len(plan.replicas):
        return ("The backup is whole and can be restored; only the cleaning up failed.", again)
    if copies:
        return (
            "The backup is whole and can be restored; copies of its manifest are missing.",
            again,
        )
    return (
        "This is not a recovery point: without a manifest no restore will use it.",
        "Mend what the message of each failed shard names.",
        again,
    )
