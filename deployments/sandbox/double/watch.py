"""`watch`: a full backup now, an increment at every interval, for as long as nobody kills it.

Unlike the real one it does not go on from what an earlier watch left in the bucket.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from deployments.sandbox.double.errors import CommandFailed, InvalidSettings
from deployments.sandbox.double.settings import seconds_of

_WITH_VALUE = (
    "watch-interval",
    "full-interval",
    "watch-backup-name-template",
    "schedule",
    "tables",
    "partitions",
)
_SWITCHES = ("schema", "rbac", "configs", "named-collections", "skip-check-parts-columns")
_PASSED_ON = ("tables", "partitions")
_TEMPLATE = "shard{shard}-{type}-{time:20060102150405}"
_TIME_PIECES = {"2006": "%Y", "01": "%m", "02": "%d", "15": "%H", "04": "%M", "05": "%S"}


@dataclass(frozen=True, slots=True)
class Watch:
    values: Mapping[str, str]
    switches: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        values: dict[str, str] = {}
        switches: list[str] = []
        for position, word in enumerate(words):
            name, equals, value = word.removeprefix("--").partition("=")
            if name in _WITH_VALUE:
                following = words[position + 1 : position + 2]
                values[name] = value if equals else "".join(following)
            elif name in _SWITCHES:
                switches.append(name)
        return cls(values, tuple(switches))

    @property
    def line(self) -> str:
        """What its row says: the flags that it knows, written anew."""
        values = [f'--{name}="{value}"' for name, value in self.values.items()]
        return " ".join(["watch", *values, *(f"--{name}" for name in self.switches)])

    @property
    def interval_seconds(self) -> float:
        return self._seconds("watch-interval", "1h")

    @property
    def full_interval_seconds(self) -> float:
        return self._seconds("full-interval", "24h")

    def _seconds(self, name: str, default: str) -> float:
        try:
            return seconds_of(name, self.values.get(name, default))
        except InvalidSettings as error:
            raise CommandFailed(f"Watch ValidateWatchParams: {error}") from error

    def name(self, kind: str, macros: Mapping[str, str]) -> str:
        template = self.values.get("watch-backup-name-template", _TEMPLATE)
        for macro, value in {**macros, "type": kind}.items():
            template = template.replace("{" + macro + "}", value)
        return re.sub(r"\{time:([^}]+)\}", _formatted_now, template)

    def create_remote(self, name: str, base: str) -> tuple[str, ...]:
        return ("create_remote", *self._passed_on(), *_base_flag(base), name)

    def _passed_on(self) -> Iterator[str]:
        for name in _PASSED_ON:
            if name in self.values:
                yield f"--{name}={self.values[name]}"
        yield from (f"--{name}" for name in self.switches)


def too_many_errors(watch: Watch) -> CommandFailed:
    interval = watch.values.get("full-interval", "24h")
    return CommandFailed(
        "too many errors create_remote: 1, delete local: 0, during watch full_interval:"
        f" {interval}, abort watching"
    )


def _base_flag(base: str) -> tuple[str, ...]:
    return (f"--diff-from-remote={base}",) if base else ()


def _formatted_now(layout: re.Match[str]) -> str:
    pieces = re.sub("|".join(_TIME_PIECES), lambda piece: _TIME_PIECES[piece[0]], layout[1])
    return time.strftime(pieces)
