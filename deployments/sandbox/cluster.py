"""An embedded cluster: N shards x M replicas with their sidecars, started and stopped as one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from deployments.sandbox.guard import Guard
from deployments.sandbox.layout import Layout, Ports, SidecarKind, State
from deployments.sandbox.members import Member, make_node
from deployments.sandbox.processes import (
    HOST,
    Process,
    SandboxError,
    free_ports,
    start_together,
    stop_together,
)
from deployments.sandbox.sidecars import Remote, make_sidecar
from deployments.sandbox.store import make_store
from tasks.domain.inventory import CredentialNames, Inventory
from tasks.domain.topology import Replica, Shard

STATE_FILE = "state.json"
INVENTORY_FILE = "inventory.yaml"
PORTS_PER_MEMBER = 3


class Cluster:
    """Everything of it lies in one directory: ports, data, logs, and the inventory to reach it."""

    def __init__(self, directory: Path, state: State) -> None:
        self.directory = directory.absolute()
        self.layout = state.layout
        self._guard: Guard | None = None
        self.store = _make_store(self.directory, state)
        self.members = tuple(
            _make_member(self.directory, state, shard, replica)
            for shard, replica in state.layout.places
        )

    @classmethod
    def start(cls, directory: Path, layout: Layout, *, bound_to_me: bool) -> Self:
        """Start all nodes, then all sidecars. Data of an earlier start of the same layout stay.

        Bound to me: the cluster ends when this process does, even by SIGKILL.
        """
        directory.mkdir(parents=True, exist_ok=True)
        state = _settle(directory / STATE_FILE, layout)
        cluster = cls(directory, state)
        if any(process.alive for process in cluster.processes):
            message = f"a sandbox runs in {directory} already"
            raise SandboxError(message)
        state.write(directory / STATE_FILE)
        cluster.inventory_path.write_text(cluster.inventory.to_yaml())
        if bound_to_me:
            cluster._guard = Guard(cluster.directory)
        try:
            cluster.start_what_is_down()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Find the cluster of that directory, running or not."""
        path = directory / STATE_FILE
        if not path.exists():
            message = f"there is no sandbox in {directory}"
            raise SandboxError(message)
        return cls(directory, State.read(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def processes(self) -> tuple[Process, ...]:
        of_members = tuple(process for member in self.members for process in member.processes)
        return of_members if self.store is None else (self.store, *of_members)

    @property
    def running(self) -> bool:
        return all(process.alive for process in self.processes)

    def member(self, replica: str) -> Member:
        return next(member for member in self.members if member.replica == replica)

    @property
    def inventory(self) -> Inventory:
        shards: dict[str, list[Replica]] = {}
        for member in self.members:
            address = Replica(name=member.replica, host=HOST, port=member.node.http_port)
            shards.setdefault(member.shard, []).append(address)
        return Inventory(
            installation=self.layout.installation,
            cluster=self.layout.cluster,
            credentials=CredentialNames() if self.environment else None,
            shards=tuple(
                Shard(name=name, replicas=tuple(replicas)) for name, replicas in shards.items()
            ),
        )

    @property
    def inventory_path(self) -> Path:
        return self.directory / INVENTORY_FILE

    @property
    def environment(self) -> Mapping[str, str]:
        """What a flow's environment must hold to log in. Empty if the default user will do."""
        user = self.layout.administrator
        names = CredentialNames()
        if user.name == "default" and not user.password:
            return {}
        return {names.username_env: user.name, names.password_env: user.password}

    def start_what_is_down(self) -> None:
        if self.store is not None:
            self.store.start()
        start_together(member.node for member in self.members)
        start_together(member.sidecar for member in self.members if member.sidecar)

    def stop(self) -> None:
        """Sidecars first: they would report a cluster that goes away beneath them."""
        stop_together(member.sidecar for member in self.members if member.sidecar)
        stop_together(member.node for member in self.members)
        if self.store is not None:
            self.store.stop()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None


def _settle(path: Path, layout: Layout) -> State:
    """Ports of an earlier start stay; a directory never changes its shape."""
    if not path.exists():
        return _first_state(layout)
    before = State.read(path)
    if tuple(before.layout.places) != tuple(layout.places):
        message = (
            f"{path.parent} holds {before.layout.shards} x {before.layout.replicas} nodes of "
            f"{before.layout.installation}/{before.layout.cluster}: choose another directory, "
            "or remove it"
        )
        raise SandboxError(message)
    return replace(before, layout=layout)


def _first_state(layout: Layout) -> State:
    places = tuple(layout.places)
    store_port, *ports = free_ports(1 + PORTS_PER_MEMBER * len(places))
    taken = iter(ports)
    return State(
        layout=layout,
        ports={
            replica: Ports(http=next(taken), native=next(taken), sidecar=next(taken))
            for _, replica in places
        },
        store_port=store_port,
    )


def _make_store(directory: Path, state: State) -> Process | None:
    if state.layout.sidecar is not SidecarKind.REAL:
        return None
    return make_store(directory, _remote(directory, state.layout), port=state.store_port)


def _make_member(directory: Path, state: State, shard: str, replica: str) -> Member:
    home = directory / replica
    ports = state.ports[replica]
    node = make_node(home, state.layout, shard=shard, replica=replica, ports=ports)
    remote = Remote(folder=_remote(directory, state.layout), store_port=state.store_port)
    sidecar = make_sidecar(node, state.layout, ports, remote)
    return Member(shard=shard, replica=replica, node=node, sidecar=sidecar)


def _remote(directory: Path, layout: Layout) -> Path:
    remote = (layout.remote or directory / "remote").absolute()
    remote.mkdir(parents=True, exist_ok=True)
    return remote
