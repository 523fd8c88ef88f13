"""One stand-in: a server with its sidecar, and the register of the statements that it knows.

A statement that is not registered is refused: nothing is ever answered by guessing.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.standin.contents import Contents
from tests.benchmarks.standin.native import Columns, encoded
from tests.benchmarks.standin.sidecar import Refused, Sidecar, Unknown
from tests.benchmarks.standin.web import Reply, Request

Rows = list[dict[str, Any]]
Entry = dict[str, Any]
SUBMIT = "INSERT INTO system.backup_actions"
_NOT_IMPLEMENTED = 48


@dataclass(slots=True)
class Shard:
    """One server with its sidecar. `learned`: answers that a real node gave, word for word."""

    macros: Mapping[str, str]
    contents: Contents
    sidecar: Sidecar
    learned: Mapping[str, bytes]
    journal: list[Entry] = field(default_factory=list)
    lock_rows: dict[str, Rows] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: Request) -> Reply:
        statement = " ".join(request.statement.removesuffix("FORMAT Native").split())
        told = re.sub(r"chops_scratch_[0-9a-f]{8}", "chops_scratch_X", statement)
        self.asked[re.sub(r"\d+", "N", told[:100])] += 1
        if statement in self.learned:
            return Reply(self.learned[statement])
        try:
            return Reply(await self._known(statement, request))
        except Refused as error:
            return _refusal(str(error), error.code)
        except Unknown as error:
            return _refusal(f"the stand-in was never taught {error}", _NOT_IMPLEMENTED)

    async def _known(self, statement: str, request: Request) -> bytes:
        for pattern, columns, act in KNOWN:
            found = pattern.fullmatch(statement)
            if found is None:
                continue
            rows = act(self, found, request)
            if statement.startswith("CHECK"):
                return "\n".join(map(json.dumps, rows or [])).encode()
            if columns:
                return encoded(columns, rows or [])
            if statement.startswith(SUBMIT):
                await self.sidecar.take(request.parameters["cmd"])
            return b""
        raise Unknown(statement)


def _refusal(text: str, code: int) -> Reply:
    return Reply(f"Code: {code}. DB::Exception: {text}".encode(), code)


Act = Callable[[Shard, re.Match[str], Request], Rows | None]
KNOWN: list[tuple[re.Pattern[str], Columns, Act]] = []


def knows(statement: str, columns: Columns | None = None, **holes: str) -> Callable[[Act], Act]:
    """Register an answer; `holes`: names in angle brackets that stand for a pattern."""
    pattern = re.escape(" ".join(statement.split()))
    for name, meant in holes.items():
        pattern = pattern.replace(re.escape(f"<{name}>"), meant)

    def registered(act: Act) -> Act:
        KNOWN.append((re.compile(pattern, re.DOTALL), columns or {}, act))
        return act

    return registered
