"""From what each phase of a restore brought to its comparison and its outcome."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tasks.domain.catch_up import CatchUp
from tasks.domain.errors import BackupError
from tasks.domain.fingerprint import Part, Verdict, compare
from tasks.domain.manifest import TableRecord
from tasks.domain.names import safety_name
from tasks.domain.outcomes import (
    Attempt,
    ReplicaOutcome,
    RestoreOutcome,
    Status,
    TableComparison,
    overall_verdict,
)
from tasks.domain.restore_plan import ReplicaRestore, RestorePlan, partitions_of
from tasks.domain.tables import Table

_PHASES = ("planned", "downloaded", "dropped", "created", "filled", "restored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What the phases brought, by replica."""

    phases: Mapping[str, str]  # the last phase that ended well
    rows: Mapping[str, tuple[TableComparison, ...]] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    saved: frozenset[str] = frozenset()
    errors: Mapping[str, BackupError] = field(default_factory=dict)


def rows_compared(
    part: ReplicaRestore, seen: Mapping[str, tuple[Part, ...]]
) -> tuple[TableComparison, ...]:
    """Compare every filled table with its fingerprint; `seen`: every part since it was made."""
    return tuple(
        _comparison(part, record, *_rows_judged(record, seen.get(record.full_name, ())))
        for record in part.fill
    )


def attached_since(
    part: ReplicaRestore,
    before: Mapping[str, tuple[Part, ...]],
    seen: dict[str, tuple[Part, ...]],
) -> dict[str, tuple[Part, ...]]:
    """Leave out what lies in other partitions, and what an attach by partition has replaced.

    A part that stood before and is active still was not replaced: it counts.
    """
    if not part.by_partition:
        return seen
    found = {}
    for record in part.fill:
        name, ids = record.full_name, partitions_of(record)
        old = {one.name for one in before.get(name, ())}
        found[name] = tuple(
            one
            for one in seen.get(name, ())
            if one.partition_id in ids and (one.active or one.name not in old)
        )
    return found


def caught_up(part: ReplicaRestore, found: Iterable[CatchUp]) -> tuple[TableComparison, ...]:
    """Judge the tables whose rows another replica attached: whether this one has got them all."""
    of_table = {progress.table: progress for progress in found}
    return tuple(
        _comparison(part, followed.record, progress.verdict, progress.sentence, 0)
        for followed in part.follow
        if (progress := of_table.get(followed.record.full_name)) is not None
    )


def comparisons_of(plan: RestorePlan, restored: Restored) -> tuple[TableComparison, ...]:
    """Unite what was found of rows with what stands there now; doubt where nobody has looked."""
    return tuple(
        compared
        for part in plan.replicas
        for compared in (
            _compared(part, restored) if part.replica in restored.tables else _unseen(part)
        )
    )


def restore_outcome(
    plan: RestorePlan,
    attempt: Attempt,
    restored: Restored,
    *,
    finished: datetime,
) -> RestoreOutcome:
    """Judge the whole: completed when every table on every replica passed its comparison."""
    comparisons = comparisons_of(plan, restored)
    of_replica: dict[str, list[TableComparison]] = defaultdict(list)
    for compared in comparisons:
        of_replica[compared.replica].append(compared)
    replicas = tuple(
        _replica_outcome(part, restored, of_replica[part.replica]) for part in plan.replicas
    )
    status = _status(replicas)
    return RestoreOutcome(
        operation="restore",
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=plan.backup_name,
        status=status,
        started=attempt.started,
        finished=finished,
        replicas=replicas,
        notes=(*plan.notes, *(f"lost as accepted: {loss}" for loss in plan.lost)),
        next_steps=_next_steps(plan, attempt, status, sorted(restored.saved)),
        verdict=overall_verdict(tuple(compared.verdict for compared in comparisons)),
        comparisons=comparisons,
        plan=plan.lines,
        plan_digest=plan.digest,
        safety_copy=safety_name(attempt.operation_id) if restored.saved else None,
    )


def dry_run_outcome(plan: RestorePlan, attempt: Attempt, *, finished: datetime) -> RestoreOutcome:
    """Say what would be done; nothing was."""
    return RestoreOutcome(
        operation="restore",
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=plan.backup_name,
        status=Status.PLANNED,
        started=attempt.started,
        finished=finished,
        notes=plan.notes,
        next_steps=(
            f"Run it without dry_run; approved_plan={plan.digest!r} holds it to this plan.",
        ),
        plan=plan.lines,
        plan_digest=plan.digest,
    )


