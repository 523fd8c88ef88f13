"""Clusters that integration tests share, or start for themselves."""

from collections.abc import Iterator

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import SidecarKind
from tests.clusters import ClusterFactory, require_engine


@pytest.fixture(scope="session")
def cluster_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterFactory]:
    """For tests that stop, kill or fill what they run on."""
    require_engine()
    with ClusterFactory(tmp_path_factory.mktemp("clusters")) as factory:
        yield factory


@pytest.fixture(scope="session")
def bare_cluster(cluster_factory: ClusterFactory) -> Cluster:
    """Two shards of two nodes without sidecars, shared: leave it as it was found."""
    return cluster_factory(shards=2, replicas=2, sidecar=SidecarKind.NONE)
