"""Clusters for tests: started on demand, gone at the end even of a killed run."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout


class ClusterFactory:
    """Each call starts a cluster in a directory of its own; all of them stop together."""

    def __init__(self, directory: Path, kind: type[Cluster] = Cluster) -> None:
        self._directory = directory
        self._kind = kind
        self._started = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def __call__(self, **layout: Any) -> Cluster:
        self._count += 1
        directory = self._directory / f"cluster-{self._count}"
        cluster = self._kind.start(directory, Layout(**layout), bound_to_me=True)
        return self._started.enter_context(cluster)
