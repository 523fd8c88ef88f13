"""The demo's story: back up through Prefect, lose everything, restore, compare; drill, prune."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.registration import Pools, register
from deployments.registry import (
    BACKUP_ON_DEMAND,
    DEPLOYMENTS,
    LIST_ON_DEMAND,
    PRUNE_ON_DEMAND,
    RESTORE_ON_DEMAND,
    VERIFY_ON_DEMAND,
    Deployment,
)
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.demo.contents import Snapshot, differences, take_snapshot
from deployments.sandbox.demo.dataset import DATABASES, TABLES
from deployments.sandbox.demo.flow_runs import run_deployment
from deployments.sandbox.demo.screen import Screen
from deployments.sandbox.demo.stage import SHARDS, Stage

STORED = frozenset(table.name for table in TABLES if not table.derived)
BACKUP_NAME, LATER_NAME = "before-the-accident", "after-the-accident"


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
        await _keep_house(cluster, screen)
    return Ending(tables=len(TABLES), rows=rows, shards=SHARDS, seconds=seconds)


async def _keep_house(cluster: Cluster, screen: Screen) -> None:
    """Prove a backup by a drill, and let a newer one take its place."""
    drill = {"backup": BACKUP_NAME, "level": "restore"}
    await _run(VERIFY_ON_DEMAND, drill, cluster, screen, sheet="shards")
    await _run(BACKUP_ON_DEMAND, {"backup_name": LATER_NAME}, cluster, screen)
    rule = {"keep_last": 1}
    await _run(PRUNE_ON_DEMAND, {**rule, "dry_run": True}, cluster, screen, sheet="plan")
    await _run(PRUNE_ON_DEMAND, rule, cluster, screen, sheet="replicas")
    await _run(LIST_ON_DEMAND, {}, cluster, screen, sheet="backups")


async def _register(screen: Screen) -> None:
    screen.title("The flows become deployments of the Prefect server")
    async with get_client() as client:
        async for sentence in register(client, DEPLOYMENTS, Pools()):
            screen.say(sentence)


async def _run(
    deployment: Deployment,
    parameters: Mapping[str, object],
    cluster: Cluster,
    screen: Screen,
    *,
    sheet: str = "",
) -> None:
    screen.title(f"{deployment.full_name}, by a worker")
    common = {
        "installation": cluster.layout.installation,
        "inventory": str(cluster.inventory_path),
    }
    async with get_client() as client:
        with screen.following(deployment.flow_name) as watch:
            report = await run_deployment(
                client,
                deployment,
                {**common, **parameters},
                watch,
                sheets=[sheet] if sheet else [],
            )
    screen.say(report.headline)
    for shown in report.sheets:
        screen.sheet(shown)


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
