"""What a run left at the Prefect server."""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, State
from prefect.client.schemas.sorting import LogSort
from prefect.logging.handlers import APILogHandler


def run_of(state: State[object]) -> UUID:
    found = state.state_details.flow_run_id
    assert found is not None
    return found


async def artifacts_of(run: UUID) -> dict[str, Artifact]:
    """By key; of two with one key the last."""
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        )
    return {
        artifact.key or "": artifact for artifact in sorted(found, key=lambda a: str(a.created))
    }


async def everything_told(run: UUID) -> str:
    """All that a person or a machine can read of the run: artifacts, logs, states, parameters."""
    await APILogHandler.aflush()
    async with get_client() as client:
        flow_run = await client.read_flow_run(run)
        logs = await client.read_logs(
            LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), sort=LogSort.TIMESTAMP_ASC
        )
        states = await client.read_flow_run_states(run)
    told = [flow_run.model_dump_json(), *(state.model_dump_json() for state in states)]
    told += [artifact.model_dump_json() for artifact in (await artifacts_of(run)).values()]
    return "\n".join([*told, *(log.message for log in logs)])
