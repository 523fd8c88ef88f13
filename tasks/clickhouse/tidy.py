"""Cleanup that never hides the error it follows, and leaves a cancelled flow to its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tasks.domain.errors import BackupError


@asynccontextmanager
async def tidied(cleanup: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Clean up after the body; when both fail, the body's error gets a note of the other one.

    Not when the body is cancelled: its command still runs, so that its sidecar would refuse; what
    is left goes when the operation is given up.
    """
    try:
        yield
    except Exception as first:
        try:
            await cleanup()
        except BackupError as second:
            first.add_note(f"cleaning up failed too: {second}")
        raise
    await cleanup()
