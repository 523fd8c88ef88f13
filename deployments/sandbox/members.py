"""One member of the cluster: a node and the sidecar beside it, as processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from deployments.sandbox import client
from deployments.sandbox.layout import Layout
from deployments.sandbox.processes import Process, Program, python_environment, python_module
from deployments.sandbox.state import Ports
from deployments.sandbox.users import User, write_users

DATA_FOLDER = "data"
# Of the sidecar: its pid files, named after backups. Neighbours must not see each other's.
TEMPORARY_FOLDER = "tmp"
CONFIG_FILE = "config.xml"
USERS_FILE = "users.json"
KNOBS_FILE = "knobs.json"
CONFIG = """<clickhouse>
    <display_name>{name}</display_name>
    <timezone>UTC</timezone>
    <macros>
{macros}
    </macros>
</clickhouse>
"""


class Node(Process):
    """The server of one replica. `data_dir` is its data path as it lies on disk."""

    def __init__(self, program: Program, *, ports: Ports, data_dir: Path, user: User) -> None:
        super().__init__(program, answers=lambda: client.answers_ping(ports.http))
        self.ports = ports
        self.data_dir = data_dir
        self._user = user

    @property
    def http_port(self) -> int:
        return self.ports.http

    def query(self, statement: str, settings: Mapping[str, str] | None = None) -> str:
        return client.query(self.http_port, statement, user=self._user, settings=settings)


class Sidecar(Process):
    """It is ready once its own tables answer through its node.

    `knobs` is the file by which a test turns the double; the real one knows nothing of it.
    """

    def __init__(self, program: Program, *, port: int, node: Node) -> None:
        super().__init__(program, answers=lambda: _sidecar_answers(node))
        self.port = port
        self.knobs = program.home / KNOBS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    shard: str
    replica: str
    node: Node
    sidecar: Sidecar | None

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.node,) if self.sidecar is None else (self.node, self.sidecar)


def furnish(home: Path, layout: Layout, *, shard: str, replica: str) -> None:
    """Write what a node and its sidecar find at their start."""
    for folder in (DATA_FOLDER, TEMPORARY_FOLDER):
        (home / folder).mkdir(parents=True, exist_ok=True)
    config = render_config(replica, layout.macros(shard, replica))
    (home / CONFIG_FILE).write_text(config)
    write_users(home / USERS_FILE, layout.users)


def make_node(home: Path, layout: Layout, *, replica: str, ports: Ports) -> Node:
    data_dir = home / DATA_FOLDER
    arguments = [
        *("--name", replica),
        *("--data", str(data_dir)),
        *("--config", str(home / CONFIG_FILE)),
        *("--users", str(home / USERS_FILE)),
        *("--http-port", str(ports.http)),
    ]
    if layout.has_native_interface:
        arguments += ["--native-port", str(ports.native)]
    program = Program(
        name="node",
        arguments=python_module("deployments.sandbox.node", *arguments),
        home=home,
        environment=python_environment(),
    )
    return Node(program, ports=ports, data_dir=data_dir, user=layout.administrator)


def render_config(name: str, macros: Mapping[str, str]) -> str:
    lines = [f"        <{macro}>{escape(value)}</{macro}>" for macro, value in macros.items()]
    return CONFIG.format(name=escape(name), macros="\n".join(lines))


def _sidecar_answers(node: Node) -> bool:
    # One try: a dead sidecar would otherwise hold the server's own request for two minutes.
    once = {"http_max_tries": "1"}
    try:
        return bool(node.query("SELECT version FROM system.backup_version", once))
    except (OSError, client.QueryFailed):
        return False
