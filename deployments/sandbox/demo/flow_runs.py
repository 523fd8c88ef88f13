"""Starting a flow run by its deployment, as the form in Prefect's UI does, and following it."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, State, StateType

from deployments.registry import Deployment
from tasks.domain.outcomes import Sheet
from tasks.reports import PROGRESS, SUMMARY

POLL_SECONDS = 0.4
DEADLINE = timedelta(minutes=5)
LOG_LINES = 20


class RunFailed(Exception):
    """The flow run did not complete. Its last words are notes of the error."""

    def __init__(self, message: str, *, last_words: Iterable[str] = ()) -> None:
        super().__init__(message)
        for line in last_words:
            self.add_note(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run left behind. `sheets`: the tables that were asked for."""

    headline: str
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a flow run looks like at the moment."""

    state: State[Any]
    percent: float
    phase: str

    @property
    def over(self) -> bool:
        return self.state.is_final()


async def run_deployment(
    client: PrefectClient,
    deployment: Deployment,
    parameters: Mapping[str, object],
    watch: Callable[[Sighting], None],
    *,
    sheets: Iterable[str] = (),
) -> Report:
    """Return the run's own report. Raises RunFailed for any end but a good one."""
    found = await client.read_deployment_by_name(deployment.full_name)
    run = await client.create_flow_run_from_deployment(found.id, parameters=dict(parameters))
    try:
        async with asyncio.timeout(DEADLINE.total_seconds()):
            seen = await _follow(client, run.id, watch)
    except TimeoutError as error:
        message = f"{deployment.full_name} did not end within {DEADLINE}"
        raise RunFailed(message) from error
    if seen.state.type is not StateType.COMPLETED:
        message = f"{deployment.full_name} ended {seen.state.name}: {seen.state.message}"
        raise RunFailed(message, last_words=await _last_words(client, run.id))
    return Report(
        headline=await _headline(client, run.id),
        sheets=tuple([await _sheet(client, run.id, key) for key in sheets]),
    )


async def _follow(client: PrefectClient, run: UUID, watch: Callable[[Sighting], None]) -> Sighting:
    while True:
        seen = await _look(client, run)
        watch(seen)
        if seen.over:
            return seen
        await asyncio.sleep(POLL_SECONDS)


async def _look(client: PrefectClient, run: UUID) -> Sighting:
    state = (await client.read_flow_run(run)).state
    artifact = await client.read_artifacts(artifact_filter=_artifact(run, PROGRESS), limit=1)
    if state is None:
        message = f"flow run {run} has no state"
        raise RunFailed(message)
    if not artifact:
        return Sighting(state=state, percent=0.0, phase=state.name or "")
    return Sighting(
        state=state, percent=float(str(artifact[0].data)), phase=artifact[0].description or ""
    )


async def _headline(client: PrefectClient, run: UUID) -> str:
    summary = await _artifact_of(client, run, SUMMARY)
    return str(summary.data).partition("\n")[0].removeprefix("# ")


async def _sheet(client: PrefectClient, run: UUID, key: str) -> Sheet:
    artifact = await _artifact_of(client, run, key)
    return Sheet(key, artifact.description or key, tuple(json.loads(str(artifact.data))))


async def _artifact_of(client: PrefectClient, run: UUID, key: str) -> Artifact:
    found = await client.read_artifacts(artifact_filter=_artifact(run, key), limit=1)
    if not found:
        message = f"flow run {run} completed without leaving {key}"
        raise RunFailed(message)
    return found[0]


async def _last_words(client: PrefectClient, run: UUID) -> list[str]:
    logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))
    return [log.message for log in logs[-LOG_LINES:]]


def _artifact(run: UUID, key: str) -> ArtifactFilter:
    return ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[key])
    )
