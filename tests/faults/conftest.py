"""The cells that this run is made of, where they happen, and the file that takes their results."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.prefect_server import PrefectServer
from tests.clusters import ClusterFactory
from tests.faults.cells import Cell, Target, every_cell, is_in_ci, left_out
from tests.faults.results import Gatherer
from tests.faults.shops import PlainShop, ReplicatedShop
from tests.faults.stories import Scene
from tests.integration.bench import Bench
from tests.peers.require import require_peer
from tests.replicated.cluster import ReplicatedCluster

_PEERS = {Cluster: ("chdb",), ReplicatedCluster: ("clickhouse-18.16", "zookeeper")}


def pytest_configure(config: pytest.Config) -> None:
    report = config.getoption("--cells-report")
    if report and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gatherer(Path(report)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" not in metafunc.fixturenames:
        return
    words = metafunc.config.getoption("--cells").split()
    every = words or metafunc.config.getoption("--every-cell")
    cells = [
        pytest.param(cell, id=str(cell))
        for cell in every_cell()
        if not left_out(cell)
        and (every or is_in_ci(cell))
        and all(word in str(cell) for word in words)
    ]
    metafunc.parametrize("cell", cells)


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One that remembers when it was killed."""
    home = tmp_path_factory.mktemp("prefect")
    with PrefectServer.start(home, with_ui=False, bound_to_me=True, lasting=True) as server:
        yield server


@pytest.fixture(scope="session")
def scenes(
    tmp_path_factory: pytest.TempPathFactory, prefect: PrefectServer
) -> Iterator[Callable[[bool], Scene]]:
    """Clusters of two shards, one of each kind, started when first asked for."""
    factories = {
        kind: ClusterFactory(tmp_path_factory.mktemp(kind.__name__), kind) for kind in _PEERS
    }

    @cache
    def started(replicates: bool) -> Scene:  # noqa: FBT001 - one thing to choose
        kind = ReplicatedCluster if replicates else Cluster
        for peer in _PEERS[kind]:
            require_peer(peer)
        bench = Bench(factories[kind](shards=2, replicas=2 if replicates else 1))
        bench.tell_shards_apart()
        return Scene(bench, prefect, ReplicatedShop() if replicates else PlainShop())

    with factories[Cluster], factories[ReplicatedCluster]:
        yield started


@pytest.fixture
def stage(request: pytest.FixtureRequest, scenes: Callable[[bool], Scene]) -> Iterator[Scene]:
    """Lend a scene to one test; whatever it did, the next one finds everything in its place."""
    parameters = request.node.callspec.params
    cell = parameters.get("cell")
    scene = scenes(isinstance(cell, Cell) and cell.target is Target.KEEPER)
    yield scene
    scene.tidy()
