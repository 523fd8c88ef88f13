"""Holding a lock: who waits says why, who is in doubt stays silent, who is late stops."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.domain.errors import BackupError, ClusterBusy, ClusterUnavailable, LockLost, ServerError
from tasks.domain.lock import Claim, Holder, Superseded
from tasks.locks import Lock, held_lock
from tests.virtual_time import run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AWAY = ClusterUnavailable("no answer")


def make_claim(name: str = "op-2", **fields: Any) -> Claim:
    usual: dict[str, Any] = {
        "operation_id": name,
        "operation": "restore",
        "instance": f"instance of {name}",
        "lease_seconds": 60,
        "patience_seconds": 600,
    }
    return Claim(**(usual | fields))


def holder_of(claim: Claim) -> Holder:
    return claim.successor(None, now=NOW)


@dataclass
class FakeDoor:
    """Generations in memory. `troubles` are raised by the next calls, whatever they ask."""

    identity: str = "table:nowhere"
    generations: list[Holder] = field(default_factory=list)
    troubles: list[BackupError] = field(default_factory=list)
    answer_seconds: float = 0.0

    async def newest(self) -> Holder | None:
        await self._answered()
        return self.generations[-1] if self.generations else None

    async def take(self, ours: Holder, *, over: Holder | None) -> bool:
        del over
        await self._answered()
        if len(self.generations) != ours.generation - 1:
            return False
        self.generations.append(ours)
        return True

    async def look_back(self, before: Holder) -> Holder:
        await self._answered()
        return self.generations[before.generation - 1]

    async def renew(self, ours: Holder) -> None:
        await self._answered()
        if len(self.generations) != ours.generation:
            raise Superseded(self.generations[-1])
        seen = self.generations[-1]
        self.generations[-1] = replace(seen, sign=f"{seen.sign}+")

    async def release(self, ours: Holder) -> None:
        await self._answered()
        seen = self.generations[ours.generation - 1]
        self.generations[ours.generation - 1] = replace(seen, released=True)

    async def _answered(self) -> None:
        await asyncio.sleep(self.answer_seconds)
        if self.troubles:
            raise self.troubles.pop(0)


def clock() -> float:
    return asyncio.get_running_loop().time()


def held_by(claim: Claim) -> FakeDoor:
    return FakeDoor(generations=[holder_of(claim)])


async def holding(
    door: FakeDoor, claim: Claim, work: Callable[[Lock], Awaitable[None]] | None = None
) -> tuple[float, list[str]]:
    """Hold the lock for a moment; tells when it came, and what was told meanwhile."""
    told: list[str] = []

    async def tell(reason: str) -> None:
        told.append(reason)

    async with held_lock(door, claim, tell=tell, clock=clock) as lock:
        came = clock()
        if work is not None:
            await work(lock)
    return came, told


def test_a_free_lock_comes_at_once_and_is_given_back() -> None:
    door = FakeDoor()
    assert run(holding(door, make_claim())) == (0.0, [])
    assert [one.released for one in door.generations] == [True]


def test_whoever_waits_says_for_whom_once_per_holder() -> None:
    came, told = run(holding(held_by(make_claim("op-1")), make_claim()))
    assert 60 <= came < 63
    assert len(told) == 1
    assert "restore operation op-1" in told[0]


def test_a_door_that_is_away_for_a_moment_ends_no_waiting() -> None:
    door = held_by(make_claim("op-1"))

    async def troubled() -> float:
        waiting = asyncio.create_task(holding(door, make_claim()))
        await asyncio.sleep(10)
        door.troubles += [AWAY, AWAY]
        return (await waiting)[0]

    assert 60 <= run(troubled()) < 65


def test_a_door_that_stays_away_ends_the_waiting_with_patience() -> None:
    door = held_by(make_claim("op-1"))
    claim = make_claim(patience_seconds=30)

    async def cut_off() -> float:
        waiting = asyncio.create_task(holding(door, claim))
        await asyncio.sleep(10)
        door.troubles += [AWAY] * 1000
        with pytest.raises(ClusterUnavailable):
            await waiting
        return clock()

    assert 30 <= run(cut_off()) < 33


def test_a_door_that_is_away_from_the_beginning_is_told_at_once() -> None:
    with pytest.raises(ClusterUnavailable):
        run(holding(FakeDoor(troubles=[AWAY]), make_claim()))


def test_a_holder_that_shows_life_is_waited_for_as_long_as_patience_lasts() -> None:
    door = held_by(make_claim("op-1"))

    async def living() -> float:
        waiting = asyncio.create_task(holding(door, make_claim(patience_seconds=100)))
        while not waiting.done():
            await asyncio.sleep(7)
            await door.renew(door.generations[0])
        with pytest.raises(ClusterBusy, match="op-1 holds the lock"):
            await waiting
        return clock()

    assert 100 <= run(living()) < 110


def test_whoever_gives_up_before_its_predecessor_stopped_does_not_say_that_all_is_quiet() -> None:
    door = held_by(make_claim("op-1"))

    async def impatient() -> None:
        taking = asyncio.create_task(holding(door, make_claim(aborts="op-1")))
        await asyncio.sleep(5)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking

    run(impatient())
    assert [one.released for one in door.generations] == [False, False]


class DoorWithLateRenewal(FakeDoor):
    """The holder's last renewal arrives right after the next generation is made."""

    async def take(self, ours: Holder, *, over: Holder | None) -> bool:
        took = await super().take(ours, over=over)
        if took and over is not None:
            self.generations[0] = replace(self.generations[0], sign="late")
        return took


