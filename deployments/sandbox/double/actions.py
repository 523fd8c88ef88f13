"""The history of commands: rows in memory, the one lock, and cancelling."""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.knobs import Steps

IN_PROGRESS = "in progress"


@dataclass(slots=True, eq=False)
class Row:
    command: str
    start: str
    status: str = IN_PROGRESS
    finish: str = ""
    error: str = ""
    operation_id: str = ""
    open: bool = True
    task: asyncio.Task[None] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def shown(self) -> dict[str, str]:
        """Leave out empty fields, except the two that every row has."""
        optional = {
            "start": self.start,
            "finish": self.finish,
            "error": self.error,
            "operation_id": self.operation_id,
        }
        filled = {name: value for name, value in optional.items() if value}
        return {"command": self.command, "status": self.status} | filled


class History:
    def __init__(self, *, steps: Steps, cancel_timeout_seconds: float, size: int) -> None:
        self._rows: list[Row] = []
        self._steps = steps
        self._cancel_timeout_seconds = cancel_timeout_seconds
        self._size = size

    def shown(self, contains: str = "", last: int = 0) -> Sequence[dict[str, str]]:
        rows = [
            row.shown()
            for row in self._rows
            if contains in row.command or contains in row.status or contains in row.error
        ]
        return rows[-last:] if last > 0 else rows

    @property
    def kills_in_name_only(self) -> bool:
        return self._steps.knobs().kills_in_name_only

    @property
    def busy(self) -> bool:
        return any(row.status == IN_PROGRESS for row in self._rows)

    def running(self, command: str) -> bool:
        return any(row.status == IN_PROGRESS and row.command == command for row in self._rows)

    def start(self, command: str, operation_id: str = "") -> Row:
        row = Row(command, self.now(), operation_id=operation_id)
        self._rows.append(row)
        self._trim()
        return row

    def stop(self, row: Row, error: str | None) -> None:
        row.done.set()
        if row.status != IN_PROGRESS:
            return
        row.open = False
        row.status = "success" if error is None else "error"
        row.error = error or ""
        row.finish = self.now()

    async def cancel(self, command: str, reason: str) -> str:
        """Mark the row at once and return when its work has really ended."""
        row = self._find(command)
        if self.kills_in_name_only:
            self._relabel(row, reason)
            return row.command
        self._mark_cancelled(row, reason)
        await self._wait(row)
        return row.command

    async def cancel_all(self, reason: str) -> list[str]:
        """Rewrite every row, finished ones too."""
        running = [row for row in self._rows if row.status == IN_PROGRESS]
        for row in self._rows:
            self._mark_cancelled(row, reason)
        for row in running:
            await self._wait(row)
        return [row.command for row in running]

    def now(self) -> str:
        offset = self._steps.knobs().clock_offset_seconds
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + offset))

    def _find(self, command: str) -> Row:
        for row in self._rows:
            if row.command == command and row.open if command else row.status == IN_PROGRESS:
                return row
        raise CommandFailed(f"command `{command}` not found")

    def _mark_cancelled(self, row: Row, reason: str) -> None:
        if row.open and row.task:
            row.task.cancel()
        self._relabel(row, reason)

    def _relabel(self, row: Row, reason: str) -> None:
        row.open = False
        row.status, row.error, row.finish = "cancel", reason, self.now()

    async def _wait(self, row: Row) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(row.done.wait(), self._cancel_timeout_seconds)

    def _trim(self) -> None:
        finished = [row for row in self._rows if row.status != IN_PROGRESS and row.done.is_set()]
        forgotten = set(map(id, finished[: max(0, len(finished) - self._size)]))
        self._rows = [row for row in self._rows if id(row) not in forgotten]


def end_process(reason: str) -> None:
    """End like the real server's exit(): nothing is finished, nothing is answered."""
    print(f"fatal: {reason}", flush=True)
    os._exit(1)
