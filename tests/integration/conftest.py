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
def replicated_bench(replicated_factory: ClusterFactory) -> Bench:
    """Two shards of two replicas; both replicas of a shard share a remote path."""
    bench = Bench(replicated_factory(shards=2, replicas=2))
    bench.tell_shards_apart()
    return bench


@pytest.fixture(scope="session")
def replicated_bench_of_own_paths(replicated_factory: ClusterFactory) -> Bench:
    """One shard of two replicas, each with a remote path of its own."""
    return Bench(
        replicated_factory(shards=1, replicas=2, remote_path="backup/shard-{shard}/{replica}")
    )


@pytest.fixture
def own_paths(
    replicated_bench_of_own_paths: Bench, prefect_server: PrefectServer
) -> Iterator[Bench]:
    yield from replicated_bench_of_own_paths.cleaned()


@pytest.fixture
def replicated(replicated_bench: Bench, prefect_server: PrefectServer) -> Iterator[Bench]:
    yield from replicated_bench.cleaned()


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
