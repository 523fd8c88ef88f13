"""A sandbox starts in any shape, keeps what it holds, and leaves nothing behind when it ends."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.processes import SandboxError, living_pid, wait_until
from deployments.sandbox.users import User
from tasks.domain.inventory import Inventory
from tests.clusters import ClusterFactory

pytestmark = pytest.mark.sandbox

OWNER = """
import sys, time
from pathlib import Path
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout, SidecarKind
Cluster.start(Path(sys.argv[1]), Layout(sidecar=SidecarKind.NONE), bound_to_me=True)
print("started", flush=True)
time.sleep(600)
"""


def bare(shards: int = 1, replicas: int = 1) -> Layout:
    return Layout(shards=shards, replicas=replicas, sidecar=SidecarKind.NONE)


def living(directory: Path) -> list[Path]:
    return [pid_file for pid_file in directory.rglob("*.pid") if living_pid(pid_file)]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deployments.sandbox", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("shards", "replicas"),
    [
        pytest.param(1, 1, id="one-node"),
        pytest.param(3, 1, id="shards"),
        pytest.param(1, 2, id="replicas"),
        pytest.param(2, 2, id="both"),
    ],
)
def test_a_cluster_starts_in_any_shape(tmp_path: Path, shards: int, replicas: int) -> None:
    with Cluster.start(tmp_path, bare(shards=shards, replicas=replicas), bound_to_me=True) as it:
        names = [member.node.query("SELECT getMacro('replica')") for member in it.members]
        places = [(member.shard, member.replica) for member in it.members]
    assert places == [
        (str(shard), f"chi-demo-main-{shard}-{replica}")
        for shard in range(shards)
        for replica in range(replicas)
    ]
    assert names == [replica for _, replica in places]
    assert living(tmp_path) == []


def test_the_inventory_on_disk_names_every_node(bare_cluster: Cluster) -> None:
    written = Inventory.from_yaml(bare_cluster.inventory_path.read_text(), origin="the sandbox")
    assert written == bare_cluster.inventory
    assert [replica.port for replica in written.topology.replicas] == [
        member.node.http_port for member in bare_cluster.members
    ]


def test_an_inventory_names_where_credentials_stand_and_never_tells_them(
    cluster_factory: ClusterFactory,
) -> None:
    cluster = cluster_factory(sidecar=SidecarKind.NONE, users=(User(name="op", password="s3cret"),))
    assert cluster.inventory.credentials is not None
    assert cluster.environment == {"CLICKHOUSE_USER": "op", "CLICKHOUSE_PASSWORD": "s3cret"}
    assert "s3cret" not in cluster.inventory_path.read_text()


def test_a_stopped_cluster_comes_back_with_its_data_and_ports(tmp_path: Path) -> None:
    with Cluster.start(tmp_path, bare(), bound_to_me=True) as first:
        node = first.members[0].node
        node.query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        node.query("INSERT INTO t VALUES (1), (2)")
    with Cluster.start(tmp_path, bare(), bound_to_me=True) as second:
        assert second.inventory == first.inventory
        assert second.members[0].node.query("SELECT sum(a) FROM t") == "3"


def test_another_shape_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    Cluster.start(tmp_path, bare(), bound_to_me=True).stop()
    with pytest.raises(SandboxError, match="1 x 1 nodes"):
        Cluster.start(tmp_path, bare(shards=2), bound_to_me=True)


def test_a_running_cluster_is_not_started_twice(bare_cluster: Cluster) -> None:
    with pytest.raises(SandboxError, match="already"):
        Cluster.start(bare_cluster.directory, bare_cluster.layout, bound_to_me=True)
    assert bare_cluster.running


def test_a_second_view_of_a_cluster_can_end_it(tmp_path: Path) -> None:
    with Cluster.start(tmp_path, bare(), bound_to_me=True) as first:
        second = Cluster.attach(tmp_path)
        assert second.running
        second.members[0].node.kill()
        assert not first.running


def test_a_paused_node_is_alive_and_answers_when_it_goes_on(
    cluster_factory: ClusterFactory,
) -> None:
    node = cluster_factory(sidecar=SidecarKind.NONE).members[0].node
    node.pause()
    assert node.alive
    node.resume()
    assert node.query("SELECT 1") == "1"


def test_a_paused_node_can_be_stopped(cluster_factory: ClusterFactory) -> None:
    node = cluster_factory(sidecar=SidecarKind.NONE).members[0].node
    node.pause()
    node.stop()
    assert not node.alive


def test_a_cluster_does_not_outlive_its_killed_owner(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "started\n"
        assert len(living(tmp_path)) == 1
        owner.kill()
    wait_until(
        lambda: not living(tmp_path), what="the cluster is gone", within=timedelta(seconds=20)
    )


def test_the_command_line_brings_a_cluster_up_shows_it_and_takes_it_down(tmp_path: Path) -> None:
    at = ("--directory", str(tmp_path))
    try:
        up = command("up", *at, "--shards", "2", "--sidecar", "none")
        assert up.returncode == 0
        cluster = Cluster.attach(tmp_path)
        assert cluster.running
        assert str(cluster.inventory_path) in up.stdout
        for member in cluster.members:
            assert f"{member.replica}  127.0.0.1:{member.node.http_port}" in up.stdout

        assert "already" in command("up", *at).stdout
        assert command("status", *at).returncode == 0
    finally:
        down = command("down", *at)
    assert down.returncode == 0
    assert living(tmp_path) == []
    assert command("status", *at).returncode == 1


def test_up_brings_a_sandbox_back_in_the_shape_it_had(tmp_path: Path) -> None:
    at = ("--directory", str(tmp_path))
    try:
        command("up", *at, "--shards", "1", "--replicas", "2", "--sidecar", "none")
        command("down", *at)
        assert command("up", *at).returncode == 0
        assert len(Cluster.attach(tmp_path).members) == 2
    finally:
        command("down", *at)


def test_up_starts_again_what_died(tmp_path: Path) -> None:
    with Cluster.start(tmp_path, bare(shards=2), bound_to_me=True) as cluster:
        cluster.members[1].node.kill()
        assert command("status", "--directory", str(tmp_path)).returncode == 1
        assert command("up", "--directory", str(tmp_path)).returncode == 0
        assert cluster.running


@pytest.mark.parametrize("action", ["down", "status"])
def test_a_directory_without_a_sandbox_is_told(tmp_path: Path, action: str) -> None:
    said = command(action, "--directory", str(tmp_path))
    assert said.returncode == 1
    assert "no sandbox" in said.stderr
