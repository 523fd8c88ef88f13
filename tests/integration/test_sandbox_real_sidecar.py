"""The real clickhouse-backup works beside a node: native protocol, parts on disk, S3, restarts."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.members import Member
from deployments.sandbox.processes import wait_until
from deployments.sandbox.users import User
from tests.clusters import ClusterFactory
from tests.peers.require import require_peer

pytestmark = [pytest.mark.sandbox, pytest.mark.real_sidecar]

CONTENT = "SELECT count(), sum(cityHash64(day, key, word, toString(list))) FROM app.events"
REPORT = """
SELECT status, error FROM system.backup_actions
WHERE command = {command:String} ORDER BY start DESC LIMIT 1
"""
TABLE = """
CREATE TABLE app.events
(day Date, key UInt64, word LowCardinality(String), list Array(Nullable(UInt8)))
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY key
"""
LOADED = """
INSERT INTO app.events
SELECT toDate('2026-01-01') + number % 60, number, toString(number % 7), [number % 5, NULL]
FROM numbers({first}, 5000)
"""


@pytest.fixture(scope="module")
def real_cluster(cluster_factory: ClusterFactory) -> Cluster:
    require_peer("clickhouse-backup")
    require_peer("versitygw")
    cluster = cluster_factory(
        shards=2, sidecar=SidecarKind.REAL, users=(User(name="op", password="s3cret"),)
    )
    for member in cluster.members:
        member.node.query("CREATE DATABASE app")
        member.node.query(TABLE)
        member.node.query(LOADED.format(first=10_000 * int(member.shard)))
        member.node.query("CREATE VIEW app.total AS SELECT count() AS rows FROM app.events")
    return cluster


def run(member: Member, command: str) -> None:
    """Give the sidecar a command and wait until it reports its success."""
    given = {"param_command": command}
    member.node.query("INSERT INTO system.backup_actions(command) SELECT {command:String}", given)

    def report() -> str:
        return member.node.query(REPORT, given)

    wait_until(
        lambda: not report().startswith("in progress"),
        what=f"{command} has ended",
        within=timedelta(seconds=60),
    )
    assert report() == "success\t"


def run_everywhere(cluster: Cluster, commands: Iterable[str]) -> None:
    with ThreadPoolExecutor() as pool:
        for command in commands:
            list(pool.map(partial(run, command=command), cluster.members))


def test_data_come_back_from_the_remote_storage(real_cluster: Cluster) -> None:
    before = [member.node.query(CONTENT) for member in real_cluster.members]
    run_everywhere(real_cluster, ("create --tables=app.* full", "upload full", "delete local full"))
    for member in real_cluster.members:
        listed = member.node.query("SELECT name, location FROM system.backup_list")
        assert listed == "full\tremote"
        member.node.query("DROP DATABASE app SYNC")
    run_everywhere(real_cluster, ("download full", "restore --schema full", "restore --data full"))
    assert [member.node.query(CONTENT) for member in real_cluster.members] == before
    assert [member.node.query("SELECT * FROM app.total") for member in real_cluster.members] == [
        "5000",
        "5000",
    ]


def test_a_restarted_node_finds_its_sidecar_again(real_cluster: Cluster) -> None:
    member = real_cluster.members[0]
    member.node.kill()
    member.node.start()
    assert member.node.query("SELECT count() FROM system.backup_version") == "1"


def test_a_restarted_sidecar_answers_and_has_forgotten_its_history(real_cluster: Cluster) -> None:
    member = real_cluster.members[0]
    assert member.sidecar is not None
    run(member, "create --tables=app.* before")
    run(member, "delete local before")
    member.sidecar.kill()
    member.sidecar.start()
    rows = member.node.query(
        "SELECT count() FROM system.backup_actions WHERE command LIKE '% before'"
    )
    assert rows == "0"
