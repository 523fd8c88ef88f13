"""A backup and a restore of one real node with many tables: `... tests.benchmarks.engine [N]`.

Measured are the flow's process and what it sends, not the engine.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout
from tests.benchmarks.markdown import table
from tests.benchmarks.shards import FORMS, run_flow
from tests.integration.bench import Bench
from tests.prefect_servers import served_prefect

TABLES = 2000
PARTS = 3
HEAD = ("operation", "wall s", "CPU s", "peak MB", "queries", "largest artifact, characters")


def fill(bench: Bench, tables: int) -> None:
    node = bench.nodes[0]
    node.query("CREATE DATABASE shop")
    for number in range(tables):
        name = f"shop.events_{number:05}"
        node.query(
            f"CREATE TABLE {name} (id UInt64, month UInt8, text String) "
            "ENGINE = MergeTree PARTITION BY month ORDER BY id"
        )
        node.query(f"INSERT INTO {name} SELECT number, number % {PARTS}, 'x' FROM numbers(30)")


async def largest_artifact(run: str) -> int:
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=of_run)
    return max(len(str(artifact.data)) for artifact in found)


def main(tables: int) -> None:
    lines = []
    with tempfile.TemporaryDirectory(prefix="chops-bench-") as place:
        directory = Path(place)
        with (
            served_prefect(directory / "prefect") as server,
            Cluster.start(directory / "node", Layout(), bound_to_me=True) as cluster,
        ):
            fill(Bench(cluster), tables)
            for operation in FORMS:
                run = run_flow(operation, cluster.inventory, server.api_url)
                cost = run.measured
                figures = [cost[name] for name in ("seconds", "cpu_seconds", "peak_mb", "queries")]
                lines.append((operation, *figures, asyncio.run(largest_artifact(cost["run"]))))
    print(f"One real node, {tables:,} tables, {tables * PARTS:,} parts.\n")
    print(table(HEAD, lines))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TABLES)
