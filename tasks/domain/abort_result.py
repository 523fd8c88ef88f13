"""The outcome of an abort: what became of the operation on each replica, and what is left to do."""

from datetime import datetime

from tasks.domain.outcomes import AbortOutcome, Attempt, ReplicaOutcome, Status
from tasks.domain.recovery import Abandoned, ways_out

_UNKNOWN = (
    "No journal that could be read knows this operation: is the id right? If it held the lock, it "
    "holds it no more."
)


def abort_outcome(abandoned: Abandoned, attempt: Attempt, *, finished: datetime) -> AbortOutcome:
    """Report it as completed only when the operation is over on every replica."""
    seen = abandoned.seen
    status = Status.COMPLETED if abandoned.over else Status.PARTIALLY_FAILED
    return AbortOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=seen.name,
        status=status if seen.operation else Status.FAILED,
        started=attempt.started,
        finished=finished,
        replicas=_replicas(abandoned),
        notes=() if seen.operation else (_UNKNOWN,),
        next_steps=ways_out(abandoned),
        aborted=seen.operation_id,
        aborted_operation=seen.operation or "unknown",
    )


def _replicas(abandoned: Abandoned) -> tuple[ReplicaOutcome, ...]:
    shards = {remains.replica: remains.shard for remains in abandoned.seen.remains}
    open_on = abandoned.open_on
    answered = [
        ReplicaOutcome(
            shard=shards[remedy.replica],
            replica=remedy.replica,
            done=remedy.replica not in open_on,
            failed=remedy.replica in open_on,
            phase=remedy.way.value,
            message=open_on.get(remedy.replica, remedy.why),
        )
        for remedy in abandoned.remedies
    ]
    silent = [
        ReplicaOutcome(
            shard="", replica=replica, done=False, failed=True, phase="left open", message=why
        )
        for replica, why in abandoned.seen.silent.items()
    ]
    return (*answered, *silent)
