"""A moment: an exact point of one phase on one replica, at which a flow is held for a test.

The flows know nothing of it: the fleet that carries out their phases is wrapped.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from deployments.sandbox.double.knobs import Knobs
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.phases import Phase
from tasks.fleet import Fleet

Hold = Callable[[], Awaitable[None]]
Call = Callable[[ReplicaSession], Awaitable[Any]]


class Point(StrEnum):
    BEFORE = "before submit"
    RUNNING = "while running"
    AFTER = "after success"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """While running: the sidecar has taken its command and stands at `step` of it.

    Without a step: the first statement was sent that changes something besides the journal.
    `knobs` is the file by which the sidecar is held.
    """

    phase: Phase
    replica: str
    point: Point
    step: str = ""
    knobs: Path | None = None

    def is_reached(self, parameters: Mapping[str, Any] | None) -> bool:
        """Tell whether the statement with these parameters makes it run."""
        verb = self.step.partition(".")[0]
        return not verb or str((parameters or {}).get("cmd", "")).startswith(f"{verb} ")


@contextmanager
def held_at(moment: Moment, hold: Hold) -> Iterator[None]:
    """Hold the flows of this process there, once."""
    unwatched = Fleet.phase
    once = _Once(hold)

    async def phase(self: Fleet, phase: Phase, replicas: Iterable[str], call: Call) -> Any:
        async def watched(session: ReplicaSession) -> Any:
            if session.replica != moment.replica:
                return await call(session)
            return await _held(moment, session, call, once)

        watching = watched if phase is moment.phase else call
        return await unwatched(self, phase, replicas, watching)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "phase", phase)
        yield


class _Once:
    """Holds the first who comes, and nobody after."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._was_held = False

    async def __call__(self) -> None:
        if not self._was_held:
            self._was_held = True
            await self._hold()


async def _held(moment: Moment, session: ReplicaSession, call: Call, hold: Hold) -> Any:
    match moment.point:
        case Point.BEFORE:
            await hold()
            return await call(session)
        case Point.RUNNING:
            return await _held_while_running(moment, session, call, hold)
        case Point.AFTER:
            result = await call(session)
            await hold()
            return result


async def _held_while_running(
    moment: Moment, session: ReplicaSession, call: Call, hold: Hold
) -> Any:
    execute = session.server.execute

    async def held(sql: str, parameters: Mapping[str, Any] | None = None, **rest: Any) -> None:
        await execute(sql, parameters, **rest)
        if moment.is_reached(parameters):
            await hold()

    if moment.step and moment.knobs is not None:
        turn(moment.knobs, pause=(moment.step,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.server, "execute", held)
        return await call(session)


def turn(path: Path, **knobs: Any) -> None:
    """Turn some knobs of a sidecar and leave the others as they are."""
    replace(Knobs.read(path), **knobs).write(path)
