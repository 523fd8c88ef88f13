"""What a test can turn while the double runs: a JSON file, read anew at every step.

A step is named after the command and what is about to happen, for example `upload.metadata`.
"""

import asyncio
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from deployments.sandbox.double.errors import CommandFailed

_LOOK_AGAIN_SECONDS = 0.05
_KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Values a test writes; every one of them has the harmless default.

    `pause` holds a step as long as the file names it; `die` ends the process there, once;
    `fail` ends the command there with a text; `seconds` makes a step last longer;
    `kills_in_name_only` makes it a sidecar before 2.8.1, and of that version.
    """

    pause: tuple[str, ...] = ()
    die: tuple[str, ...] = ()
    fail: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    partial_listing: bool = False
    remote_away: bool = False
    clock_offset_seconds: int = 0
    kills_in_name_only: bool = False

    @classmethod
    def read(cls, path: Path | None) -> Self:
        if path is None or not path.exists():
            return cls()
        found = json.loads(path.read_text())
        pause, die = tuple(found.pop("pause", ())), tuple(found.pop("die", ()))
        return cls(pause=pause, die=die, **found)

    def write(self, path: Path) -> None:
        draft = path.with_name(f"{path.name}.draft")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(path)


@dataclass(frozen=True, slots=True)
class Steps:
    """Asked before each step of a command; does nothing unless a test wants otherwise."""

    path: Path | None

    def knobs(self) -> Knobs:
        return Knobs.read(self.path)

    async def before(self, step: str) -> None:
        knobs = self.knobs()
        self._die(step, knobs)
        await asyncio.sleep(knobs.seconds.get(step, 0.0))
        while step in self.knobs().pause:  # noqa: ASYNC110 - a file tells no events
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        if step in knobs.fail:
            raise CommandFailed(knobs.fail[step])

    def _die(self, step: str, knobs: Knobs) -> None:
        if step not in knobs.die or self.path is None:
            return
        left = tuple(other for other in knobs.die if other != step)
        values = asdict(knobs) | {"die": left}
        Knobs(**values).write(self.path)
        os._exit(_KILLED)
