"""What an interrupted upload or download has done, kept beside the local backup.

The first line holds the parameters; each further line one finished object and its size. Other
parameters than those on file start from nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


class State:
    def __init__(self, path: Path, done: dict[str, int]) -> None:
        self._path = path
        self._done = done

    @classmethod
    def open(cls, path: Path, parameters: Mapping[str, Any]) -> Self:
        known = read_parameters(path)
        if known == dict(parameters):
            lines = path.read_text().splitlines()[1:]
            return cls(path, dict(json.loads(line) for line in lines))
        path.write_text(json.dumps(dict(parameters)) + "\n")
        return cls(path, {})

    def size_of(self, key: str) -> int | None:
        return self._done.get(key)

    def add(self, key: str, size: int) -> None:
        self._done[key] = size
        with self._path.open("a") as writer:
            writer.write(json.dumps([key, size]) + "\n")


def read_parameters(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    first, _, _ = path.read_text().partition("\n")
    found = json.loads(first) if first else {}
    return dict(found)
