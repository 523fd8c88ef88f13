"""Strikes: a part of the cluster breaks while a flow stands at its moment, and is mended."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.faults.cells import Fault, Target
from tests.faults.stories import Scene
from tests.integration.killing import FlowProcess
from tests.integration.replicated_shop import of_cluster, wait_until_writable
from tests.moments import turn


class Part(Protocol):
    """What can break."""

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def strike(
    target: Target, fault: Fault, *, scene: Scene, flow: FlowProcess, seconds: float
) -> None:
    """Break a part, let the flow and its sidecar go on, and mend it: at once, or later.

    Before the `seconds` are over it is mended when the flow has ended.
    """
    part = _part(target, scene, flow)
    breaks, mends = {
        Fault.KILL: (part.kill, part.start),
        Fault.STOP: (part.pause, part.resume),
        Fault.AWAY: (part.kill, part.start),
    }[fault]
    breaks()
    turn(scene.bench.sidecar(scene.shop.struck).knobs, pause=())
    flow.go_on()
    if fault is not Fault.KILL:
        flow.ends_within(seconds)
    mends()
    if target is Target.KEEPER:
        wait_until_writable(scene.bench)


def _part(target: Target, scene: Scene, flow: FlowProcess) -> Part:
    match target:
        case Target.FLOW:
            return flow
        case Target.PREFECT:
            return scene.prefect.process
        case Target.SIDECAR:
            return scene.bench.sidecar(scene.shop.struck)
        case Target.NODE:
            return scene.bench.nodes[scene.shop.struck]
        case Target.STORE:
            return _Folder(scene.remote)
        case Target.KEEPER:
            return of_cluster(scene.bench).zookeeper


@dataclass(frozen=True, slots=True)
class _Folder:
    """The one that stands for the object store: a sidecar answers as if that were unreachable."""

    path: Path

    @property
    def _elsewhere(self) -> Path:
        return self.path.with_name(f"{self.path.name}.away")

    def kill(self) -> None:
        self.path.rename(self._elsewhere)

    def start(self) -> None:
        self._elsewhere.rename(self.path)

    def pause(self) -> None:
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError
