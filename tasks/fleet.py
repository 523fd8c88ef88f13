"""The fleet: all replicas of an operation, worked on in parallel, one phase after the other."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import BackupError
from tasks.domain.phases import Phase
from tasks.fan_out import all_or_raise, fan_out
from tasks.reports import Progress

T = TypeVar("T")


class Fleet:
    """Sessions by replica name, at most `width` of them at work at once."""

    def __init__(
        self, sessions: Iterable[ReplicaSession], *, width: int, progress: Progress
    ) -> None:
        self.sessions: Mapping[str, ReplicaSession] = {s.replica: s for s in sessions}
        self._width = width
        self._progress = progress

    def expect(self, steps: int) -> None:
        """Say how many steps are to come, where that was not known at the start."""
        self._progress.expect(steps)

    async def phase(
        self, phase: Phase, replicas: Iterable[str], call: Callable[[ReplicaSession], Awaitable[T]]
    ) -> dict[str, T | BackupError]:
        """Run one phase on some replicas and wait for all: the barrier. Errors stay in place."""

        async def told(session: ReplicaSession) -> T:
            result = await call(session)
            await self._progress.advance(phase)
            return result

        names = list(replicas)
        calls = (told(self.sessions[replica]) for replica in names)
        results = await fan_out(calls, width=self._width)
        return dict(zip(names, results, strict=True))

    async def demand(
        self, phase: Phase, replicas: Iterable[str], call: Callable[[ReplicaSession], Awaitable[T]]
    ) -> dict[str, T]:
        """Run one phase and raise the first error: for phases that must succeed everywhere."""
        results = await self.phase(phase, replicas, call)
        return dict(zip(results, all_or_raise(results.values()), strict=True))


def succeeded(results: Mapping[str, T | BackupError]) -> dict[str, T]:
    """Keep what went well."""
    return {name: r for name, r in results.items() if not isinstance(r, BackupError)}


def failed(*phases: Mapping[str, object | BackupError]) -> dict[str, BackupError]:
    """Keep the first error of each replica over several phases."""
    found: dict[str, BackupError] = {}
    for results in phases:
        for name, result in results.items():
            if isinstance(result, BackupError):
                found.setdefault(name, result)
    return found
