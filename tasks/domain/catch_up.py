"""Catching up: whether a replica has every part that the replica which attached them has.

Parts of one Replicated table have the same names on all its replicas. A part may reach a replica
merged into another one: then that one must be known, alike, to both.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.domain.fingerprint import Part, Verdict
from tasks.domain.replication import Replication


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """How far one table of one replica came."""

    table: str
    source: str
    missing: tuple[Part, ...]
    state: Replication | None = None  # as the replica itself shows it

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def verdict(self) -> Verdict:
        return Verdict.PASSED if self.complete else Verdict.UNKNOWN

    @property
    def sentence(self) -> str:
        if self.complete:
            return f"has every part that {self.source} has"
        rows = sum(part.rows for part in self.missing)
        told = f"could not tell: {len(self.missing)} parts ({rows} rows) of {self.source} were not"
        why = f" ({self.state.backlog})" if self.state else ", and it does not replicate"
        return f"{told} seen here in time{why}"


def not_seen(wanted: Iterable[Part], *, here: Iterable[Part], there: Iterable[Part]) -> list[Part]:
    """List the `wanted` parts that are neither `here` nor in a merged part known here and there."""
    held = set(map(_content, here))
    merged: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for part in there:
        if _content(part) in held and (blocks := part.blocks):
            merged[part.partition_id].append(blocks)
    return [
        part
        for part in wanted
        if _content(part) not in held and not _is_covered(part, merged[part.partition_id])
    ]


def _content(part: Part) -> tuple[str, int, str]:
    return (part.name, part.rows, part.hash)


def _is_covered(part: Part, merged: Iterable[tuple[int, int]]) -> bool:
    blocks = part.blocks
    return blocks is not None and any(
        first <= blocks[0] and blocks[1] <= last for first, last in merged
    )
