"""A hold: what a person says to stop every prune of an installation, and what came of saying it."""

from collections.abc import Mapping
from datetime import datetime

from tasks.domain.errors import BackupError, InvalidRequest
from tasks.domain.names import EVERY_BACKUP
from tasks.domain.outcomes import Attempt, Outcome, ReplicaOutcome, Status

_LONGEST_REASON = 500


class HoldOutcome(Outcome):
    """`held`: what was asked for, a hold or its end; `reason`: why nothing may be deleted."""

    held: bool
    reason: str = ""

    @property
    def headline(self) -> str:
        what = "is held: nothing is deleted" if self.held else "is released"
        noted = sum(replica.done for replica in self.replicas)
        return (
            f"{self.installation} {what}; {self.status}, noted on {noted} of "
            f"{len(self.replicas)} replicas"
        )

    @property
    def facts(self) -> dict[str, str]:
        facts = {what: value for what, value in super().facts.items() if what != "backup"}
        return facts | {"held": "yes" if self.held else "no", "reason": self.reason or "none"}


def checked_reason(reason: str, *, release: bool) -> str:
    """Return what is to be noted. Raises InvalidRequest: who finds a hold must know its reason."""
    told = " ".join(reason.split())
    if not told and not release:
        message = "reason: say why nothing may be deleted, and who says so"
        raise InvalidRequest(message)
    if len(told) > _LONGEST_REASON:
        message = f"reason is {len(told)} characters long; at most {_LONGEST_REASON} are allowed"
        raise InvalidRequest(message)
    return told


def hold_outcome(
    noted: Mapping[tuple[str, str], BackupError | None],
    attempt: Attempt,
    *,
    reason: str,
    release: bool,
    finished: datetime,
) -> HoldOutcome:
    """Report it as completed only when every replica noted it. `noted`: by shard and replica."""
    silent = [replica for (_, replica), error in noted.items() if error is not None]
    failed = Status.FAILED if len(silent) == len(noted) else Status.PARTIALLY_FAILED
    return HoldOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=EVERY_BACKUP,
        status=failed if silent else Status.COMPLETED,
        started=attempt.started,
        finished=finished,
        replicas=tuple(_replica(*place, error) for place, error in noted.items()),
        next_steps=_next_steps(silent, release=release),
        held=not release,
        reason=reason,
    )


def _replica(shard: str, replica: str, error: BackupError | None) -> ReplicaOutcome:
    return ReplicaOutcome(
        shard=shard,
        replica=replica,
        done=error is None,
        failed=error is not None,
        phase="noted" if error is None else "",
        message=str(error or ""),
    )


def _next_steps(silent: list[str], *, release: bool) -> tuple[str, ...]:
    if not silent:
        return ()
    now = (
        "one replica that still holds is enough to stop every prune"
        if release
        else "a prune that sees any other replica is stopped all the same"
    )
    return (f"Bring {', '.join(silent)} back and say it again; {now}.",)
