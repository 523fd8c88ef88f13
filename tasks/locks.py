"""Hold an installation's lock through any of its doors: wait, take over, keep, give back.

When and why is decided in `tasks.domain.lock`; here are the clock, the waiting and the renewals.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

from tasks.domain.errors import BackupError, ClusterUnavailable, LockLost, TransientError
from tasks.domain.journal import LockFacts
from tasks.domain.lock import (
    RENEWALS_PER_LEASE,
    Claim,
    Door,
    Holder,
    Superseded,
    Watch,
    fence_seconds,
    gives_up,
    loss,
    may_take,
    refusal,
    remaining_seconds,
)

Clock = Callable[[], float]
Tell = Callable[[str], Awaitable[None]]
_LONGEST_PAUSE_SECONDS = 1.0


def boot_clock() -> float:
    """Read a clock that goes on while the machine sleeps: a woken holder must not act on."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lock:
    """A held generation: the lease of everything that its operation does."""

    def __init__(self, door: Door, ours: Holder, *, lease_seconds: int, clock: Clock) -> None:
        self.ours = ours
        self._door = door
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._renewed = clock()
        self._lost_because = ""
        self._trouble: BackupError | None = None
        self._fences: list[float] = []
        self._renewing: asyncio.Task[None] | None = None

    @property
    def identity(self) -> str:
        return self._door.identity

    @property
    def facts(self) -> LockFacts:
        return LockFacts(
            door=self.identity,
            instance=self.ours.instance,
            generation=self.ours.generation,
            lease_seconds=self.ours.lease_seconds,
        )

    @property
    def remaining_seconds(self) -> float:
        """How long this holder may still act without another renewal."""
        return remaining_seconds(
            renewed=self._renewed, lease_seconds=self._lease_seconds, now=self._clock()
        )

    async def check(self) -> None:
        """Raise LockLost when another one may act by now."""
        if not self._lost_because and self.remaining_seconds <= 0:
            trouble = f" ({self._trouble})" if self._trouble else ""
            self._lost_because = f"it could not renew for half a lease{trouble}"
        if self._lost_because:
            raise loss(self.ours, why=self._lost_because) from self._trouble

    @contextmanager
    def fence(self) -> Iterator[int]:
        """Lend the seconds in which one command may begin.

        A command that was answered, with yes or no, cannot begin later; any other one may, until
        they have passed.
        """
        seconds = fence_seconds(self.remaining_seconds)
        until = self._clock() + seconds
        self._fences.append(until)
        try:
            yield seconds
        except BackupError as error:
            if not isinstance(error, ClusterUnavailable):
                self._fences.remove(until)
            raise
        self._fences.remove(until)

    async def fences_passed(self) -> None:
        """Wait until no command that was sent under this lock may begin any more."""
        await asyncio.sleep(max([0.0, *(until - self._clock() for until in self._fences)]))

    async def renew(self) -> None:
        """Write that we are alive. Raises LockLost when too late, or when somebody took over."""
        await self.check()
        started = self._clock()
        try:
            await self._door.renew(self.ours)
        except Superseded as superseded:
            self._lost_because = superseded.why
            raise loss(self.ours, why=superseded.why) from superseded
        # answered too late it does not count: a taker may have looked before it was written
        await self.check()
        self._renewed, self._trouble = started, None

    def keep(self) -> None:
        """Renew in the background from now on, also after whoever did it was cancelled."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._keep_renewing())

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 2 / RENEWALS_PER_LEASE)
            try:
                await self.renew()
            except LockLost:
                return
            except BackupError as error:  # tried again until it is too late
                self._trouble = error

    async def leave(self) -> None:
        """Stop renewing, and say nothing: whoever comes next waits for a full lease."""
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing

    async def give_back(self) -> None:
        """Release it when nothing of ours may begin any more; who cannot be told waits a lease."""
        await self.fences_passed()
        await self.leave()
        with contextlib.suppress(BackupError):
            await self._door.release(self.ours)


@asynccontextmanager
async def held_lock(
    door: Door, claim: Claim, *, tell: Tell, clock: Clock = boot_clock
) -> AsyncIterator[Lock]:
    """Hold the lock, once whoever held it before has surely stopped. `tell` hears why we wait.

    Raises ClusterBusy naming the holder when patience ends.
    """
    lock, before = await _Taker(door, claim, tell=tell, clock=clock).taken()
    lock.keep()
    try:
        await _until_stopped(door, before, lock, tell=tell, clock=clock)
    except BaseException:
        # releasing would tell the next one that it need not wait for the one before us either
        await lock.leave()
        raise
    try:
        yield lock
    finally:
        await lock.give_back()


class _Taker:
    """One claim on its way to a generation of its own."""

    def __init__(self, door: Door, claim: Claim, *, tell: Tell, clock: Clock) -> None:
        self._door = door
        self._claim = claim
        self._tell = tell
        self._clock = clock
        self._told: str | None = None

    async def taken(self) -> tuple[Lock, Watch | None]:
        """Make a generation; also tell who held the one before, if anybody did."""
        began, watch = self._clock(), None
        while True:
            waited = self._clock() - began
            watch = await self._look(watch, waited_seconds=waited)
            if watch is None or may_take(watch, self._claim):
                lock = await self._try(watch.holder if watch else None)
                if lock is not None:
                    return lock, watch
            elif gives_up(watch, self._claim, waited_seconds=waited):
                raise refusal(watch.holder, self._door.identity)
            else:
                await self._tell_once(watch.holder)
            await asyncio.sleep(_pause(self._claim.lease_seconds))

    async def _look(self, watch: Watch | None, *, waited_seconds: float) -> Watch | None:
        asked = self._clock()
        try:
            seen = await self._door.newest()
        except TransientError:
            if watch is None or waited_seconds >= self._claim.patience_seconds:
                raise
            return watch  # a door that is away for a moment shows nothing and proves nothing
        answered = self._clock()
        if seen is None:
            return None
        if watch is None:
            return Watch.begun(seen, answered=answered)
        return watch.saw(seen, asked=asked, answered=answered)

    async def _try(self, before: Holder | None) -> Lock | None:
        ours = self._claim.successor(before, now=datetime.now(UTC))
        lease_seconds = self._claim.lease_seconds
        lock = Lock(self._door, ours, lease_seconds=lease_seconds, clock=self._clock)
        if not await self._door.take(ours, over=before):
            return None
        await lock.renew()  # else a creation that hung for long could bring an old generation back
        return lock

    async def _tell_once(self, holder: Holder) -> None:
        if holder.instance == self._told:
            return
        self._told = holder.instance
        patience = self._claim.patience_seconds
        await self._tell(f"waits for the lock, up to {patience:g} s: {holder.sentence}")


async def _until_stopped(
    door: Door, before: Watch | None, lock: Lock, *, tell: Tell, clock: Clock
) -> None:
    """Wait until the holder before us said that it stopped, or must have."""
    if before is None or before.holder.released:
        return
    holder = before.holder
    if not before.has_stopped:
        await tell(f"took the lock over; waits until its holder has stopped: {holder.sentence}")
    while True:
        await lock.check()
        asked = clock()
        with contextlib.suppress(TransientError):
            seen = await door.look_back(holder)
            before = before.saw(seen, asked=asked, answered=clock())
        if before.has_stopped:
            return
        await asyncio.sleep(_pause(holder.lease_seconds))


def _pause(lease_seconds: int) -> float:
    return min(_LONGEST_PAUSE_SECONDS, lease_seconds / 2 / RENEWALS_PER_LEASE)
