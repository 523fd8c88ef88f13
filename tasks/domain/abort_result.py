"""What became of an operation that was given up: per replica, in words, and what is left to do."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.domain.journal import Step
from tasks.domain.names import safety_name
from tasks.domain.outcomes import AbortOutcome, Attempt, ReplicaOutcome, Status
from tasks.domain.recovery import RESTORED, Interrupted, Remedy, Way

_UNKNOWN = (
    "No journal that could be read knows this operation: is the id right? If it held the lock, it "
    "holds it no more."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """What became of an operation that was given up. `troubles`: replica -> what went wrong."""

    seen: Interrupted
    remedies: tuple[Remedy, ...]
    troubles: Mapping[str, str] = field(default_factory=dict)

    @property
    def stuck_on(self) -> dict[str, str]:
        """Tell which replicas answered and could not be closed, and why."""
        away = {remains.replica for remains in self.seen.remains if remains.away}
        return {replica: why for replica, why in self._left.items() if replica not in away}

    @property
    def _left(self) -> dict[str, str]:
        return {r.replica: r.why for r in self.remedies if not r.closes} | dict(self.troubles)

    @property
    def open_on(self) -> dict[str, str]:
        """Tell where the operation is still open, and why; empty when it is over."""
        return {**self.seen.silent, **self._left}

    @property
    def over(self) -> bool:
        return not self.open_on

    @property
    def sentence(self) -> str:
        """Say what became of it where."""
        left, seen = self.open_on, self.seen
        counted = Counter(r.way.value for r in self.remedies if r.replica not in left)
        told = [f"{way} on {number} replicas" for way, number in counted.items()]
        told += [f"left open on {replica}: {why}" for replica, why in left.items()]
        what = f"{seen.operation or 'unknown'} operation {seen.operation_id}"
        return f"{what} was given up: {'; '.join(told)}"


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


def ways_out(abandoned: Abandoned) -> tuple[str, ...]:
    """Say what a person does next; empty where nothing is left to do."""
    told, seen = [], abandoned.seen
    kept = {remedy.why for remedy in abandoned.remedies if remedy.way is Way.KEEP}
    if seen.operation == "restore" and kept - {RESTORED}:
        told.append(
            "Tables are half restored. To finish it: restore_cluster again with operation_id="
            f"{seen.operation_id!r} and the same parameters."
        )
        saved = any(remains.journal.did(Step.SAFETY) for remains in seen.remains)
        copy = safety_name(seen.operation_id)
        told.append(
            f"To undo it: restore_cluster(backup={copy!r}, overwrite=True), with the "
            "installation and its inventory."
            if saved
            else "It cannot be undone: no safety copy was taken."
        )
    if not abandoned.over:
        told.append(
            "Mend what is named, then abort it again; or finish it: run it again with "
            f"operation_id={seen.operation_id!r} and the same parameters."
        )
    return tuple(told)
