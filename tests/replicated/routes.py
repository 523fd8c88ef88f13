"""The proxy as a process, and the routes that it is told: which servers it stands before."""

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from deployments.sandbox.processes import (
    HOST,
    Process,
    Program,
    python_environment,
    python_module,
)

_PING_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`http` is the port that everybody knows, `own_http` the server's."""

    http: int
    own_http: int
    data_dir: Path

    @classmethod
    def read_all(cls, path: Path) -> tuple[Self, ...]:
        rows = json.loads(path.read_text())
        return tuple(cls(**row | {"data_dir": Path(row["data_dir"])}) for row in rows)


def make_proxy(home: Path, routes: Sequence[Route]) -> Process:
    told = home / "routes.json"
    rows = [asdict(route) | {"data_dir": str(route.data_dir)} for route in routes]
    told.write_text(json.dumps(rows, indent=1))
    program = Program(
        name="proxy",
        arguments=python_module("tests.replicated.proxy", str(told)),
        home=home,
        environment=python_environment(),
    )
    return Process(program, answers=lambda: all(_listens(route.http) for route in routes))


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=_PING_SECONDS):
            return True
    except OSError:
        return False
