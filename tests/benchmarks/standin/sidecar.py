"""The sidecar of a stand-in: takes the product's commands, and ends them after fixed durations."""

import asyncio
import copy
import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.standin.contents import Contents, Table

NO_REMOTE = (
    'general->remote_storage shall not be "none" for download, change you config or use '
    "REMOTE_STORAGE environment variable"
)
COMPANIONS = (".manifest", ".probe")


class Unknown(Exception):
    """Asked for something that no real server was ever compared with here."""


class Refused(Exception):
    """What a real one answers as an error. `code` is ClickHouse's number."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds that each verb takes; `companion`: any verb on a manifest or a probe."""

    create: float = 1.0
    upload: float = 3.0
    download: float = 3.0
    schema: float = 0.5
    data: float = 2.0
    companion: float = 0.1

    def of(self, words: list[str]) -> float:
        if any(suffix in words[-1] for suffix in COMPANIONS):
            return self.companion
        if words[0] == "restore":
            return self.schema if "--schema" in words else self.data
        return float(getattr(self, words[0]))


@dataclass(slots=True)
class Copy:
    """A backup, here or there."""

    name: str
    created_at: int
    tables: dict[str, Table]

    @property
    def size_bytes(self) -> int:
        parts = (part for table in self.tables.values() for part in table.parts)
        return sum(int(part["bytes_on_disk"]) for part in parts) + 1000

    def shown(self, location: str) -> dict[str, Any]:
        return {
            "name": self.name,
            "location": location,
            "size_bytes": self.size_bytes,
            "created_at": self.created_at,
            "required": "",
            "desc": {"local": "regular", "remote": "tar, regular"}[location],
        }


@dataclass(slots=True)
class Sidecar:
    contents: Contents
    durations: Durations
    local: dict[str, Copy] = field(default_factory=dict)
    remote: dict[str, Copy] = field(default_factory=dict)
    history: list[dict[str, str]] = field(default_factory=list)
    _at_work: set[asyncio.Task[None]] = field(default_factory=set)

    def listing(self) -> list[dict[str, Any]]:
        here = [found.shown("local") for found in self.local.values()]
        return here + [found.shown("remote") for found in self.remote.values()]

    def frozen(self, location: str, name: str) -> list[dict[str, Any]]:
        copies = {"local": self.local, "remote": self.remote}[location]
        return [
            {
                "database": table.database,
                "table": table.name,
                "parts": len(table.parts),
                "names": sorted(part["name"] for part in table.parts),
            }
            for table in copies[name].tables.values()
        ]

    async def take(self, command: str) -> None:
        """Begin a command; only a delete is waited for."""
        words = command.split()
        row = {"command": command, "status": "in progress", "error": ""}
        if any(other["status"] == "in progress" for other in self.history):
            refusal = {"status": "error", "operation": command, "error": _LOCKED}
            raise Refused(json.dumps(refusal), code=86)
        self.history.append(row)
        if words[0] == "delete":
            self._perform(words, row)
            return
        task = asyncio.create_task(self._work(words, row))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _work(self, words: list[str], row: dict[str, str]) -> None:
        if "--env=REMOTE_STORAGE=none" not in words:
            await asyncio.sleep(self.durations.of(words))
        self._perform(words, row)

    def _perform(self, words: list[str], row: dict[str, str]) -> None:
        row["status"] = "success"
        name = words[-1]
        flags = dict(
            word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word
        )
        match words[0]:
            case "create":
                tables = self.contents.matching(flags["tables"].split(","))
                self.local[name] = Copy(name, int(time.time()), copy.deepcopy(tables))
            case "upload":
                self.remote[name] = self.local[name]
            case "download" if "--env=REMOTE_STORAGE=none" in words:
                row.update(status="error", error=NO_REMOTE)
            case "download":
                self.local[name] = self.remote[name]
            case "restore" if "--schema" in words:
                self.contents.create_anew(self.local[name].tables, flags["tables"].split(","))
            case "restore":
                mapping = flags.get("restore-database-mapping", "")
                self.contents.attach(self.local[name].tables, flags["tables"].split(","), mapping)
            case "delete":
                {"local": self.local, "remote": self.remote}[words[1]].pop(name)
            case _:
                raise Unknown(f"command {words}")


_LOCKED = "another operation is currently running"
