"""A cluster of old servers that really replicate, with their sidecars, started as one."""

from dataclasses import astuple
from pathlib import Path

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.members import Member
from deployments.sandbox.processes import Process, free_ports
from deployments.sandbox.sidecars import make_sidecar
from deployments.sandbox.state import State
from tests.peers.require import require_peer
from tests.replicated.routes import Route, make_proxy
from tests.replicated.server import Neighbourhood, OwnPorts, furnish_server, make_server
from tests.replicated.zookeeper import ZooKeeper


class ReplicatedCluster(Cluster):
    """Its nodes are known by the proxy's ports: through it they speak as modern servers do.

    ZooKeeper's port and those between the servers are chosen for this object alone, so it is the
    one that started the cluster: no other one can attach to it.
    """

    def __init__(self, directory: Path, state: State) -> None:
        super().__init__(directory, state)
        promised = {state.store_port}.union(*map(astuple, state.ports.values()))
        zookeeper_port, *free = free_ports(1 + 2 * len(self.members), besides=promised)
        self._own = {
            member.replica: OwnPorts(http=free.pop(), interserver=free.pop())
            for member in self.members
        }
        self._neighbourhood = Neighbourhood(
            cluster=self.layout.cluster,
            shards=_native_ports(self.members),
            zookeeper_port=zookeeper_port,
        )
        jar = require_peer("zookeeper")
        self.zookeeper = ZooKeeper(jar, self.directory / "zookeeper", port=zookeeper_port)
        self.proxy = make_proxy(self.directory, [self._route(member) for member in self.members])

    @property
    def foundations(self) -> tuple[Process, ...]:
        return (*super().foundations, self.zookeeper, self.proxy)

    def _make_member(self, state: State, shard: str, replica: str) -> Member:
        binary = require_peer("clickhouse-18.16")
        node = make_server(binary, self.directory / replica, state.ports[replica])
        sidecar = make_sidecar(node, state, self.remote)
        return Member(shard=shard, replica=replica, node=node, sidecar=sidecar)

    def _furnish_member(self, member: Member) -> None:
        macros = self.layout.macros(member.shard, member.replica)
        furnish_server(member.node, self._own[member.replica], self._neighbourhood, macros)

    def _route(self, member: Member) -> Route:
        own_http = self._own[member.replica].http
        return Route(http=member.node.http_port, own_http=own_http, data_dir=member.node.data_dir)


def _native_ports(members: tuple[Member, ...]) -> tuple[tuple[int, ...], ...]:
    shards: dict[str, list[int]] = {}
    for member in members:
        shards.setdefault(member.shard, []).append(member.node.ports.native)
    return tuple(map(tuple, shards.values()))
