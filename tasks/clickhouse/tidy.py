"""Cleanup that never hides the error it follows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tasks.domain.errors import BackupError


@asynccontextmanager
async def tidied(cleanup: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Clean up after the body; when both fail, the body's error gets a note of the other one."""
    try:
        yield
    except BaseException as first:
        try:
            await cleanup()
        except BackupError as second:
            first.add_note(f"cleaning up failed too: {second}")
        raise
    await cleanup()
