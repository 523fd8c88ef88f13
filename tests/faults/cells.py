"""Cells of the fault matrix, made of the flows' own phases, and the rules that leave some out."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tasks.domain.phases import PHASES, BackupPhase, Phase, RestorePhase
from tests.moments import Point


class Target(StrEnum):
    """What breaks. ZooKeeper: that of servers which replicate; the others need none."""

    FLOW = "flow process"
    PREFECT = "Prefect server"
    SIDECAR = "sidecar"
    NODE = "ClickHouse node"
    KEEPER = "ZooKeeper"
    STORE = "remote folder"


class Fault(StrEnum):
    KILL = "kill -9"
    STOP = "stop"
    AWAY = "away"


# where a sidecar stands in the middle of what a phase asks of it; a phase that is not named here
# asks nothing of it that takes time
STEPS: dict[Phase, str] = {
    BackupPhase.CREATE: "create.freeze",
    BackupPhase.UPLOAD: "upload.data",
    BackupPhase.MANIFEST: "upload.data",
    RestorePhase.DOWNLOAD: "download.data",
    RestorePhase.SAFETY_COPY: "create.freeze",
    RestorePhase.SCHEMA: "restore.schema",
    RestorePhase.DATA: "restore.attach",
    RestorePhase.LATE_TABLES: "restore.schema",
}
# these only look, or write one row into the journal
_INSTANT: frozenset[Phase] = frozenset(
    {
        BackupPhase.CONFIRM,
        BackupPhase.JOURNAL,
        RestorePhase.SETTLE,
        RestorePhase.REGISTRY,
        RestorePhase.PLAN,
        RestorePhase.COORDINATION,
        RestorePhase.CATCH_UP,
        RestorePhase.COMPARE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    operation: str
    phase: Phase
    point: Point
    target: Target
    fault: Fault

    def __str__(self) -> str:
        words = (self.operation, self.phase, self.point, self.target, self.fault)
        return "-".join(word.replace(" ", "_") for word in words)


def every_cell() -> Iterator[Cell]:
    return (
        Cell(operation=operation, phase=phase, point=point, target=target, fault=fault)
        for operation, phases in PHASES.items()
        for phase in phases
        for point in Point
        for target in Target
        for fault in Fault
    )


def left_out(cell: Cell) -> str:
    """Say why a cell makes no sense; empty: it does."""
    if cell.target is Target.STORE and cell.fault is not Fault.AWAY:
        return "a folder can only be away"
    if cell.target is Target.FLOW and cell.fault is Fault.AWAY:
        return "a flow process does not come back: its operation runs again, as after kill -9"
    if cell.point is Point.RUNNING and cell.phase in _INSTANT:
        return "the phase only looks, or writes one row: there is nothing to interrupt"
    is_last = cell.phase is tuple(PHASES[cell.operation])[-1]
    if cell.point is Point.AFTER and cell.target is not Target.FLOW and not is_last:
        return "what breaks after one phase is what breaks before the next one"
    return ""


def is_in_ci(cell: Cell) -> bool:
    """Choose three points of each flow, each with the part whose death hurts most there."""
    return cell in {
        *_killed("backup", BackupPhase.UPLOAD, Point.BEFORE, Target.NODE),
        *_killed("backup", BackupPhase.UPLOAD, Point.RUNNING, Target.SIDECAR),
        *_killed("backup", BackupPhase.CREATE, Point.AFTER, Target.FLOW),
        *_killed("restore", RestorePhase.DROP, Point.BEFORE, Target.NODE),
        *_killed("restore", RestorePhase.DATA, Point.RUNNING, Target.SIDECAR),
        *_killed("restore", RestorePhase.DATA, Point.AFTER, Target.FLOW),
    }


def _killed(operation: str, phase: Phase, point: Point, target: Target) -> tuple[Cell]:
    killed = Cell(operation=operation, phase=phase, point=point, target=target, fault=Fault.KILL)
    return (killed,)
