"""Doors without anything behind them, for laws about waiting, losing replies and asking once."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tasks.clickhouse.client import Parameters, Server
from tasks.domain.errors import BackupError, ClusterUnavailable, LockLost
from tasks.domain.topology import Replica
from tests.builders import replica_name

EPOCH = 1_700_000_000  # what a fake server's clock shows at virtual time zero


class ScriptedServer(Server):
    """Answers a query by the first key that its text contains; an error is raised instead."""

    def __init__(
        self, answers: Mapping[str, Sequence[Mapping[str, Any]] | BackupError] | None = None
    ) -> None:
        super().__init__(Replica(name=replica_name(), host="nowhere"), username="", password="")
        self.answers = dict(answers or {})
        self.asked: list[Parameters] = []
        self.inserted: list[tuple[str, Mapping[str, Any]]] = []

    async def rows(
        self, sql: str, parameters: Parameters | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        self.asked.append(dict(parameters or {}))
        answer = next(answer for key, answer in self.answers.items() if key in sql)
        if isinstance(answer, BackupError):
            raise answer
        return [dict(row) for row in answer]

    async def insert_row(self, table: str, row: Mapping[str, Any]) -> None:
        self.inserted.append((table, row))


@dataclass(kw_only=True)
class Work:
    """One row of a sidecar's history; it ends by itself, and may vanish."""

    command: str
    ends_at: float = 0.0
    vanishes_at: float = float("inf")
    status: str = "success"
    error: str = ""

    def row(self, now: float) -> dict[str, Any]:
        running = now < self.ends_at
        return {
            "command": self.command,
            "status": "in progress" if running else self.status,
            "error": "" if running else self.error,
        }


@dataclass
class Reaction:
    """What happens to the next command: refused, taken, or taken without a reply.

    One that hangs for too long begins nothing, whatever else is said.
    """

    refusal: BackupError | None = None
    taken: bool = True
    hangs_seconds: float = 0.0
    seconds: float = 5.0
    vanishes_after: float = float("inf")
    status: str = "success"
    error: str = ""


@dataclass
class FakeLeash:
    """Lost at a moment of virtual time, if ever."""

    lost_at: float = float("inf")
    fence_seconds: int = 15
    checks: int = field(default=0)

    async def check(self) -> None:
        self.checks += 1
        if asyncio.get_running_loop().time() >= self.lost_at:
            message = "the lock is lost"
            raise LockLost(message)

    @contextmanager
    def fence(self) -> Iterator[int]:
        yield self.fence_seconds


class FakeSidecarServer(Server):
    """A server with a sidecar's history behind it, in virtual time."""

    def __init__(self, *history: Work, reactions: Sequence[Reaction] = ()) -> None:
        super().__init__(Replica(name=replica_name(), host="nowhere"), username="", password="")
        self.history = list(history)
        self.sent: list[str] = []
        self.fences: list[int] = []
        self.away: tuple[float, float] = (0.0, 0.0)  # no answer from, until
        self._reactions = list(reactions)

    async def rows(
        self, sql: str, parameters: Parameters | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        del parameters
        now = asyncio.get_running_loop().time()
        if self.away[0] <= now < self.away[1]:
            message = "no answer"
            raise ClusterUnavailable(message)
        if "system.backup_actions" in sql:
            return [work.row(now) for work in self.history if now < work.vanishes_at]
        return [{"now": EPOCH + int(now)}]

    async def execute(self, sql: str, parameters: Parameters | None = None, **_: Any) -> None:
        assert sql.startswith("INSERT INTO system.backup_actions")
        told = dict(parameters or {})
        self.sent.append(told["cmd"])
        self.fences.append(told["not_after"])
        reaction = self._reactions.pop(0) if self._reactions else Reaction()
        await asyncio.sleep(reaction.hangs_seconds)
        now = asyncio.get_running_loop().time()
        if reaction.taken and EPOCH + int(now) < told["not_after"]:
            self.history.append(
                Work(
                    command=told["cmd"],
                    ends_at=now + reaction.seconds,
                    vanishes_at=now + reaction.vanishes_after,
                    status=reaction.status,
                    error=reaction.error,
                )
            )
        if reaction.refusal is not None:
            raise reaction.refusal


def refused(error: BackupError) -> Reaction:
    return Reaction(refusal=error, taken=False)


def reply_lost(*, taken: bool) -> Reaction:
    return Reaction(refusal=ClusterUnavailable("connection reset"), taken=taken)
