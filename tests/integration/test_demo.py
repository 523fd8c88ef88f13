"""The demo sees every difference there is, no other, and leaves nothing behind."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.demo.contents import differences, take_snapshot
from deployments.sandbox.demo.dataset import DATABASES, TABLES
from deployments.sandbox.demo.stage import fill
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.processes import wait_until
from tests.clusters import ClusterFactory

pytestmark = pytest.mark.sandbox

CHECKOUT = Path(__file__).resolve().parents[2]
STARTED = timedelta(minutes=2)
CLEARED_UP = timedelta(seconds=40)


@pytest.fixture(scope="module")
def shop(cluster_factory: ClusterFactory) -> Cluster:
    cluster = cluster_factory(shards=2, sidecar=SidecarKind.NONE)
    fill(cluster)
    return cluster


def test_every_table_has_rows_or_a_definition_to_lose(shop: Cluster) -> None:
    seen = take_snapshot(shop)
    assert len(seen) == 2 * len(TABLES)
    assert all(found and (found.rows is None or found.rows > 0) for found in seen.values())
    assert sum(found.rows is None for found in seen.values() if found) == 2


def test_shards_hold_rows_of_their_own(shop: Cluster) -> None:
    seen = take_snapshot(shop)
    assert seen["shop.orders", "0"] != seen["shop.orders", "1"]


def test_merging_parts_is_no_difference(shop: Cluster) -> None:
    before = take_snapshot(shop)
    for member in shop.members:
        for table in ("shop.orders", "shop.customers", "shop.daily_sales"):
            member.node.query(f"OPTIMIZE TABLE {table} FINAL")
    assert differences(before, take_snapshot(shop)) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(
            "ALTER TABLE shop.countries UPDATE taxed = taxed + 0.01 WHERE code = 'NZ'",
            ["shop.countries on shard 1 has other rows than before"],
            id="one-value",
        ),
        pytest.param(
            "ALTER TABLE audit.events DELETE WHERE at IN (SELECT min(at) FROM audit.events)",
            ["audit.events on shard 1 had 90000 rows and has 89999"],
            id="one-row-less",
        ),
        pytest.param(
            "ALTER TABLE shop.customers MODIFY COMMENT 'changed'",
            ["shop.customers on shard 1 has another definition than before"],
            id="definition",
        ),
        pytest.param(
            "DROP TABLE shop.daily_sales_feed SYNC",
            ["shop.daily_sales_feed on shard 1 is gone"],
            id="gone",
        ),
    ],
)
def test_a_difference_on_one_shard_is_named(
    shop: Cluster, statement: str, expected: list[str]
) -> None:
    before = take_snapshot(shop)
    shop.members[1].node.query(statement, {"mutations_sync": "1"})
    assert differences(before, take_snapshot(shop)) == expected


def test_nothing_compared_is_not_the_same() -> None:
    assert differences({}, {}) != []


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "demo.log").open("wb") as log:
        started = subprocess.Popen(
            (sys.executable, "-m", "deployments.sandbox.demo"),
            cwd=CHECKOUT,
            env={"TMPDIR": str(tmp_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield started
    started.kill()
    started.wait()


@pytest.mark.prefect
@pytest.mark.parametrize(
    ("number", "during"),
    [
        pytest.param(signal.SIGINT, "deployments.sandbox.node", id="interrupted-while-it-starts"),
        pytest.param(signal.SIGKILL, "prefect.engine", id="killed-while-a-flow-runs"),
    ],
)
def test_a_demo_that_is_stopped_leaves_no_process_and_no_file(
    number: signal.Signals, during: str, demo: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    def reached() -> bool:
        return any(during in each for each in processes_of(tmp_path))

    def all_is_gone() -> bool:
        return processes_of(tmp_path) == [] and list(tmp_path.iterdir()) == [log]

    log = tmp_path / "demo.log"
    wait_until(reached, what=f"{during} runs", within=STARTED)
    assert demo.poll() is None, log.read_text()
    demo.send_signal(number)
    assert demo.wait() != 0
    wait_until(all_is_gone, what="all is gone", within=CLEARED_UP)


def processes_of(directory: Path) -> list[str]:
    """All whose command line or environment names the directory."""
    return [
        _read(process / "cmdline")
        for process in Path("/proc").glob("[0-9]*")
        if str(directory) in _read(process / "cmdline") + _read(process / "environ")
    ]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""  # it ended meanwhile


def test_the_databases_are_those_of_the_tables() -> None:
    assert {table.name.split(".")[0] for table in TABLES} == set(DATABASES)
