"""The demo's story: back up through Prefect, lose everything, restore through Prefect, compare."""

import time
from dataclasses import dataclass

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.registration import Pools, register
from deployments.registry import BACKUP_ON_DEMAND, DEPLOYMENTS, RESTORE_ON_DEMAND, Deployment
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.demo.contents import Snapshot, differences, take_snapshot
from deployments.sandbox.demo.dataset import DATABASES, TABLES
from deployments.sandbox.demo.flow_runs import run_deployment
from deployments.sandbox.demo.screen import Screen
from deployments.sandbox.demo.stage import SHARDS, Stage

STORED = frozenset(table.name for table in TABLES if not table.derived)
BACKUP_NAME = "before-the-accident"


class DemoFailed(Exception):
    """The cluster is not what it was; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    tables: int
    rows: int
    shards: int
    seconds: float

    @property
    def sentence(self) -> str:
        return (
            f"demo: ok: {self.tables} tables, {self.rows} rows, {self.shards} shards "
            f"restored bit-exact in {self.seconds:.1f} s"
        )


async def play(stage: Stage, screen: Screen) -> Ending:
    """Play it all. Raises DemoFailed unless every table on every shard is what it was."""
    cluster = stage.cluster
    before = take_snapshot(cluster)
    rows = sum(seen.rows or 0 for (name, _), seen in before.items() if seen and name in STORED)
    screen.say(f"{len(TABLES)} tables with {rows:,} rows stand on {SHARDS} shards.")
    with temporary_settings({PREFECT_API_URL: stage.prefect.api_url}):
        await _register(screen)
        await _run(BACKUP_ON_DEMAND, {"backup_name": BACKUP_NAME}, cluster, screen)
        _destroy(cluster, screen)
        began = time.monotonic()
        await _run(RESTORE_ON_DEMAND, {"backup": BACKUP_NAME}, cluster, screen)
        seconds = time.monotonic() - began
    _compare(before, take_snapshot(cluster), screen)
    return Ending(tables=len(TABLES), rows=rows, shards=SHARDS, seconds=seconds)


async def _register(screen: Screen) -> None:
    screen.title("The flows become deployments of the Prefect server")
    async with get_client() as client:
        async for sentence in register(client, DEPLOYMENTS, Pools()):
            screen.say(sentence)


async def _run(
    deployment: Deployment, parameters: dict[str, str], cluster: Cluster, screen: Screen
) -> None:
    screen.title(f"{deployment.full_name}, by a worker")
    common = {
        "installation": cluster.layout.installation,
        "inventory": str(cluster.inventory_path),
    }
    async with get_client() as client:
        with screen.following(deployment.flow_name) as watch:
            headline = await run_deployment(client, deployment, common | parameters, watch)
    screen.say(headline)


def _destroy(cluster: Cluster, screen: Screen) -> None:
    screen.title("An accident: the databases are dropped on every shard")
    for member in cluster.members:
        for database in DATABASES:
            member.node.query(f"DROP DATABASE {database} SYNC")
        left = member.node.query(f"SELECT count() FROM system.tables WHERE database IN {DATABASES}")
        screen.say(f"shard {member.shard}: {left} tables left")


def _compare(before: Snapshot, after: Snapshot, screen: Screen) -> None:
    screen.title("The comparison")
    screen.compare(before, after)
    if found := differences(before, after):
        raise DemoFailed("; ".join(found))
