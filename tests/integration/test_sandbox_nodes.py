"""A node of the sandbox behaves as a ClickHouse server does, as far as the product relies on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployments.sandbox import client
from deployments.sandbox.client import QueryFailed
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.members import Node
from deployments.sandbox.processes import wait_until
from deployments.sandbox.users import User
from tests.clusters import ClusterFactory

pytestmark = pytest.mark.sandbox

WRITER = User(password="w")
READER = User(name="reader", password="r", readonly=True)


@pytest.fixture(scope="module")
def guarded_node(cluster_factory: ClusterFactory) -> Node:
    """Start one that asks for passwords."""
    cluster = cluster_factory(sidecar=SidecarKind.NONE, users=(WRITER, READER))
    return cluster.members[0].node


@pytest.fixture
def node(bare_cluster: Cluster) -> Node:
    return bare_cluster.members[0].node


@pytest.fixture
def table(node: Node) -> Iterator[None]:
    node.query("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    yield
    node.query("DROP TABLE t SYNC")


class Refusal(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":  # else the sender sees a reset
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + len("\r\n"))
            self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_error(500, "refused")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
        pass


@contextmanager
def refusing_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def code_of(refused: pytest.ExceptionInfo[QueryFailed]) -> int:
    return refused.value.code


def test_each_node_knows_its_place(bare_cluster: Cluster) -> None:
    for member in bare_cluster.members:
        macros = member.node.query("SELECT macro, substitution FROM system.macros ORDER BY macro")
        assert dict(line.split("\t") for line in macros.splitlines()) == {
            "cluster": "main",
            "installation": "demo",
            "replica": member.replica,
            "shard": member.shard,
        }


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(User(password="wrong"), id="wrong-password"),
        pytest.param(User(name="nobody"), id="unknown-user"),
    ],
)
def test_who_cannot_log_in_is_told_so(guarded_node: Node, user: User) -> None:
    with pytest.raises(QueryFailed) as refused:
        client.query(guarded_node.http_port, "SELECT 1", user=user)
    assert code_of(refused) == 516


def test_a_read_only_user_reads_and_writes_nothing(guarded_node: Node) -> None:
    assert client.query(guarded_node.http_port, "SELECT 1", user=READER) == "1"
    with pytest.raises(QueryFailed) as refused:
        client.query(guarded_node.http_port, "CREATE DATABASE d", user=READER)
    assert code_of(refused) == 164


def test_a_bare_expression_is_no_query(node: Node) -> None:
    with pytest.raises(QueryFailed) as refused:
        node.query("1 + 1")
    assert code_of(refused) == 62


def test_an_unknown_setting_is_refused(node: Node) -> None:
    with pytest.raises(QueryFailed) as refused:
        node.query("SELECT 1", {"no_such_setting": "1"})
    assert code_of(refused) == 115


def test_a_refused_post_of_a_url_table_is_an_error(node: Node) -> None:
    with refusing_server() as port:
        node.query(
            f"CREATE TABLE system.sink (a String) ENGINE = URL('http://127.0.0.1:{port}/', 'TSV')"
        )
        try:
            with pytest.raises(QueryFailed) as refused:
                node.query("INSERT INTO system.sink VALUES ('x')")
        finally:
            node.query("DROP TABLE system.sink")
    assert code_of(refused) == 86


def test_settings_end_with_their_request(node: Node) -> None:
    default = node.query("SELECT getSetting('max_threads')")
    assert node.query("SELECT getSetting('max_threads')", {"max_threads": "7"}) == "7"
    assert node.query("SELECT getSetting('max_threads')") == default


def test_settings_of_a_request_end_with_it_in_a_session_too(node: Node) -> None:
    session = {"session_id": "settings"}
    asked = "SELECT getSetting('max_threads'), getSetting('max_block_size')"
    node.query("SET max_block_size = 11", session)
    default = node.query("SELECT getSetting('max_threads')", session)
    assert node.query(asked, session | {"max_threads": "7", "max_block_size": "9"}) == "7\t9"
    assert node.query(asked, session) == f"{default}\t11"


def test_a_session_is_for_one_request_at_a_time(node: Node) -> None:
    session = {"session_id": "locked"}
    slow = threading.Thread(target=node.query, args=("SELECT sleep(1)", session))
    slow.start()
    wait_until(
        lambda: "sleep" in node.query("SELECT query FROM system.processes"),
        what="the slow query runs",
        within=timedelta(seconds=5),
    )
    with pytest.raises(QueryFailed) as refused:
        node.query("SELECT 1", session)
    slow.join()
    assert code_of(refused) == 373


def test_a_session_expires(node: Node) -> None:
    node.query("SELECT 1", {"session_id": "short", "session_timeout": "0"})
    with pytest.raises(QueryFailed) as refused:
        node.query("SELECT 1", {"session_id": "short", "session_check": "1"})
    assert code_of(refused) == 372


@pytest.mark.usefixtures("table")
def test_what_the_sidecar_reads_of_its_server_is_there(node: Node) -> None:
    node.query("INSERT INTO t VALUES (1)")
    size = node.query(
        "SELECT value FROM system.asynchronous_metrics WHERE metric = 'TotalBytesOfMergeTreeTables'"
    )
    assert float(size) > 0
    assert (node.data_dir / "flags").is_dir()


def test_url_tables_of_the_system_database_survive_any_number_of_restarts(
    cluster_factory: ClusterFactory,
) -> None:
    node = cluster_factory(sidecar=SidecarKind.NONE).members[0].node
    node.query("CREATE TABLE system.kept (a String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')")
    node.query("CREATE TABLE system.gone (a String) ENGINE = URL('http://127.0.0.1:1/', 'TSV')")
    node.query("DROP TABLE system.gone")
    for _ in range(2):
        node.restart()
        assert node.query("SHOW TABLES FROM system LIKE 'kept'") == "kept"
        assert node.query("SHOW TABLES FROM system LIKE 'gone'") == ""


def test_data_survive_a_kill(cluster_factory: ClusterFactory) -> None:
    node = cluster_factory(sidecar=SidecarKind.NONE).members[0].node
    node.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    node.query("INSERT INTO t SELECT number FROM numbers(1000)")
    node.kill()
    assert not node.alive
    node.start()
    assert node.query("SELECT count(), sum(a) FROM t") == "1000\t499500"


def test_a_node_that_is_busy_ends_when_asked(cluster_factory: ClusterFactory) -> None:
    node = cluster_factory(sidecar=SidecarKind.NONE).members[0].node
    cut_off: list[Exception] = []

    def ask() -> None:
        try:
            node.query("SELECT count() FROM numbers(60) WHERE sleepEachRow(1) = 0")
        except (OSError, QueryFailed) as error:
            cut_off.append(error)

    busy = threading.Thread(target=ask)
    busy.start()
    wait_until(
        lambda: "sleepEachRow" in node.query("SELECT query FROM system.processes"),
        what="the slow query runs",
        within=timedelta(seconds=5),
    )
    node.stop()
    busy.join()
    assert not node.alive
    assert len(cut_off) == 1
