"""One ClickHouse 18.16 server of the replicated cluster, and the configuration it starts with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from deployments.sandbox.members import CONFIG_FILE, DATA_FOLDER, TEMPORARY_FOLDER, Node
from deployments.sandbox.processes import HOST, Program
from deployments.sandbox.state import Ports
from deployments.sandbox.users import User

# How soon a dead neighbour counts as gone; a busy machine must not lose its own session.
_SESSION_TIMEOUT_MS = 10_000
_CONFIG = """<yandex>
    <logger>
        <level>information</level>
        <log>{home}/server.log</log>
        <errorlog>{home}/server.errors.log</errorlog>
    </logger>
    <listen_host>{host}</listen_host>
    <http_port>{own_http}</http_port>
    <tcp_port>{native}</tcp_port>
    <interserver_http_host>{host}</interserver_http_host>
    <interserver_http_port>{interserver}</interserver_http_port>
    <path>{home}/{data}/</path>
    <tmp_path>{home}/queries/</tmp_path>
    <format_schema_path>{home}/schemas/</format_schema_path>
    <users_config>users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <timezone>UTC</timezone>
    <keep_alive_timeout>1</keep_alive_timeout>
    <mark_cache_size>67108864</mark_cache_size>
    <max_table_size_to_drop>0</max_table_size_to_drop>
    <zookeeper>
        <node><host>{host}</host><port>{zookeeper}</port></node>
        <session_timeout_ms>{session_timeout_ms}</session_timeout_ms>
    </zookeeper>
    <macros>{macros}</macros>
    <remote_servers><{cluster}>{shards}</{cluster}></remote_servers>
    <dictionaries_config>*_dictionary.xml</dictionaries_config>
</yandex>
"""
# The proxy writes the hashes of all parts into a query.
_USERS = """<yandex>
    <profiles><default><max_query_size>268435456</max_query_size></default></profiles>
    <users><default>
        <password/>
        <networks><ip>{host}</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
    </default></users>
    <quotas><default/></quotas>
</yandex>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPorts:
    """Ports of a server that only its proxy and its neighbours know."""

    http: int
    interserver: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What all servers of one cluster know: the native ports of each shard, and ZooKeeper's."""

    cluster: str
    shards: tuple[tuple[int, ...], ...]
    zookeeper_port: int


def make_server(binary: Path, home: Path, ports: Ports) -> Node:
    """Run the server of `home`. Asked through the proxy, it answers when that does, too."""
    program = Program(
        name="node", arguments=(str(binary), f"--config-file={home / CONFIG_FILE}"), home=home
    )
    return Node(program, ports=ports, data_dir=home / DATA_FOLDER, user=User())


def furnish_server(
    server: Node, own: OwnPorts, neighbourhood: Neighbourhood, macros: Mapping[str, str]
) -> None:
    """Write what the server and its sidecar find at their start."""
    home = server.program.home
    for folder in (DATA_FOLDER, TEMPORARY_FOLDER):
        (home / folder).mkdir(parents=True, exist_ok=True)
    config = _CONFIG.format(
        home=home,
        data=DATA_FOLDER,
        host=HOST,
        own_http=own.http,
        native=server.ports.native,
        interserver=own.interserver,
        zookeeper=neighbourhood.zookeeper_port,
        session_timeout_ms=_SESSION_TIMEOUT_MS,
        macros="".join(f"<{name}>{escape(value)}</{name}>" for name, value in macros.items()),
        cluster=neighbourhood.cluster,
        shards="".join(map(_shard, neighbourhood.shards)),
    )
    (home / CONFIG_FILE).write_text(config)
    (home / "users.xml").write_text(_USERS.format(host=HOST))


def _shard(native_ports: Iterable[int]) -> str:
    replicas = "".join(
        f"<replica><host>{HOST}</host><port>{port}</port></replica>" for port in native_ports
    )
    return f"<shard><internal_replication>true</internal_replication>{replicas}</shard>"
