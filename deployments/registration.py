"""Bringing work pools and deployments at a Prefect server to what the registry says.

Nothing that fits is written: each write to a deployment throws away the runs that its schedules
have planned, and plans them anew up to a minute later.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.utilities.callables import parameter_schema

from deployments.registry import DESTRUCTIVE_WORK_POOL, WORK_POOL, Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Where deployments run. The type matters only for pools that do not exist yet."""

    ordinary: str = WORK_POOL
    destructive: str = DESTRUCTIVE_WORK_POOL
    type: str = "process"

    def of(self, deployment: Deployment) -> str:
        return self.destructive if deployment.destructive else self.ordinary


async def register(
    client: PrefectClient, deployments: Iterable[Deployment], pools: Pools
) -> AsyncIterator[str]:
    """Yield one sentence for each pool and deployment. Doing it again changes nothing."""
    wanted = tuple(deployments)
    for pool in dict.fromkeys(pools.of(deployment) for deployment in wanted):
        yield await _register_pool(client, pool, pools.type)
    for deployment in wanted:
        yield await _register_deployment(client, deployment, pools.of(deployment))


async def left_over(client: PrefectClient, deployments: Iterable[Deployment]) -> AsyncIterator[str]:
    """Name those that an earlier registration left at the server, though they are unwanted now."""
    for deployment in deployments:
        if await _registered(client, deployment):
            yield (
                f"deployment {deployment.full_name}: still there from before; to remove it: "
                f"prefect deployment delete {deployment.full_name}"
            )


async def _register_pool(client: PrefectClient, name: str, type_: str) -> str:
    try:
        found = await client.read_work_pool(name)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(name=name, type=type_))
        return f"work pool {name}: created ({type_})"
    return f"work pool {name}: there ({found.type})"


async def _register_deployment(client: PrefectClient, deployment: Deployment, pool: str) -> str:
    wanted = _wanted(deployment, pool)
    found = await _registered(client, deployment)
    if found is None:
        flow_id = await client.create_flow_from_name(deployment.flow_name)
        await client.create_deployment(flow_id=flow_id, name=deployment.name, **wanted)
        return f"deployment {deployment.full_name}: created in work pool {pool}"
    changes = {name: value for name, value in wanted.items() if getattr(found, name) != value}
    if not changes:
        return f"deployment {deployment.full_name}: unchanged"
    await client.update_deployment(found.id, DeploymentUpdate(**changes))
    return f"deployment {deployment.full_name}: updated ({', '.join(sorted(changes))})"


async def _registered(client: PrefectClient, deployment: Deployment) -> DeploymentResponse | None:
    try:
        return await client.read_deployment_by_name(deployment.full_name)
    except ObjectNotFound:
        return None


def _wanted(deployment: Deployment, pool: str) -> dict[str, Any]:
    flow = deployment.load_flow()
    return {
        "entrypoint": deployment.entrypoint,
        "work_pool_name": pool,
        "description": flow.description,
        "tags": sorted(deployment.tags),
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
    }