def _compared(part: ReplicaRestore, restored: Restored) -> Iterator[TableComparison]:
    of_rows = {compared.table: compared for compared in restored.rows.get(part.replica, ())}
    filled = {record.full_name for record in part.refilled}
    for record in part.restored:
        standing = restored.tables[part.replica].get(record.full_name)
        verdict, message = _definition_judged(record, standing, plain=bool(part.aside))
        if verdict is Verdict.PASSED and record.full_name in of_rows:
            yield of_rows[record.full_name]
        elif verdict is Verdict.PASSED and record.full_name in filled:
            message = "could not tell: its rows were not compared"
            yield _comparison(part, record, Verdict.UNKNOWN, message)
        else:
            yield _comparison(part, record, verdict, message)


def _unseen(part: ReplicaRestore) -> Iterator[TableComparison]:
    message = "could not tell: the restore stopped here before its tables were compared"
    return (_comparison(part, record, Verdict.UNKNOWN, message) for record in part.restored)


def _definition_judged(
    record: TableRecord, standing: Table | None, *, plain: bool
) -> tuple[Verdict, str]:
    """Judge what stands; a `plain` table was made by this restore itself, for the rows alone."""
    if standing is None:
        return Verdict.FAILED, "the table is not there"
    if plain:
        return Verdict.PASSED, "a plain table stands beside"
    if standing.definition != record.definition:
        return Verdict.UNKNOWN, "could not tell: the server words its definition differently"
    return Verdict.PASSED, "the definition is the same"


def _rows_judged(record: TableRecord, parts: tuple[Part, ...]) -> tuple[Verdict, str, int]:
    if record.fingerprint is None:
        return Verdict.UNKNOWN, "could not tell: the backup has no fingerprint of its rows", 0
    result = compare(record.fingerprint, parts)
    return result.verdict, result.sentence, result.foreign_rows


def _comparison(
    part: ReplicaRestore,
    record: TableRecord,
    verdict: Verdict,
    message: str,
    foreign_rows: int | None = None,
) -> TableComparison:
    """Build one row of the report. `foreign_rows` None: only the definition was looked at."""
    rows = record.fingerprint.rows if record.fingerprint and foreign_rows is not None else 0
    return TableComparison(
        shard=part.shard,
        replica=part.replica,
        table=record.full_name,
        verdict=verdict,
        rows=rows,
        foreign_rows=foreign_rows or 0,
        message=message,
    )


def _replica_outcome(
    part: ReplicaRestore, restored: Restored, own: Sequence[TableComparison]
) -> ReplicaOutcome:
    error = restored.errors.get(part.replica)
    looked = part.replica in restored.tables  # else the error that stopped it is what is told
    wrong = [f"{c.table}: {c.message}" for c in own if looked and c.verdict is not Verdict.PASSED]
    phase = restored.phases.get(part.replica, _PHASES[0])
    return ReplicaOutcome(
        shard=part.shard,
        replica=part.replica,
        done=error is None and not wrong and phase == _PHASES[-1],
        failed=error is not None or bool(wrong),
        phase=phase,
        tables=len(part.restored),
        rows=sum(compared.rows for compared in own),
        message=str(error) if error else "; ".join(wrong),
    )


def _status(replicas: tuple[ReplicaOutcome, ...]) -> Status:
    if all(replica.done for replica in replicas):
        return Status.COMPLETED
    any_done = any(replica.done for replica in replicas)
    return Status.PARTIALLY_FAILED if any_done else Status.FAILED


def _next_steps(
    plan: RestorePlan, attempt: Attempt, status: Status, saved: Sequence[str]
) -> tuple[str, ...]:
    steps = []
    if status is not Status.COMPLETED:
        again = (
            f"Run restore_cluster again with operation_id={attempt.operation_id!r} and the same "
            "parameters: finished replicas are skipped and no row is attached twice."
        )
        steps = ["Mend what the message of each failed replica names.", again]
    if status is Status.COMPLETED:
        steps += plan.moves
    if saved:
        kept = safety_name(attempt.operation_id)
        hours = plan.request.options.keep_safety_copy_hours
        steps.append(
            f"What was replaced is kept on {', '.join(saved)} as the local backup {kept}. To put "
            f"it back: restore_cluster(installation={attempt.installation!r}, backup={kept!r}, "
            "overwrite=True), with the same inventory; the bucket is not needed."
        )
        steps.append(
            f"{kept} pins disk space. The first backup or restore that ends later than {hours} "
            "hours from now deletes it."
        )
    return tuple(steps)
