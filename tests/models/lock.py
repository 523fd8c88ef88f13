"""A lock, its holders and their late requests, in every order, on the product's own rules.

Every step is one atomic effect somewhere; between two steps of a process anything may happen, so a
process that stalls is one that takes no step. Times are whole seconds before now (negative), each
by the clock of whoever needs it, and what is older than anybody asks for is cut off: so the world
is finite, and all of it is searched. The first holder's clock may stand still for some seconds.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from functools import cache
from typing import NamedTuple

from tasks.domain.lock import Claim, Holder, Watch, fence_seconds, may_take, remaining_seconds

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def _product_successor(claim: Claim, before: Holder) -> Holder:
    return claim.successor(before, now=_EPOCH)


def _product_stop(watch: Watch) -> bool:
    return watch.has_stopped


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What processes go by. The defaults are the product's; a mutant replaces one of them."""

    fence: Callable[[float], int] = fence_seconds
    may_take: Callable[[Watch, Claim], bool] = may_take
    has_stopped: Callable[[Watch], bool] = _product_stop
    successor: Callable[[Claim, Holder], Holder] = _product_successor
    late_renewals_count: bool = False
    waits_for_its_fences: bool = True
    stays_silent_until_its_predecessor_stopped: bool = True


class Phase(Enum):
    """Where a process is on its way."""

    WAITING = auto()
    TAKEN = auto()  # a generation is made; the holder before may not have stopped yet
    ACTING = auto()
    OVER = auto()


class Generation(NamedTuple):
    """What the door shows of one holder. `sign` is reduced to what watchers can tell apart."""

    owner: int
    lease: int
    released: bool = False
    sign: int = 0


class Seen(NamedTuple):
    """What a process saw: a generation with this sign, since when, and whether for long enough."""

    generation: int
    shown: Generation
    since: int
    asked: int


class Process(NamedTuple):
    """At most one renewal and one request under way; a request is sent once."""

    phase: Phase = Phase.WAITING
    generation: int = 0
    renewed: int = 0
    renewing: int | None = None
    seen: Seen | None = None
    sent: bool = False
    fence: int | None = None  # seconds until the request under way cannot begin any more
    quiet_in: int = 0  # the same by the process's own clock


class World(NamedTuple):
    """Everything at one moment. `acted`: the newest generation that acts, or acted."""

    generations: tuple[Generation, ...]
    processes: tuple[Process, ...]
    acted: int = 1
    lags_left: int = 0
    violation: str = ""


class Explored(NamedTuple):
    """The end of a shortest story with two senders, or nothing; how many worlds; who ever acts."""

    violation: str
    worlds: int
    actors: set[int]


