"""Submission: one command for one sidecar, sent once, behind a fence that a late one cannot pass.

The fence is part of the statement and is judged by the server's clock: a request that hung, and
is carried out when its lease may be over, begins nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tasks.clickhouse.client import Server
from tasks.clickhouse.commands import Command
from tasks.clickhouse.sidecar_tables import sidecar_tables
from tasks.domain.errors import ActionFailed, BackupError, ClusterUnavailable
from tasks.domain.lock import LONGEST_FENCE_SECONDS

_SUBMIT = (
    "INSERT INTO system.backup_actions(command) "
    "SELECT {cmd:String} AS command WHERE toUInt32(now()) < {not_after:UInt32}"
)
# old servers send a request without a row, where the fence let none pass; new ones send nothing
_NOTHING_CAME = "empty request"


class Lease(Protocol):
    """What lets an operation act: asked before every command and while waiting."""

    async def check(self) -> None:
        """Raise LockLost when another one may act."""

    def fence(self) -> AbstractContextManager[int]:
        """Lend the seconds in which one command may begin, and remember it until it cannot."""


class Submission:
    """The way from one operation to one sidecar, open as long as the lease lasts."""

    def __init__(self, server: Server, lease: Lease) -> None:
        self._server = server
        self._lease = lease

    async def send(self, command: Command, *, timeout_seconds: int = 60) -> None:
        """Send once. Raises ReplyLate where the fence may have kept the command from beginning."""
        asked = asyncio.get_running_loop().time()
        now = await self._server.value("SELECT toUInt32(now()) AS now")
        await self._lease.check()
        with sidecar_tables(self._server):
            sending = self._sent(
                command, asked=asked, now=int(now), timeout_seconds=timeout_seconds
            )
            await _never_left_in_flight(sending)

    async def _sent(
        self, command: Command, *, asked: float, now: int, timeout_seconds: int
    ) -> None:
        with self._lease.fence() as seconds:
            parameters = {"cmd": command.text, "not_after": now + seconds}
            settings = {"http_receive_timeout": timeout_seconds}
            try:
                await self._server.execute(
                    _SUBMIT, parameters, settings=settings, timeout_seconds=timeout_seconds
                )
            except ClusterUnavailable as error:
                raise ReplyLost(str(error), not_after=now + seconds) from error
            except ActionFailed as error:
                if _NOTHING_CAME not in str(error):
                    raise
                raise ReplyLate(str(error), not_after=now + seconds) from error
            # the server's clock shows whole seconds only
            if asyncio.get_running_loop().time() - asked > seconds - 1:
                message = "the answer came after its fence"
                raise ReplyLate(message, not_after=now + seconds)


async def until_in_time(send: Callable[[], Awaitable[None]]) -> None:
    """Send what may be sent again and again, until it surely came before its fence."""
    while True:
        with contextlib.suppress(ReplyLate):
            return await send()


async def _never_left_in_flight(request: Coroutine[Any, Any, None]) -> None:
    """Await a request; who is cancelled meanwhile first waits until it cannot begin any more.

    So whoever cleans up after a cancelled flow finds a row of all that will ever have one.
    """
    sending = asyncio.create_task(request)
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await asyncio.wait({sending}, timeout=LONGEST_FENCE_SECONDS)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, BackupError, ReplyLost):
            await sending
        raise


class ReplyLost(Exception):
    """A command was sent and nobody answered. `not_after`: when it cannot begin any more."""

    def __init__(self, message: str, *, not_after: int) -> None:
        super().__init__(message)
        self.not_after = not_after


class ReplyLate(ReplyLost):
    """Somebody answered, but so late that the fence may have made the command void."""
