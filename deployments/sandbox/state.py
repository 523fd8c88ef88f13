"""What must not change between two starts: ports are in inventories, binaries may leave PATH."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from deployments.sandbox.binaries import Binaries
from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.processes import SandboxError, free_ports

PORTS_PER_MEMBER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    http: int
    native: int
    sidecar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    layout: Layout
    ports: Mapping[str, Ports]
    store_port: int
    binaries: Binaries | None = None

    def write(self, path: Path) -> None:
        path.touch(mode=0o600)
        draft: dict[str, Any] = {
            "layout": self.layout.to_json(),
            "ports": {replica: asdict(ports) for replica, ports in self.ports.items()},
            "store_port": self.store_port,
        }
        if self.binaries is not None:
            draft["sidecar"] = str(self.binaries.sidecar)
            draft["store"] = str(self.binaries.store)
        path.write_text(json.dumps(draft, indent=1))

    @classmethod
    def read(cls, path: Path) -> Self:
        found = json.loads(path.read_text())
        binaries = None
        if "sidecar" in found:
            binaries = Binaries(sidecar=Path(found["sidecar"]), store=Path(found["store"]))
        return cls(
            layout=Layout.from_json(found["layout"]),
            ports={replica: Ports(**ports) for replica, ports in found["ports"].items()},
            store_port=found["store_port"],
            binaries=binaries,
        )


def settle(path: Path, layout: Layout) -> State:
    """Go on from the state of an earlier start. A directory never changes its shape."""
    state = State.read(path) if path.exists() else _first_state(layout)
    before = state.layout
    if tuple(before.places) != tuple(layout.places):
        message = (
            f"{path.parent} holds {before.shards} x {before.replicas} nodes of "
            f"{before.installation}/{before.cluster}: choose another directory, or remove it"
        )
        raise SandboxError(message)
    binaries = state.binaries
    if layout.sidecar is SidecarKind.REAL and binaries is None:
        binaries = Binaries.find()
    return replace(state, layout=layout, binaries=binaries)


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
