"""Results of cells: told by the tests, gathered over all workers, kept in a file."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cells import Cell

_PROPERTY = "cell"
Key = tuple[str, ...]


class Verdict(StrEnum):
    """How a cell ended well, or that it did not."""

    WENT_ON = "went on"
    RAN_AGAIN = "completed when run again"
    REFUSED = "refused until a person does what it says"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    operation: str
    phase: str
    point: str
    target: str
    fault: str
    verdict: Verdict
    seconds: float
    told: str = ""

    @classmethod
    def of(cls, cell: Cell, verdict: Verdict, *, seconds: float, told: str = "") -> "Result":
        return cls(
            operation=cell.operation,
            phase=cell.phase,
            point=cell.point,
            target=cell.target,
            fault=cell.fault,
            verdict=verdict,
            seconds=round(seconds, 1),
            told=told,
        )

    @property
    def key(self) -> Key:
        return (self.operation, self.phase, self.point, self.target, self.fault)


def key_of(cell: Cell) -> Key:
    return (cell.operation, cell.phase, cell.point, cell.target, cell.fault)


def read_results(path: Path) -> dict[Key, Result]:
    if not path.exists():
        return {}
    found = (
        Result(**fields | {"verdict": Verdict(fields["verdict"])})
        for fields in json.loads(path.read_text())
    )
    return {result.key: result for result in found}


def _read(fields: dict[str, Any]) -> Result:
    return Result(**fields | {"verdict": Verdict(fields["verdict"])})


def write_results(path: Path, results: Iterable[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


class Gatherer:
    """Adds the results of a run to the file, also those of other processes (pytest-xdist)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results = read_results(path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text: Any = dict(report.user_properties).get(_PROPERTY)
        if report.when != "call" or not text:
            return
        failed = {"verdict": Verdict.FAILED, "seconds": round(report.duration, 1)}
        result = _read(json.loads(text) | (failed if report.failed else {}))
        self._results[result.key] = result
        write_results(self._path, self._results.values())  # at once: a long run may be cut short


def tell(request: pytest.FixtureRequest, result: Result) -> None:
    """Let the result travel with the report of the test; the last one told counts."""
    properties = request.node.user_properties
    properties[:] = [told for told in properties if told[0] != _PROPERTY]
    properties.append((_PROPERTY, json.dumps(asdict(result))))  # text: workers send no more
