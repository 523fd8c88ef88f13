"""What a backup, a drill and a restore cost as shards are added, against one shard alone.

`python -m tests.benchmarks.shards [N ...]`: so many stand-ins, after 1, 2 and 4 real nodes.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout
from deployments.sandbox.processes import PROJECT
from tasks.domain.inventory import Inventory
from tests.benchmarks.markdown import table
from tests.benchmarks.one_by_one import BACKUP, RESTORE, computed, really_run
from tests.benchmarks.prefect_rows import PrefectRows, rows_of
from tests.benchmarks.standin.sidecar import Durations
from tests.benchmarks.standins import INSTALLATION, contents_of, learned, standins
from tests.integration.bench import Bench
from tests.prefect_servers import served_prefect

REAL = (1, 2, 4)
STAND_INS = (1, 16, 64, 256, 1000)
DURATIONS = Durations()
FORMS: Mapping[str, Mapping[str, Any]] = {
    "backup": {"backup_name": "measured"},
    "verify": {"backup": "measured"},
    "restore": {"backup": "measured", "overwrite": True},
}
# a drill sends what a restore sends, but for the schema
ONE_BY_ONE = {"backup": BACKUP, "verify": RESTORE, "restore": RESTORE}
HEAD = (
    "shards",
    "wall s",
    "wall s over one shard's",
    "one by one s",
    "skew s",
    "queries per shard",
    "CPU s",
    "CPU ms per shard",
    "peak MB",
    "task runs",
    "states",
    "artifacts",
    "logs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One flow run and what it left behind."""

    shards: int
    measured: Mapping[str, Any]
    rows: PrefectRows

    def line(self, alone: float, one_by_one: float | str) -> Sequence[object]:
        cost = self.measured
        return (
            self.shards,
            cost["seconds"],
            cost["seconds"] - alone,
            one_by_one,
            "" if cost["skew_seconds"] is None else cost["skew_seconds"],
            cost["queries"] / self.shards,
            cost["cpu_seconds"],
            1000 * cost["cpu_seconds"] / self.shards,
            cost["peak_mb"],
            self.rows.task_runs,
            self.rows.states,
            self.rows.artifacts,
            self.rows.logs,
        )


def run_flow(operation: str, inventory: Inventory, api_url: str) -> Run:
    """Run it in a process of its own: its CPU seconds and its memory are those of the flow."""
    form = {
        "installation": INSTALLATION,
        "inventory": inventory.model_dump(mode="json"),
        **FORMS[operation],
    }
    asked = {"operation": operation, "form": form, "api_url": api_url}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measured_run"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["status"] == "Completed", measured
    rows = asyncio.run(rows_of(measured["run"]))
    return Run(shards=len(inventory.shards), measured=measured, rows=rows)


Runs = dict[str, list[Run]]


def on_real_nodes(directory: Path, api_url: str, runs: Runs) -> None:
    for shards in REAL:
        place = directory / f"real-{shards}"
        with Cluster.start(place, Layout(shards=shards), bound_to_me=True) as cluster:
            bench = Bench(cluster)
            bench.tell_shards_apart()
            bench.fill_shop(rows=100_000)
            for operation, found in runs.items():
                found.append(run_flow(operation, cluster.inventory, api_url))


def on_stand_ins(directory: Path, api_url: str, counts: Sequence[int], runs: Runs) -> None:
    """Run on stand-ins; also one after the other, really, on the first of them."""
    with Cluster.start(directory / "model", Layout(), bound_to_me=True) as cluster:
        bench = Bench(cluster)
        bench.fill_shop()
        like = {"learned": learned(bench.nodes[0]), "contents": contents_of(bench.nodes[0], "shop")}
    for shards in counts:
        with standins(directory, shards, durations=DURATIONS, **like) as found:
            for operation, done in runs.items():
                done.append(run_flow(operation, found.inventory, api_url))
                print(f"{operation} of {shards} stand-ins is done", file=sys.stderr, flush=True)
            if shards == counts[0]:
                for commands in (BACKUP, RESTORE):
                    seconds = asyncio.run(really_run(found.inventory, commands))
                    print(f"`{'`, `'.join(commands)}` really run one by one: {seconds:.1f} s.\n")


def shown(title: str, runs: Sequence[Run], one_by_one: Mapping[int, float]) -> str:
    alone = float(runs[0].measured["seconds"])
    lines = [run.line(alone, one_by_one.get(run.shards, "")) for run in runs]
    return f"**{title}**\n\n{table(HEAD, lines)}\n"


def main(counts: Sequence[int]) -> None:
    real: Runs = {operation: [] for operation in FORMS}
    stood: Runs = {operation: [] for operation in FORMS}
    with tempfile.TemporaryDirectory(prefix="chops-bench-") as place:
        directory = Path(place)
        with served_prefect(directory / "prefect") as server:
            try:
                on_real_nodes(directory, server.api_url, real)
                on_stand_ins(directory, server.api_url, counts, stood)
            finally:  # what was measured before a run failed is not lost
                tell(real, stood)


def tell(real: Runs, stood: Runs) -> None:
    for operation, commands in ONE_BY_ONE.items():
        if real[operation]:
            print(shown(f"{operation}, sandbox nodes", real[operation], {}))
        if stood[operation]:
            slow = {
                run.shards: computed(run.shards, commands, DURATIONS) for run in stood[operation]
            }
            print(shown(f"{operation}, stand-ins", stood[operation], slow))


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or STAND_INS)
