"""Actions: submit a command to a sidecar behind a fence, find its row again, wait for its end.

History is the sidecar's memory: a row may vanish, and an upload that was under way may come back
as `upload --resumable=1 NAME` without our token. So a row is found by its exact text first, by
verb and last word second, and its absence counts only when seen twice, seconds apart.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from tasks.clickhouse import commands
from tasks.clickhouse.client import Server
from tasks.clickhouse.commands import Command, Token, Verb
from tasks.clickhouse.errors import redacted
from tasks.clickhouse.sidecar_tables import sidecar_tables
from tasks.clickhouse.submission import Lease, ReplyLost, Submission, until_in_time
from tasks.domain.actions import Action, ActionStatus
from tasks.domain.errors import (
    ActionFailed,
    ClusterBusy,
    ClusterUnavailable,
    FateUnknown,
    NotAllowed,
)

# one try: a dead sidecar would otherwise keep a SELECT inside the server for two minutes
READ_ONCE = {"http_max_tries": 1, "http_receive_timeout": 60}
SYNCHRONOUS_SECONDS = 1800
_ABSENT_FOR_SECONDS = 2.0
_SHORTEST_POLL, _LONGEST_POLL = 0.1, 5.0
_READ = "SELECT command, status, error FROM system.backup_actions ORDER BY rowNumberInAllBlocks()"
_DUPLICATE = "command is already running"


Guard = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for one action, and for a sidecar that is at work for others."""

    action_seconds: float
    busy_seconds: float


def new_token(operation_id: str) -> Token:
    """Make a token that no other submission carries."""
    return Token(operation_id=operation_id, attempt=secrets.token_hex(4))


async def read_actions(server: Server) -> tuple[Action, ...]:
    """Read the sidecar's history, oldest first. Empty after a restart."""
    with sidecar_tables(server):
        rows = await server.rows(_READ, settings=READ_ONCE)
    return tuple(
        Action(command=row["command"], status=ActionStatus(row["status"]), error=row["error"])
        for row in rows
    )


