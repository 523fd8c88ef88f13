"""Embedded clusters for tests: started on demand, gone at the end even of a killed run."""

import importlib.util
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout


class ClusterFactory:
    """Each call starts a cluster in a directory of its own; all of them stop together."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def __call__(self, **layout: Any) -> Cluster:
        self._count += 1
        directory = self._directory / f"cluster-{self._count}"
        cluster = Cluster.start(directory, Layout(**layout), bound_to_me=True)
        return self._started.enter_context(cluster)


def require_engine() -> None:
    """Skip where the engine is missing; fail instead where every peer is required."""
    if importlib.util.find_spec("chdb") is not None:
        return
    reason = "the chDB engine is not installed (extra `sandbox`)"
    if os.environ.get("REQUIRE_PEERS"):
        pytest.fail(reason)
    pytest.skip(reason)
