"""Cleanup follows success and failure alike, hides neither, and keeps out of a cancellation."""

import asyncio

import pytest

from tasks.clickhouse.tidy import tidied
from tasks.domain.errors import ActionFailed, ClusterBusy


@pytest.mark.parametrize(
    ("body", "cleaned"),
    [
        pytest.param(None, 1, id="success"),
        pytest.param(ActionFailed("no room"), 1, id="failure"),
        pytest.param(asyncio.CancelledError(), 0, id="cancelled"),
    ],
)
async def test_whoever_is_cancelled_cleans_nothing_up(
    body: BaseException | None, cleaned: int
) -> None:
    done: list[str] = []

    async def cleanup() -> None:
        done.append("cleaned")

    async def work() -> None:
        async with tidied(cleanup):
            if body is not None:
                raise body

    (result,) = await asyncio.gather(work(), return_exceptions=True)
    assert type(result) is type(body)
    assert len(done) == cleaned


async def test_a_cleanup_that_fails_too_is_a_note_on_the_first_error() -> None:
    async def cleanup() -> None:
        message = "at work"
        raise ClusterBusy(message)

    async def work() -> None:
        async with tidied(cleanup):
            message = "no room"
            raise ActionFailed(message)

    with pytest.raises(ActionFailed, match="no room") as caught:
        await work()
    assert caught.value.__notes__ == ["cleaning up failed too: at work"]