class Sidecar:
    """One sidecar under one lease, working for one operation."""

    def __init__(
        self, server: Server, *, operation_id: str, lease: Lease, timeouts: Timeouts
    ) -> None:
        self.server = server
        self.operation_id = operation_id
        self._lease = lease
        self._submission = Submission(server, lease)
        self._timeouts = timeouts

    def token(self) -> Token:
        return new_token(self.operation_id)

    async def settle(
        self,
        command: Command,
        *,
        done: Callable[[], Awaitable[bool]],
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Bring about what `command` is for: wait if it runs, nothing if it is done, else send.

        For verbs whose repetition is harmless (create, upload, download). `prepare` clears the
        way, and is called only when nothing runs. Raises ActionFailed with the sidecar's text,
        FateUnknown when its row vanished without a result.
        """
        running = await self._running(command)
        if running is not None:  # an earlier attempt's, with another token, or a resumed one
            command = replace(command, text=running.command)
        elif await done():
            return
        else:
            if prepare is not None:
                await prepare()
            await self.submit(command)
        ended = await self.wait(command)
        if ended is not None and _is_attached_elsewhere(ended):
            ended = await self._wait_for_twin(command)
        if ended is None and not await done():
            message = f"{self._what(command)} left no trace: its sidecar was restarted"
            raise FateUnknown(message)
        if ended is not None:
            self._demand_success(command, ended)

    async def settle_down(self) -> None:
        """Wait until nothing that an earlier attempt of this operation sent is at work."""
        poll = _Polling(self._timeouts.action_seconds, what=f"work on {self.server.name}")
        while any(
            action.running and action.belongs_to(self.operation_id)
            for action in await read_actions(self.server)
        ):
            await self._lease.check()
            await poll.pause()

    async def perform(self, command: Command, *, guard: Guard | None = None) -> None:
        """Send `command` exactly once and wait for success; for what must not be repeated.

        `guard` raises what forbids it; it is asked right before the command is sent. Raises
        ActionFailed, or FateUnknown when nobody can say whether it ran.
        """
        await self.submit(command, guard=guard)
        ended = await self.wait(command)
        if ended is None:
            message = f"{self._what(command)} left no trace: it may have run in part"
            raise FateUnknown(message)
        self._demand_success(command, ended)

    async def submit(self, command: Command, *, guard: Guard | None = None) -> None:
        """Send behind a fence. A busy sidecar is waited for; ClusterBusy when patience ends."""
        try:
            await self._send(command, guard=guard)
        except ReplyLost as lost:
            # the command may have been taken all the same: only its row can tell
            if not await self._appeared(command, not_after=lost.not_after):
                message = f"{self._what(command)} was not taken: {lost}"
                raise ClusterUnavailable(message) from lost

    async def delete(self, command: Command) -> None:
        """Delete synchronously; a backup that is not there any more is what was wanted.

        Raises FateUnknown when the reply was lost: deleting again is harmless.
        """
        try:
            await until_in_time(lambda: self._send(command, timeout_seconds=SYNCHRONOUS_SECONDS))
        except ActionFailed as error:
            if "is not found" not in str(error):
                raise
        except ReplyLost as lost:
            message = f"{self._what(command)}: {lost}"
            raise FateUnknown(message) from lost

    async def kill(self, action: Action) -> None:
        """Ask for the end of a running action, and return when its work has ended.

        Raises FateUnknown when that takes longer than an action may. What ended meanwhile is no
        longer there to be killed, as was wanted.
        """
        seconds = math.ceil(self._timeouts.action_seconds)
        try:
            await until_in_time(
                lambda: self._submission.send(commands.kill(action), timeout_seconds=seconds)
            )
        except ActionFailed as error:
            if "not found" not in str(error):
                raise
        except ReplyLost as lost:
            message = f"`{action.verb} {action.name}` on {self.server.name} was killed: {lost}"
            raise FateUnknown(message) from lost

    async def _send(
        self, command: Command, *, guard: Guard | None = None, timeout_seconds: int = 60
    ) -> None:
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._timeouts.busy_seconds, _SHORTEST_POLL
        while True:
            if guard is not None:
                await guard()
            try:
                await self._submission.send(command, timeout_seconds=timeout_seconds)
            except ClusterBusy:
                if clock() + pause > deadline:
                    raise
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL)

    async def wait(self, command: Command) -> Action | None:
        """Wait for the row of `command` to end; None when it vanished.

        A row that appears in its place without our token (the sidecar resumed by itself after a
        restart) is waited for as if it were ours.
        """
        poll = _Polling(self._timeouts.action_seconds, what=self._what(command))
        absent_since: float | None = None
        answered = poll.now
        while True:
            seen, answered = await self._look(command, answered=answered)
            if seen is not None and not seen.running:
                return seen
            if seen is not None:
                absent_since = None
            elif absent_since is None:
                absent_since = poll.now
            elif poll.now - absent_since >= _ABSENT_FOR_SECONDS:
                return None
            await self._lease.check()
            await poll.pause()

    async def _look(self, command: Command, *, answered: float) -> tuple[Action | None, float]:
        """Look for the row; also tell when the sidecar answered last.

        One that is away says nothing and proves nothing, until it was away for too long.
        """
        now = asyncio.get_running_loop().time()
        try:
            actions = await read_actions(self.server)
        except ClusterUnavailable as error:
            if now - answered > self._timeouts.busy_seconds:
                message = f"{self._what(command)}: no answer for {now - answered:.0f} s"
                raise ClusterUnavailable(message) from error
            return Action(command=command.text, status=ActionStatus.IN_PROGRESS), answered
        return _own_row(actions, command) or _resumed_row(actions, command), now

    async def _running(self, command: Command) -> Action | None:
        """Find a running row that does what `command` would do, and is ours or resumed."""
        for action in await read_actions(self.server):
            same = action.running and action.verb == command.verb and action.name == command.name
            if same and (action.belongs_to(self.operation_id) or action.resumed):
                return action
        return None

    async def _wait_for_twin(self, command: Command) -> Action | None:
        poll = _Polling(self._timeouts.action_seconds, what=self._what(command))
        while True:
            running = [
                action
                for action in await read_actions(self.server)
                if action.running and action.name == command.name
            ]
            if not running:
                return None
            await self._lease.check()
            await poll.pause()

    async def _appeared(self, command: Command, *, not_after: int) -> bool:
        """Look for the row of a command whose reply was lost, until its fence has passed."""
        poll = _Polling(self._timeouts.busy_seconds, what=self._what(command))
        while True:
            try:
                if _own_row(await read_actions(self.server), command) is not None:
                    return True
                now = await self.server.value("SELECT toUInt32(now()) AS now")
                if now > not_after + _ABSENT_FOR_SECONDS:
                    return False
            except (ClusterUnavailable, NotAllowed) as error:
                if poll.over:
                    message = f"{self._what(command)}: no reply, and no way to look"
                    raise FateUnknown(message) from error
            await self._lease.check()
            await poll.pause()

    def _what(self, command: Command) -> str:
        return f"`{command.verb} {command.name}` on {self.server.name}"

    def _demand_success(self, command: Command, ended: Action) -> None:
        if ended.status is ActionStatus.SUCCESS:
            return
        if ended.resumed:  # not what was sent: sending it again is the cure
            message = f"{self._what(command)} was resumed without success: {redacted(ended.error)}"
            raise FateUnknown(message)
        message = f"{self._what(command)} ended as {ended.status}: {redacted(ended.error)}"
        raise ActionFailed(message)


class _Polling:
    """Pauses that grow while nothing changes, up to a deadline."""

    def __init__(self, seconds: float, *, what: str) -> None:
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + seconds
        self._seconds = seconds
        self._what = what
        self._next = _SHORTEST_POLL

    @property
    def now(self) -> float:
        return self._clock()

    @property
    def over(self) -> bool:
        return self.now >= self._deadline

    async def pause(self) -> None:
        if self.over:
            message = f"{self._what} did not end within {self._seconds:g} s; it may still run"
            raise FateUnknown(message)
        await asyncio.sleep(self._next)
        self._next = min(self._next * 1.5, _LONGEST_POLL)


def _own_row(history: tuple[Action, ...], command: Command) -> Action | None:
    return next((a for a in reversed(history) if a.command == command.text), None)


def _resumed_row(history: tuple[Action, ...], command: Command) -> Action | None:
    if command.verb not in {Verb.UPLOAD, Verb.DOWNLOAD}:
        return None
    resumed = (
        action
        for action in reversed(history)
        if action.resumed and action.verb == command.verb and action.name == command.name
    )
    return next(resumed, None)


def _is_attached_elsewhere(action: Action) -> bool:
    return action.status is ActionStatus.ERROR and _DUPLICATE in action.error
