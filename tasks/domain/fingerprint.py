"""Fingerprints: what the rows of a table were when it was frozen, comparable without reading one.

A part's `hash_of_all_files` survives upload, download, attach and a change of its name; a merge
keeps the old part listed (inactive) for minutes. So a table is restored exactly when every frozen
part was seen among its parts, active or not, as often as it was frozen and no more.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """Only PASSED is success."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "could not tell"


@dataclass(frozen=True, slots=True)
class Part:
    """One row of system.parts. `hash` is hash_of_all_files, 32 hexadecimal digits."""

    name: str
    partition_id: str
    rows: int
    size_bytes: int
    hash: str
    active: bool = True

    @property
    def of_one_block(self) -> bool:
        """Tell a part that was inserted or attached from one that was merged of several."""
        # partition_minblock_maxblock_level[_mutation]; partition ids hold no underscore
        fields = self.name.split("_")
        return len(fields) > 3 and fields[1] == fields[2]  # noqa: PLR2004

    def vanished(self) -> "Part":
        """Say that a later look did not find this part active any more."""
        return replace(self, active=False)


class FrozenPart(BaseModel):
    """A frozen part without its name, which a restore changes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    partition_id: str
    rows: int
    hash: str


class Fingerprint(BaseModel):
    """The multiset of a table's frozen parts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    parts: tuple[FrozenPart, ...]
    size_bytes: int = 0

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Fingerprint":
        found = tuple(parts)
        frozen = (FrozenPart(partition_id=p.partition_id, rows=p.rows, hash=p.hash) for p in found)
        return cls(
            parts=tuple(sorted(frozen, key=_order)), size_bytes=sum(p.size_bytes for p in found)
        )

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def _surplus(self, seen: tuple[Part, ...]) -> list[Part]:
        """Find active parts of partitions that hold more rows than were frozen."""
        frozen, active = Counter[str](), Counter[str]()
        for kept in self.parts:
            frozen[kept.partition_id] += kept.rows
        for part in seen:
            active[part.partition_id] += part.rows if part.active else 0
        full = {partition for partition, rows in active.items() if rows > frozen[partition]}
        return [part for part in seen if part.active and part.partition_id in full]

    def found_among(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Find active parts that are of this fingerprint."""
        wanted = set(self.parts)
        return tuple(
            part
            for part in parts
            if part.active
            and FrozenPart(partition_id=part.partition_id, rows=part.rows, hash=part.hash) in wanted
        )

    def foreign_among(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Find parts with rows of somebody else: inserted, or merged into more than was frozen."""
        seen = tuple(parts)
        wanted = Counter(self.parts)
        found = self._surplus(seen)
        for part in seen:
            frozen = FrozenPart(partition_id=part.partition_id, rows=part.rows, hash=part.hash)
            if wanted[frozen] > 0:
                wanted[frozen] -= 1
            elif part.of_one_block:
                found.append(part)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a restored table holds against its fingerprint."""

    verdict: Verdict
    missing_parts: int = 0
    doubled_parts: int = 0
    foreign_rows: int = 0  # in active parts that are not of the backup: writers, or merges

    @property
    def sentence(self) -> str:
        if self.verdict is Verdict.PASSED:
            return "every part of the backup is there, once"
        if self.verdict is Verdict.UNKNOWN:
            return "could not tell: parts merged away before they were seen"
        return f"{self.missing_parts} parts missing, {self.doubled_parts} parts attached twice"


def compare(expected: Fingerprint, seen: Iterable[Part]) -> Comparison:
    """Compare a fingerprint with every part seen in the table since it was recreated empty.

    `seen` holds each part once, by name, whether it is still active or not.
    """
    parts = {part.name: part for part in seen}.values()
    wanted = Counter(expected.parts)
    found = Counter(
        FrozenPart(partition_id=p.partition_id, rows=p.rows, hash=p.hash) for p in parts
    )
    missing = sum((wanted - found).values())
    doubled = sum((Counter({k: n for k, n in found.items() if k in wanted}) - wanted).values())
    foreign = sum(
        p.rows
        for p in parts
        if p.active
        and FrozenPart(partition_id=p.partition_id, rows=p.rows, hash=p.hash) not in wanted
    )
    return Comparison(
        verdict=_verdict(expected, parts, missing=missing, doubled=doubled),
        missing_parts=missing,
        doubled_parts=doubled,
        foreign_rows=foreign,
    )


def _verdict(
    expected: Fingerprint, parts: Iterable[Part], *, missing: int, doubled: int
) -> Verdict:
    if doubled:
        return Verdict.FAILED
    if not missing:
        return Verdict.PASSED
    # an active part that was not frozen may be a merge of frozen ones, purged before they were seen
    wanted = set(expected.parts)
    strange = any(
        part.active
        and FrozenPart(partition_id=part.partition_id, rows=part.rows, hash=part.hash) not in wanted
        for part in parts
    )
    return Verdict.UNKNOWN if strange else Verdict.FAILED


def _order(part: FrozenPart) -> tuple[str, int, str]:
    return (part.partition_id, part.rows, part.hash)
