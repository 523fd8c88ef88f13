"""Clusters and the Prefect server that integration tests share, or start for themselves."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.prefect_server import PrefectServer
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench
from tests.peers.require import require_peer
from tests.prefect_servers import served_prefect
from tests.replicated.cluster import ReplicatedCluster

PATH_OF_SHARD = "backup/shard-{shard}"
PATH_OF_REPLICA = "backup/shard-{shard}/{replica}"


@pytest.fixture(scope="session")
def cluster_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterFactory]:
    """For tests that stop, kill or fill what they run on."""
    require_peer("chdb")
    with ClusterFactory(tmp_path_factory.mktemp("clusters")) as factory:
        yield factory


@pytest.fixture(scope="session")
def bare_cluster(cluster_factory: ClusterFactory) -> Cluster:
    """Two shards of two nodes without sidecars, shared: leave it as it was found."""
    return cluster_factory(shards=2, replicas=2, sidecar=SidecarKind.NONE)


@pytest.fixture(scope="session")
def cluster(cluster_factory: ClusterFactory) -> Cluster:
    """Two shards of one node with doubles as sidecars, shared: leave it as it was found."""
    return cluster_factory(shards=2)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One server for all: tests tell their runs apart by id. Start workers on pools of your own."""
    with served_prefect(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture(scope="session")
def benches(cluster_factory: ClusterFactory) -> Callable[[int, int], Bench]:
    """Clusters for tests of flows, one of each shape, started when first asked for."""

    @cache
    def started(shards: int, replicas: int) -> Bench:
        bench = Bench(cluster_factory(shards=shards, replicas=replicas))
        bench.tell_shards_apart()
        return bench

    return started


@pytest.fixture(scope="session")
def replicated_factory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ClusterFactory]:
    """Old servers that really replicate, in front of ZooKeeper."""
    for peer in ("clickhouse-18.16", "zookeeper"):
        require_peer(peer)
    with ClusterFactory(tmp_path_factory.mktemp("replicated"), ReplicatedCluster) as factory:
        yield factory


@pytest.fixture(scope="session")
def replicated_benches(
    replicated_factory: ClusterFactory,
) -> Callable[[SidecarKind, int, str], Bench]:
    """Clusters of two replicas per shard, one of each kind, started when first asked for."""

    @cache
    def started(sidecar: SidecarKind, shards: int, remote_path: str) -> Bench:
        bench = Bench(
            replicated_factory(shards=shards, replicas=2, sidecar=sidecar, remote_path=remote_path)
        )
        bench.tell_shards_apart()
        return bench

    return started


@pytest.fixture(
    params=[
        pytest.param(SidecarKind.DOUBLE, id="double"),
        pytest.param(SidecarKind.REAL, id="real", marks=pytest.mark.real_sidecar),
    ]
)
def each_sidecar(request: pytest.FixtureRequest) -> SidecarKind:
    kind: SidecarKind = request.param
    if kind is SidecarKind.REAL:
        require_peer("clickhouse-backup")
        require_peer("versitygw")
    return kind


@pytest.fixture
def replicas(
    each_sidecar: SidecarKind,
    replicated_benches: Callable[[SidecarKind, int, str], Bench],
    prefect_server: PrefectServer,
) -> Iterator[Bench]:
    """Two shards of two replicas that share a remote path, once beside each kind of sidecar."""
    yield from replicated_benches(each_sidecar, 2, PATH_OF_SHARD).cleaned()


@pytest.fixture
def own_paths(
    each_sidecar: SidecarKind,
    replicated_benches: Callable[[SidecarKind, int, str], Bench],
    prefect_server: PrefectServer,
) -> Iterator[Bench]:
    """One shard of two replicas with a remote path each, once beside each kind of sidecar."""
    yield from replicated_benches(each_sidecar, 1, PATH_OF_REPLICA).cleaned()


@pytest.fixture
def one_shard(
    benches: Callable[[int, int], Bench], prefect_server: PrefectServer
) -> Iterator[Bench]:
    yield from benches(1, 1).cleaned()


@pytest.fixture
def three_shards(
    benches: Callable[[int, int], Bench], prefect_server: PrefectServer
) -> Iterator[Bench]:
    yield from benches(3, 1).cleaned()


@pytest.fixture
def two_by_two(
    benches: Callable[[int, int], Bench], prefect_server: PrefectServer
) -> Iterator[Bench]:
    yield from benches(2, 2).cleaned()
