"""The stage of the demo: a directory with a cluster and a Prefect in it, set up and struck."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.registration import Pools
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.demo.dataset import statements
from deployments.sandbox.guard import Guard, end_all
from deployments.sandbox.layout import Layout
from deployments.sandbox.members import Member
from deployments.sandbox.prefect_server import PrefectServer
from deployments.sandbox.processes import SandboxError

KEPT_DIRECTORY = Path(".demo")
SHARDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    cluster: Cluster
    prefect: PrefectServer


@contextmanager
def set_up(*, keep: bool) -> Iterator[Stage]:
    """Strike everything at the end, however it ends; kept only after a good end.

    The guard does it, so that a demo that is killed leaves no more behind than any other.
    """
    directory = _kept_directory() if keep else Path(tempfile.mkdtemp(prefix="chops-demo-"))
    guard = Guard(directory, removing=True)
    try:
        yield _start(directory)
    except BaseException:
        guard.dismiss()
        raise
    if keep:
        guard.release()
    else:
        guard.dismiss()


def strike() -> bool:
    """Stop a demo that was kept. False: there is none."""
    if not KEPT_DIRECTORY.exists():
        return False
    end_all(KEPT_DIRECTORY)
    shutil.rmtree(KEPT_DIRECTORY)
    return True


def _kept_directory() -> Path:
    if KEPT_DIRECTORY.exists():
        message = f"a demo was kept in {KEPT_DIRECTORY} already: make demo-stop"
        raise SandboxError(message)
    KEPT_DIRECTORY.mkdir()
    return KEPT_DIRECTORY.absolute()


def _start(directory: Path) -> Stage:
    """Start Prefect and the cluster side by side: Prefect alone would take most of the time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        prefect = pool.submit(_start_prefect, directory / "prefect")
        cluster = pool.submit(_start_cluster, directory / "cluster")
        try:
            return Stage(cluster=cluster.result(), prefect=prefect.result())
        except BaseException:
            end_all(directory)  # what the threads wait for would come, and be in vain
            raise


def _start_prefect(home: Path) -> PrefectServer:
    server = PrefectServer.start(home, with_ui=True, bound_to_me=False)
    server.start_workers((Pools().ordinary, Pools().destructive), {})
    return server


def _start_cluster(directory: Path) -> Cluster:
    cluster = Cluster.start(directory, Layout(shards=SHARDS), bound_to_me=False)
    fill(cluster)
    return cluster


def fill(cluster: Cluster) -> None:
    """Make the demo's tables and rows on every member, all at once."""

    def tell(member: Member) -> None:
        for statement in statements(shard=int(member.shard), shards=cluster.layout.shards):
            member.node.query(statement)

    with ThreadPoolExecutor(max_workers=len(cluster.members)) as pool:
        list(pool.map(tell, cluster.members))