class Model:
    """The claims, the rules they go by, and the search. The first claim holds the lock."""

    def __init__(self, *claims: Claim, rules: Rules, lags: int = 0) -> None:
        self._claims = claims
        self._rules = rules
        self._lags = lags
        self._holder = cache(self._make_holder)
        self._watch = cache(self._make_watch)
        self._forgotten = cache(self._forget)

    def explore(self) -> "Explored":
        """Search every order of events, up to the first in which there are two senders."""
        first = Generation(owner=0, lease=self._claims[0].lease_seconds)
        others = [Process() for _ in self._claims[1:]]
        processes = (Process(Phase.ACTING, generation=1), *others)
        start = World((first,), processes, lags_left=self._lags)
        known, waiting, actors = {start}, deque([start]), set[int]()
        while waiting:
            for after in self._steps(waiting.popleft()):
                if after.violation:
                    return Explored(after.violation, len(known), actors)
                plain = self._reduced(after)
                if plain not in known:
                    known.add(plain)
                    waiting.append(plain)
                    actors |= {n for n, p in enumerate(plain.processes) if p.phase is Phase.ACTING}
        return Explored("", len(known), actors)

    def _steps(self, world: World) -> Iterator[World]:
        yield from self._ticks(world)
        for number, process in enumerate(world.processes):
            if process.fence is not None:
                yield from self._arrival(world, number)
            match process.phase:
                case Phase.WAITING:
                    yield from self._waiting(world, number)
                case Phase.TAKEN:
                    yield from self._renewal(world, number)
                    yield from self._taken(world, number)
                case Phase.ACTING if process.generation < len(self._claims):
                    yield from self._renewal(world, number)
                    yield from self._acting(world, number)
                case _:  # it is over, or nobody is left to whom its steps would make a difference
                    pass

    def _ticks(self, world: World) -> Iterator[World]:
        for late in (None, 0) if world.lags_left else (None,):
            processes = tuple(
                _aged(process, own=number != late) for number, process in enumerate(world.processes)
            )
            lags_left = world.lags_left - (late is not None)
            yield world._replace(processes=processes, lags_left=lags_left)

    def _arrival(self, world: World, number: int) -> Iterator[World]:
        """Let the request under way reach the server: behind its fence it begins nothing."""
        process = world.processes[number]
        assert process.fence is not None
        arrived = _with(world, number, process._replace(fence=None))
        if process.fence > 0 and world.acted > process.generation:
            story = f"a command of generation {process.generation} begins while {world.acted} acts"
            yield arrived._replace(violation=story)
        yield arrived

    def _waiting(self, world: World, number: int) -> Iterator[World]:
        process, claim = world.processes[number], self._claims[number]
        newest = len(world.generations)
        seen = self._looked(process.seen, newest, world.generations[-1])
        yield _with(world, number, process._replace(seen=seen))
        if process.seen is None or process.seen.generation != newest:
            return
        watch = self._watch(process.seen)
        if not self._rules.may_take(watch, claim):
            return
        ours = self._rules.successor(claim, watch.holder)
        taken = process._replace(phase=Phase.TAKEN, generation=newest + 1, renewed=0)
        generations = (*world.generations, Generation(owner=number, lease=ours.lease_seconds))
        yield _with(world, number, taken)._replace(generations=generations)

    def _taken(self, world: World, number: int) -> Iterator[World]:
        process = world.processes[number]
        seen = process.seen
        assert seen is not None
        before = world.generations[seen.generation - 1]
        seen = self._looked(seen, seen.generation, before)
        yield _with(world, number, process._replace(seen=seen))
        if self._remaining(process, number) > 0 and self._rules.has_stopped(self._watch(seen)):
            acting = process._replace(phase=Phase.ACTING, seen=None)
            acted = max(world.acted, process.generation)
            yield _with(world, number, acting)._replace(acted=acted)
        if not self._rules.stays_silent_until_its_predecessor_stopped:
            yield _released(world, number)

    def _renewal(self, world: World, number: int) -> Iterator[World]:
        """Ask for the newest generation first; what is then written arrives at any time."""
        process = world.processes[number]
        if process.renewing is not None:
            ours = world.generations[process.generation - 1]
            generations = list(world.generations)
            generations[process.generation - 1] = ours._replace(sign=ours.sign + 1)
            counts = self._rules.late_renewals_count or self._remaining(process, number) > 0
            renewed = process.renewing if counts else process.renewed
            answered = process._replace(renewed=renewed, renewing=None)
            yield _with(world, number, answered)._replace(generations=tuple(generations))
        elif (
            len(world.generations) == process.generation
            and self._remaining(process, number) > 0
            and process.renewed < 0
        ):
            yield _with(world, number, process._replace(renewing=0))

    def _acting(self, world: World, number: int) -> Iterator[World]:
        process = world.processes[number]
        remaining = self._remaining(process, number)
        if remaining > 0 and not process.sent:
            fence = self._rules.fence(remaining)
            sending = process._replace(sent=True, fence=fence, quiet_in=fence)
            story = ""
            if world.acted > process.generation:
                story = f"generation {process.generation} sends while {world.acted} acts"
            yield _with(world, number, sending)._replace(violation=story)
        quiet = process.fence is None or process.quiet_in <= 0
        if quiet or not self._rules.waits_for_its_fences:
            yield _released(world, number)

    def _remaining(self, process: Process, number: int) -> float:
        lease = self._claims[number].lease_seconds
        return remaining_seconds(renewed=process.renewed, lease_seconds=lease, now=0)

    def _looked(self, seen: Seen | None, generation: int, shown: Generation) -> Seen:
        if seen is None:
            return Seen(generation, shown, since=0, asked=0)
        holder = self._holder(generation, shown)
        watch = self._watch(seen).saw(holder, asked=0, answered=0)
        return Seen(generation, shown, since=int(watch.since), asked=int(watch.asked))

    def _make_watch(self, seen: Seen) -> Watch:
        holder = self._holder(seen.generation, seen.shown)
        return Watch(holder=holder, since=seen.since, asked=seen.asked)

    def _make_holder(self, generation: int, shown: Generation) -> Holder:
        claim = self._claims[shown.owner]
        return Holder(
            generation=generation,
            operation_id=claim.operation_id,
            operation=claim.operation,
            instance=claim.instance,
            lease_seconds=shown.lease,
            since=_EPOCH,
            released=shown.released,
            sign=str(shown.sign),
        )

    def _reduced(self, world: World) -> World:
        """Forget what makes no difference to anything that may still happen."""
        signs: list[dict[int, int]] = []
        for number, shown in enumerate(world.generations, start=1):
            watched = {
                p.seen.shown.sign for p in world.processes if p.seen and p.seen.generation == number
            }
            signs.append({sign: rank for rank, sign in enumerate(sorted({shown.sign, *watched}))})
        generations = tuple(
            shown._replace(sign=ranks[shown.sign])
            for shown, ranks in zip(world.generations, signs, strict=True)
        )
        processes = tuple(
            self._forgotten(p, number, signs[p.seen.generation - 1][p.seen.shown.sign])
            if p.seen
            else self._forgotten(p, number, 0)
            for number, p in enumerate(world.processes)
        )
        return World(generations, processes, world.acted, world.lags_left)

    def _forget(self, process: Process, number: int, sign: int) -> Process:
        half = self._claims[number].lease_seconds // 2
        over = process.phase is Phase.OVER
        fence = None if process.fence is None or process.fence <= 0 else process.fence
        return process._replace(
            renewed=0 if over else max(process.renewed, -half),
            renewing=None if process.renewing is None else max(process.renewing, -half),
            seen=None if process.seen is None or over else _cut(process.seen, sign),
            fence=fence,
            quiet_in=max(process.quiet_in, 0) if fence is not None else 0,
        )


