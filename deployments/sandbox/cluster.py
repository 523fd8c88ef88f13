"""An embedded cluster: N shards x M replicas with their sidecars, started and stopped as one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from deployments.sandbox.guard import Guard
from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.members import Member, furnish, make_node
from deployments.sandbox.processes import (
    HOST,
    Process,
    SandboxError,
    start_together,
    stop_together,
)
from deployments.sandbox.sidecars import make_sidecar
from deployments.sandbox.state import State, settle
from deployments.sandbox.store import BUCKET, make_store
from tasks.domain.inventory import CredentialNames, Inventory
from tasks.domain.topology import Replica, Shard

STATE_FILE = "state.json"
INVENTORY_FILE = "inventory.yaml"


class Cluster:
    """Everything of it lies in one directory: ports, data, logs, and the inventory to reach it."""

    def __init__(self, directory: Path, state: State) -> None:
        self.directory = directory.absolute()
        self.layout = state.layout
        self._guard: Guard | None = None
        self.remote = (state.layout.remote or self.directory / "remote").absolute()
        self.store = _make_store(self.directory, state, self.remote)
        self.members = tuple(
            self._make_member(state, shard, replica) for shard, replica in state.layout.places
        )

    @classmethod
    def start(cls, directory: Path, layout: Layout, *, bound_to_me: bool) -> Self:
        """Start all nodes, then all sidecars. Data of an earlier start of the same layout stay.

        Bound to me: the cluster ends when this process does, even by SIGKILL.
        """
        directory.mkdir(parents=True, exist_ok=True)
        state = settle(directory / STATE_FILE, layout)
        cluster = cls(directory, state)
        if any(process.alive for process in cluster.processes):
            message = f"a sandbox runs in {directory} already"
            raise SandboxError(message)
        state.write(directory / STATE_FILE)
        cluster._furnish()
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
    def foundations(self) -> tuple[Process, ...]:
        """What members stand on: started before them in this order, stopped after them."""
        return () if self.store is None else (self.store,)

    @property
    def processes(self) -> tuple[Process, ...]:
        of_members = tuple(process for member in self.members for process in member.processes)
        return (*self.foundations, *of_members)

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

    def _make_member(self, state: State, shard: str, replica: str) -> Member:
        home = self.directory / replica
        node = make_node(home, state.layout, replica=replica, ports=state.ports[replica])
        sidecar = make_sidecar(node, state, self.remote)
        return Member(shard=shard, replica=replica, node=node, sidecar=sidecar)

    def _furnish(self) -> None:
        self.inventory_path.write_text(self.inventory.to_yaml())
        # To the S3 server a bucket is a folder.
        (self.remote / BUCKET if self.store else self.remote).mkdir(parents=True, exist_ok=True)
        for member in self.members:
            self._furnish_member(member)

    def _furnish_member(self, member: Member) -> None:
        furnish(member.node.program.home, self.layout, shard=member.shard, replica=member.replica)

    def start_what_is_down(self) -> None:
        for process in self.foundations:
            process.start()
        start_together(member.node for member in self.members)
        start_together(member.sidecar for member in self.members if member.sidecar)

    def stop(self) -> None:
        """Sidecars first: they would report a cluster that goes away beneath them."""
        stop_together(member.sidecar for member in self.members if member.sidecar)
        stop_together(member.node for member in self.members)
        for process in reversed(self.foundations):
            process.stop()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None


def _make_store(directory: Path, state: State, remote: Path) -> Process | None:
    if state.layout.sidecar is not SidecarKind.REAL:
        return None
    assert state.binaries is not None
    return make_store(state.binaries.store, directory, remote, port=state.store_port)
