"""Starting a flow run by its deployment, as the form in Prefect's UI does, and following it."""

import asyncio
from collections.abc import Callable, Mapping
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
from prefect.client.schemas.objects import State, StateType

from deployments.registry import Deployment
from tasks.reports import PROGRESS, SUMMARY

POLL_SECONDS = 0.4
DEADLINE = timedelta(minutes=5)
LOG_LINES = 20


class RunFailed(Exception):
    """The flow run did not complete; the text holds its last words."""


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
) -> str:
    """Return the headline of the run's own report. Raises RunFailed for any end but a good one."""
    found = await client.read_deployment_by_name(deployment.full_name)
    run = await client.create_flow_run_from_deployment(found.id, parameters=dict(parameters))
    async with asyncio.timeout(DEADLINE.total_seconds()):
        seen = await _look(client, run.id)
        while not seen.over:
            watch(seen)
            await asyncio.sleep(POLL_SECONDS)
            seen = await _look(client, run.id)
    watch(seen)
    if seen.state.type is not StateType.COMPLETED:
        message = f"{deployment.full_name} ended {seen.state.name}: {seen.state.message}"
        raise RunFailed("\n".join([message, *await _last_words(client, run.id)]))
    return await _description(client, run.id, SUMMARY)


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


async def _description(client: PrefectClient, run: UUID, key: str) -> str:
    found = await client.read_artifacts(artifact_filter=_artifact(run, key), limit=1)
    return (found[0].description or "") if found else "no report"


async def _last_words(client: PrefectClient, run: UUID) -> list[str]:
    logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))
    return [log.message for log in logs[-LOG_LINES:]]


def _artifact(run: UUID, key: str) -> ArtifactFilter:
    return ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[key])
    )