def _cut(seen: Seen, sign: int) -> Seen:
    lease = seen.shown.lease
    shown = seen.shown._replace(sign=sign)
    if seen.asked - seen.since >= lease:
        return seen._replace(shown=shown, since=-lease, asked=0)
    since = max(seen.since, -lease)
    return seen._replace(shown=shown, since=since, asked=since)


def _aged(process: Process, *, own: bool) -> Process:
    """Let a second pass, unless this process's own clock stands still."""
    seen, renewing, fence = process.seen, process.renewing, process.fence
    fence = None if fence is None else fence - 1
    if not own:
        return process._replace(fence=fence)
    return process._replace(
        renewed=process.renewed - 1,
        renewing=None if renewing is None else renewing - 1,
        seen=seen and seen._replace(since=seen.since - 1, asked=seen.asked - 1),
        fence=fence,
        quiet_in=process.quiet_in - 1,
    )


def _with(world: World, number: int, process: Process) -> World:
    processes = (*world.processes[:number], process, *world.processes[number + 1 :])
    return world._replace(processes=processes)


def _released(world: World, number: int) -> World:
    process = world.processes[number]
    generations = list(world.generations)
    shown = generations[process.generation - 1]
    generations[process.generation - 1] = shown._replace(released=True)
    over = _with(world, number, process._replace(phase=Phase.OVER))
    return over._replace(generations=tuple(generations))
