"""Moves the files of one part, no faster than a command is allowed to."""

import asyncio
import contextlib
import time
from pathlib import Path

from deployments.sandbox.double.files import copy_in_chunks, files_of


class Throttle:
    """Sleeps whenever more bytes have passed than the rate permits; 0 permits everything."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._passed = 0
        self._started = time.monotonic()

    async def passed(self, size: int) -> None:
        self._passed += size
        due = self._passed / self._rate if self._rate > 0 else 0.0
        await asyncio.sleep(max(0.0, self._started + due - time.monotonic()))


async def copy_part(source: Path, target: Path, drafts: Path, throttle: Throttle) -> int:
    """Copy a folder file by file; a source that is not there is no error, as in a store."""
    total = 0
    for name in files_of(source):
        with contextlib.closing(copy_in_chunks(source / name, target / name, drafts)) as chunks:
            for size in chunks:
                total += size
                await throttle.passed(size)
    return total
