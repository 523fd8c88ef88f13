"""How many rows one flow run left in Prefect's database."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from prefect.client.orchestration import PrefectClient, get_client

_PAGE = 200
_SETTLES_SECONDS = 2.0
_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefectRows:
    """`states` are those of the task runs, from a sample of them, scaled up."""

    task_runs: int
    states: int
    artifacts: int
    logs: int


async def rows_of(run: str) -> PrefectRows:
    async with get_client() as client:
        task_runs = await _settled_task_runs(client, run)
        of_run = {"flow_run_id": {"any_": [run]}}
        return PrefectRows(
            task_runs=task_runs,
            states=await _states(client, run, task_runs),
            artifacts=await _count(client, "/artifacts/count", {"artifacts": of_run}),
            logs=await _logs(client, of_run),
        )


async def _settled_task_runs(client: PrefectClient, run: str) -> int:
    """Wait until the recorder, which lags behind, has written them all."""
    asked = {"flow_runs": {"id": {"any_": [run]}}}
    found, deadline = -1, asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        now = await _count(client, "/task_runs/count", asked)
        if now == found:
            return now
        found = now
        await asyncio.sleep(_SETTLES_SECONDS)
    return found


async def _states(client: PrefectClient, run: str, task_runs: int) -> int:
    asked = {"flow_runs": {"id": {"any_": [run]}}, "limit": 20}
    sample = (await client.request("POST", "/task_runs/filter", json=asked)).json()
    if not sample:
        return 0
    counts = [
        len(
            (
                await client.request("GET", "/task_run_states/", params={"task_run_id": s["id"]})
            ).json()
        )
        for s in sample
    ]
    return round(task_runs * sum(counts) / len(counts))


async def _logs(client: PrefectClient, of_run: dict[str, Any]) -> int:
    count = 0
    while True:
        asked = {"logs": of_run, "limit": _PAGE, "offset": count}
        page = (await client.request("POST", "/logs/filter", json=asked)).json()
        count += len(page)
        if len(page) < _PAGE:
            return count


async def _count(
    client: PrefectClient,
    path: Literal["/artifacts/count", "/task_runs/count"],
    asked: dict[str, Any],
) -> int:
    return int((await client.request("POST", path, json=asked)).json())