def test_a_holder_that_renewed_while_it_was_taken_over_is_waited_for_another_lease() -> None:
    door = DoorWithLateRenewal(generations=[holder_of(make_claim("op-1"))])
    came, _ = run(holding(door, make_claim()))
    assert 120 <= came < 125


@pytest.mark.parametrize(
    ("ended_by", "silence_seconds"),
    [
        pytest.param(None, 0, id="answered"),
        pytest.param(ServerError("refused", code=1), 0, id="refused"),
        pytest.param(ClusterUnavailable("reply lost"), 15, id="reply-lost"),
        pytest.param(asyncio.CancelledError(), 15, id="cancelled"),
    ],
)
def test_a_lock_is_given_back_when_no_command_of_its_holder_may_begin_any_more(
    ended_by: BaseException | None, silence_seconds: float
) -> None:
    door = FakeDoor()

    async def send(lock: Lock) -> None:
        try:
            with lock.fence() as seconds:
                assert seconds == 15
                if ended_by is not None:
                    raise ended_by
        except (BackupError, asyncio.CancelledError):
            return

    async def timed() -> float:
        await holding(door, make_claim(), send)
        return clock()

    assert run(timed()) == silence_seconds
    assert door.generations[0].released


def test_a_holder_whose_renewals_fail_stops_after_half_a_lease_and_says_why() -> None:
    door = FakeDoor()

    async def cut_off(lock: Lock) -> None:
        door.troubles += [AWAY] * 100
        await asyncio.sleep(29)
        await lock.check()
        await asyncio.sleep(2)
        with pytest.raises(LockLost, match=r"half a lease \(no answer\)"):
            await lock.check()

    run(holding(door, make_claim(), cut_off))


def test_a_renewal_that_is_answered_too_late_does_not_count() -> None:
    """A taker may have looked before it was written."""
    door = FakeDoor()

    async def stalled(lock: Lock) -> None:
        door.answer_seconds = 40
        await asyncio.sleep(45)
        with pytest.raises(LockLost, match="could not renew"):
            await lock.check()

    run(holding(door, make_claim(), stalled))


def test_a_holder_that_was_taken_over_learns_it_at_its_next_renewal() -> None:
    door = FakeDoor()

    async def overtaken(lock: Lock) -> None:
        door.generations.append(make_claim("op-3").successor(lock.ours, now=NOW))
        await asyncio.sleep(5)
        with pytest.raises(LockLost, match="restore operation op-3 took over"):
            await lock.check()

    run(holding(door, make_claim(), overtaken))
    assert [one.released for one in door.generations] == [True, False]
