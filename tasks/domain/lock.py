"""The rules of an installation's lock: who may act, for how long, and who may take it when.

A lock has generations; each belongs to one holder. A holder may act for half a lease after it sent
its last renewal, by its own clock, and no command of its own begins later than that: the fence. A
renewal counts only when it is answered in that time. A taker makes the next generation, then waits
until the holder before it has surely stopped: it said so, or was seen unchanged for a full lease
by the taker's own clock. The other half of the lease is for clocks that do not run alike.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, Self

from tasks.domain.errors import ClusterBusy, LockLost
from tasks.domain.names import aborted_id

# what a restore may stop: running them again loses nothing. A restore that stops half-way would
PREEMPTIBLE = frozenset({"backup", "verify", "prune"})
RENEWALS_PER_LEASE = 8
LONGEST_FENCE_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or held, a generation.

    `sign` changes with every sign of life. `lease_seconds` is how long a watcher must see it
    unchanged. `silent_seconds` is told to people and decides nothing: other clocks measured it.
    """

    generation: int
    operation_id: str
    operation: str
    instance: str
    lease_seconds: int
    since: datetime
    released: bool = False
    sign: str = ""
    silent_seconds: int = 0

    @property
    def sentence(self) -> str:
        since = self.since.strftime("%Y-%m-%d %H:%M:%S UTC")
        return (
            f"{self.operation} operation {self.operation_id} holds the lock of this cluster since "
            f"{since} (generation {self.generation}, last sign of life {self.silent_seconds} s ago)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants the lock, how patiently, and whom it may stop.

    `preempts` are operations by their word; `aborts` is the id of one operation, whatever it is.
    """

    operation_id: str
    operation: str
    instance: str
    lease_seconds: int
    patience_seconds: float
    preempts: frozenset[str] = frozenset()
    aborts: str | None = None

    def may_stop(self, holder: Holder) -> bool:
        if holder.operation_id == self.operation_id:
            return False
        return holder.operation in self.preempts or holder.operation_id == self.aborts

    def successor(self, before: Holder | None, *, now: datetime) -> Holder:
        """Describe the generation that this claim would make.

        Whoever waits for it to die also waits for the one before, which may not have stopped yet:
        hence the longer lease of the two.
        """
        inherited = 0 if before is None or before.released else before.lease_seconds
        return Holder(
            generation=(before.generation if before else 0) + 1,
            operation_id=self.operation_id,
            operation=self.operation,
            instance=self.instance,
            lease_seconds=max(self.lease_seconds, inherited),
            since=now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What one taker saw of one generation, by its own clock.

    `since`: when the answer with this sign came first; `asked`: when the last look was sent. So
    the time between them is never longer than the time without a renewal.
    """

    holder: Holder
    since: float
    asked: float
    renewed: bool = False

    @classmethod
    def begun(cls, holder: Holder, *, answered: float) -> Self:
        return cls(holder=holder, since=answered, asked=answered)

    def saw(self, holder: Holder, *, asked: float, answered: float) -> "Watch":
        """Look again: the same sign goes on, another sign of this holder begins anew."""
        if (holder.generation, holder.instance) != (self.holder.generation, self.holder.instance):
            return Watch.begun(holder, answered=answered)
        if holder.sign != self.holder.sign:
            return Watch(holder=holder, since=answered, asked=answered, renewed=True)
        return replace(self, holder=holder, asked=asked)

    @property
    def unchanged_seconds(self) -> float:
        return max(0.0, self.asked - self.since)

    @property
    def has_stopped(self) -> bool:
        """Tell whether nothing of this holder can begin any more."""
        return self.holder.released or self.unchanged_seconds >= self.holder.lease_seconds


def may_take(watch: Watch, claim: Claim) -> bool:
    """Tell whether the next generation may be made.

    To take is not yet to act: that waits until the holder before has stopped.
    """
    return watch.has_stopped or claim.may_stop(watch.holder)


def gives_up(watch: Watch, claim: Claim, *, waited_seconds: float) -> bool:
    """Tell whether patience is over. Who shows no life is watched to the end of its lease."""
    return waited_seconds >= claim.patience_seconds and watch.renewed


def remaining_seconds(*, renewed: float, lease_seconds: float, now: float) -> float:
    """Tell how long a holder may act that sent its last successful renewal at `renewed`."""
    return max(0.0, renewed + lease_seconds / 2 - now)


def fence_seconds(remaining: float) -> int:
    """Tell how long a command that is sent now may still begin: inside what remains."""
    return int(min(LONGEST_FENCE_SECONDS, remaining))


def refusal(holder: Holder, door: str) -> ClusterBusy:
    message = (
        f"{holder.sentence} at {door}. Wait for it, or stop it: "
        f"`python -m flows abort --operation-id {aborted_id(holder.operation_id)}`, with the "
        "installation and its inventory"
    )
    return ClusterBusy(message)


def loss(ours: Holder, *, why: str) -> LockLost:
    """Say that this process may act no more."""
    message = f"operation {ours.operation_id} lost the lock of its cluster: {why}, so it stops"
    return LockLost(message)


class Superseded(Exception):
    """A generation is not the newest any more. `successor` is None where nobody can tell whose."""

    def __init__(self, successor: Holder | None) -> None:
        super().__init__()
        self.successor = successor

    @property
    def why(self) -> str:
        if self.successor is None:
            return "somebody removed its generation"
        by = self.successor
        return f"{by.operation} operation {by.operation_id} took over (generation {by.generation})"


class Door(Protocol):
    """One place where a lock lives. Whatever raises a BackupError was not done, as far as known."""

    @property
    def identity(self) -> str:
        """Name the place: two doors with one identity exclude each other."""

    async def newest(self) -> Holder | None:
        """Read who holds the newest generation, or held it last; None before the first."""

    async def take(self, ours: Holder, *, over: Holder | None) -> bool:
        """Make a generation: exactly one claim succeeds, the others are answered False."""

    async def look_back(self, before: Holder) -> Holder:
        """See a holder again that was taken over."""

    async def renew(self, ours: Holder) -> None:
        """Give a sign of life. Raises Superseded where a newer generation exists."""

    async def release(self, ours: Holder) -> None:
        """Say that nothing of ours will begin any more; also after somebody took over."""
