"""The same laws for two sidecars: the double, and the real one where its binary is at hand."""

import os
from collections.abc import Iterator

import pytest

from deployments.sandbox.layout import SidecarKind
from tests.clusters import ClusterFactory
from tests.contract.bench import Bench
from tests.peers.require import require_peer

# Its Go program is in no registry, so that not even the complete environment of CI has it.
NO_BINARY = "CLICKHOUSE_BACKUP_BIN does not name the clickhouse-backup binary"
ENVIRONMENT = {
    "REMOTE_STORAGE": "s3",
    "S3_COMPRESSION_FORMAT": "tar",
    "RETRIES_ON_FAILURE": "1",
    "RETRIES_PAUSE": "100ms",
}


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(SidecarKind.DOUBLE, id="double", marks=pytest.mark.sandbox),
        pytest.param(SidecarKind.REAL, id="real", marks=pytest.mark.real_sidecar),
    ],
)
def shared_bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    kind: SidecarKind = request.param
    require_peer("chdb")
    if kind is SidecarKind.REAL and not os.environ.get("CLICKHOUSE_BACKUP_BIN"):
        pytest.skip(NO_BINARY)
    with ClusterFactory(tmp_path_factory.mktemp(str(kind))) as start:
        yield Bench(start(sidecar=kind, environment=ENVIRONMENT))


@pytest.fixture
def bench(shared_bench: Bench) -> Iterator[Bench]:
    """Start from nothing: no backups, no tables."""
    yield shared_bench
    shared_bench.clean()
