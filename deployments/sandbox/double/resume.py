"""After a restart: the commands that unfinished, and finished, transfers left state files for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.sandbox.double.local import LocalBackups
from deployments.sandbox.double.state import read_parameters

_RESUMED = ("download", "upload")


@dataclass(frozen=True, slots=True)
class Resumable:
    words: tuple[str, ...]
    state_file: Path

    @property
    def line(self) -> str:
        return " ".join(self.words)


def find(local: LocalBackups) -> Iterator[Resumable]:
    home = local.default / "backup"
    folders = sorted(home.iterdir()) if home.is_dir() else []
    for folder in folders:
        for word in _RESUMED:
            path = folder / f"{word}.state2"
            if path.exists():
                words = (word, *_flags(word, read_parameters(path)), "--resumable=1", folder.name)
                yield Resumable(words, path)


def _flags(word: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Lose the filters of a download, and with them its state: all is downloaded."""
    if word != "upload":
        return
    names = {
        "diffFrom": "diff-from",
        "diffFromRemote": "diff-from-remote",
        "tablePattern": "tables",
    }
    for key, flag in names.items():
        if parameters.get(key):
            yield f"--{flag}={parameters[key]}"
    if parameters.get("schemaOnly"):
        yield "--schema=1"
    for partition in parameters.get("partitions", ()):
        yield f"--partitions={partition}"
