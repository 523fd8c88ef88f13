"""Fan-out over shards: all at once up to a width, one's failure never hiding another's success.

And the step: what a flow fans out, as a Prefect task.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task
from prefect.utilities.annotations import quote

from tasks.domain.errors import BackupError, ClusterBusy, TransientError

P = ParamSpec("P")
T = TypeVar("T")


async def may_heal(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect to retry what trying again may help; a busy cluster was waited for already."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, TransientError) and not isinstance(error, ClusterBusy)


# the truth is at the sidecars, in the journal and in the manifest: nothing is cached by Prefect
PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
HEALING: dict[str, Any] = {
    **PLAIN,
    "retries": 3,
    "retry_delay_seconds": [1, 5, 30],
    "retry_condition_fn": may_heal,
}


def step(**options: Any) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Make a Prefect task that is handed its parameters as they are.

    Prefect looks for futures in every field of every parameter: with a plan of 2,000 tables each
    task would stop all others for a second, and the renewals of the lock with them.
    """

    def made(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        asked: Any = task(function, **options)

        @wraps(function)
        async def run(*arguments: P.args, **named: P.kwargs) -> T:
            quoted = {name: quote(value) for name, value in named.items()}
            done: T = await asked(*map(quote, arguments), **quoted)
            return done

        return run

    return made


async def fan_out(calls: Iterable[Awaitable[T]], *, width: int) -> list[T | BackupError]:
    """Await all calls, at most `width` at a time; our own errors come back in their place.

    Anything else is a fault of this program and is raised, once every call has ended.
    """
    gate = asyncio.Semaphore(width)

    async def passed(call: Awaitable[T]) -> T:
        async with gate:
            return await call

    results = await asyncio.gather(*(passed(call) for call in calls), return_exceptions=True)
    kept = [r for r in results if not isinstance(r, BaseException) or isinstance(r, BackupError)]
    faults = [r for r in results if isinstance(r, BaseException) and not isinstance(r, BackupError)]
    if faults:
        for other in results:
            if isinstance(other, BaseException) and other is not faults[0]:
                faults[0].add_note(f"besides: {other!r}")
        raise faults[0]
    return kept


def all_or_raise(results: Iterable[T | BackupError]) -> list[T]:
    """Demand that every call succeeded; raise the first error with a note for each further one."""
    good: list[T] = []
    bad: list[BackupError] = []
    for result in results:
        if isinstance(result, BackupError):
            bad.append(result)
        else:
            good.append(result)
    if bad:
        for other in bad[1:]:
            bad[0].add_note(str(other))
        raise bad[0]
    return good
