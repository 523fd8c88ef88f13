"""Fan-out: all at once up to a width; one's failure never hides another's success."""

import asyncio
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State, StateType, TaskRun
from prefect.tasks import Task

from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    ClusterBusy,
    ClusterUnavailable,
    FateUnknown,
    LockLost,
    StorageUnavailable,
)
from tasks.fan_out import all_or_raise, fan_out, may_heal
from tests.virtual_time import run

REFUSED, AWAY = ActionFailed("refused"), ClusterUnavailable("away")


async def after(seconds: float, result: Any) -> Any:
    await asyncio.sleep(seconds)
    if isinstance(result, BaseException):
        raise result
    return result


def test_results_keep_the_order_of_their_calls() -> None:
    calls = (after(seconds, seconds) for seconds in (3, 1, 2))
    assert run(fan_out(calls, width=3)) == [3, 1, 2]


def test_an_error_of_ours_comes_back_in_its_place() -> None:
    """Weak point 8: the second shard's failure hid the first one's finished upload."""
    calls = [after(1, "a"), after(0, REFUSED), after(2, "c")]
    assert run(fan_out(calls, width=3)) == ["a", REFUSED, "c"]


@pytest.mark.parametrize(("width", "seconds"), [(1, 6), (2, 3), (6, 1), (100, 1)])
def test_no_more_than_the_width_run_at_once(width: int, seconds: int) -> None:
    async def timed() -> float:
        await fan_out([after(1, n) for n in range(6)], width=width)
        return asyncio.get_running_loop().time()

    assert run(timed()) == pytest.approx(seconds, abs=0.1)


def test_nothing_to_do_is_done() -> None:
    assert run(fan_out([], width=1)) == []


def test_a_fault_of_the_program_is_raised_once_every_call_has_ended() -> None:
    ended: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(10)
        ended.append("slow")

    async def faulty() -> None:
        message = "a fault"
        raise KeyError(message)

    with pytest.raises(KeyError, match="a fault"):
        run(fan_out([faulty(), slow()], width=2))
    assert ended == ["slow"]


def test_a_fault_does_not_hide_the_errors_beside_it() -> None:
    fault = KeyError("a fault")
    with pytest.raises(KeyError) as raised:
        run(fan_out([after(0, REFUSED), after(0, fault)], width=2))
    assert any("refused" in note for note in raised.value.__notes__)


def test_where_all_must_succeed_the_results_are_returned() -> None:
    results: list[int | BackupError] = [1, 2]
    assert all_or_raise(results) == [1, 2]


def test_where_all_must_succeed_the_first_error_tells_of_the_others() -> None:
    first = ActionFailed("first")
    with pytest.raises(ActionFailed, match="first") as raised:
        all_or_raise([1, first, AWAY])
    assert raised.value.__notes__ == ["away"]


@pytest.mark.parametrize(
    ("error", "heals"),
    [
        pytest.param(AWAY, True, id="away"),
        pytest.param(StorageUnavailable("x"), True, id="storage-away"),
        pytest.param(FateUnknown("x"), True, id="fate-unknown"),
        pytest.param(ClusterBusy("x"), False, id="busy-was-waited-for"),
        pytest.param(REFUSED, False, id="refused"),
        pytest.param(LockLost("x"), False, id="lock-lost"),
        pytest.param(KeyError("x"), False, id="fault"),
    ],
)
async def test_only_what_may_heal_is_tried_again(error: Exception, *, heals: bool) -> None:
    state: State[Any] = State(type=StateType.FAILED, data=error)
    nobody = cast("Task[..., Any]", None), cast("TaskRun", None)
    assert await may_heal(*nobody, state) is heals
