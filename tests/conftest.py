"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults", "the fault matrix")
    faults.addoption("--every-cell", action="store_true", help="run the whole fault matrix")
    faults.addoption("--cells", default="", help="only cells whose name holds one of these words")
    faults.addoption("--cells-report", default="", help="write the result of each cell to a file")
    faults.addoption(
        "--stop-seconds", type=float, default=20, help="how long a part is stopped or away"
    )
