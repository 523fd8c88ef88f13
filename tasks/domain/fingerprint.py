"""Fingerprints: what the rows of a table were when it was frozen, comparable without reading one.

A part's `hash_of_all_files` survives upload, download, attach and a change of its name; a merge
keeps the old part listed (inactive) for minutes. So a table is restored exactly when every frozen
part was seen among its parts, active or not, as often as it was frozen and no more.
"""

from base64 import b64decode, b64encode
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

_NAME_FIELDS = 4


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
    def blocks(self) -> tuple[int, int] | None:
        """Read from the name the first and the last block that the part is made of."""
        # partition, first block, last block, level[, mutation]; partition ids hold no underscore
        fields = self.name.split("_")
        if len(fields) < _NAME_FIELDS or not (fields[1].isdigit() and fields[2].isdigit()):
            return None
        return int(fields[1]), int(fields[2])

    @property
    def of_one_block(self) -> bool:
        """Tell a part that was inserted or attached from one that was merged of several."""
        return self.blocks is not None and self.blocks[0] == self.blocks[1]

    def vanished(self) -> "Part":
        """Say that a later look did not find this part active any more."""
        return replace(self, active=False)


Content = tuple[str, int, str]  # partition id, rows, hash: a part without its name
_HASH_BYTES = 16


class Fingerprint(BaseModel):
    """The multiset of a table's frozen parts, packed: a server may hold millions of them.

    `partitions`: partition id -> rows of its parts, separated by commas, and their hashes in the
    same order, base64. Two equal multisets are packed alike.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    partitions: dict[str, tuple[str, str]]
    size_bytes: int = 0

    @classmethod
    def of(cls, parts: Iterable[Part]) -> "Fingerprint":
        """Pack parts. ValueError where a hash is not one."""
        found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        size_bytes = 0
        for part in parts:
            found[part.partition_id].append((part.rows, _digest(part.hash)))
            size_bytes += part.size_bytes
        packed = {partition: _packed(sorted(found[partition])) for partition in sorted(found)}
        return cls(partitions=packed, size_bytes=size_bytes)

    @property
    def contents(self) -> Iterator[Content]:
        """Unpack: one content for each frozen part."""
        for partition, (rows, hashes) in self.partitions.items():
            raw = b64decode(hashes)
            for number, count in enumerate(rows.split(",")):
                start = number * _HASH_BYTES
                yield partition, int(count), raw[start : start + _HASH_BYTES].hex()

    @property
    def count(self) -> int:
        """How many parts were frozen."""
        return sum(rows.count(",") + 1 for rows, _ in self.partitions.values())

    @property
    def rows(self) -> int:
        return sum(int(count) for rows, _ in self.partitions.values() for count in rows.split(","))

    def of_partitions(self, ids: Collection[str]) -> "Fingerprint":
        """Keep some partitions; their size is reckoned by their rows."""
        kept = {
            partition: packed for partition, packed in self.partitions.items() if partition in ids
        }
        some = Fingerprint(partitions=kept)
        share = some.rows / self.rows if self.rows else 0
        return some.model_copy(update={"size_bytes": round(self.size_bytes * share)})

    def _surplus(self, seen: tuple[Part, ...]) -> list[Part]:
        """Find active parts of partitions that hold more rows than were frozen."""
        frozen, active = Counter[str](), Counter[str]()
        for partition, rows, _ in self.contents:
            frozen[partition] += rows
        for part in seen:
            active[part.partition_id] += part.rows if part.active else 0
        full = {partition for partition, rows in active.items() if rows > frozen[partition]}
        return [part for part in seen if part.active and part.partition_id in full]

    def found_among(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Find active parts that are of this fingerprint."""
        wanted = set(self.contents)
        return tuple(part for part in parts if part.active and content_of(part) in wanted)

    def lacks(self, parts: Iterable[Part]) -> bool:
        """Tell whether rows stand in an active part that was not frozen."""
        wanted = set(self.contents)
        return any(part.active and content_of(part) not in wanted for part in parts)

    def foreign_among(self, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Find parts with rows of somebody else: inserted, or merged into more than was frozen."""
        seen = tuple(parts)
        wanted = Counter(self.contents)
        found = self._surplus(seen)
        for part in seen:
            content = content_of(part)
            if wanted[content] > 0:
                wanted[content] -= 1
            elif part.of_one_block:
                found.append(part)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a restored table holds against its fingerprint."""

    verdict: Verdict
    missing_parts: int = 0
    doubled_parts: int = 0
    foreign_rows: int = 0  # in active parts that are not of the backup: writers, merges, damage

    @property
    def sentence(self) -> str:
        if self.verdict is Verdict.PASSED:
            return "every part of the backup is there, once"
        if self.verdict is Verdict.UNKNOWN:
            return "could not tell: parts merged away before they were seen"
        told = f"{self.missing_parts} parts missing, {self.doubled_parts} parts attached twice"
        return f"{told}, {self.foreign_rows} rows in other parts" if self.foreign_rows else told


def compare(expected: Fingerprint, seen: Iterable[Part], *, left_alone: bool = False) -> Comparison:
    """Compare a fingerprint with every part seen in the table since it was recreated empty.

    `seen` holds each part once, by name, whether it is still active or not. `left_alone`: nobody
    inserted and nothing was merged meanwhile, so that a part that was not frozen is damage.
    """
    parts = {part.name: part for part in seen}.values()
    wanted = Counter(expected.contents)
    found = Counter(map(content_of, parts))
    missing = sum((wanted - found).values())
    doubled = sum((Counter({k: n for k, n in found.items() if k in wanted}) - wanted).values())
    strange = [part for part in parts if part.active and content_of(part) not in wanted]
    wrong = bool(doubled or (left_alone and (missing or strange)))
    return Comparison(
        verdict=Verdict.FAILED if wrong else _verdict(missing=missing, strange=bool(strange)),
        missing_parts=missing,
        doubled_parts=doubled,
        foreign_rows=sum(part.rows for part in strange),
    )


def _verdict(*, missing: int, strange: bool) -> Verdict:
    if not missing:
        return Verdict.PASSED
    # an active part that was not frozen may be a merge of frozen ones, purged before they were seen
    return Verdict.UNKNOWN if strange else Verdict.FAILED


def content_of(part: Part) -> Content:
    return part.partition_id, part.rows, part.hash


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != _HASH_BYTES:
        message = f"{text!r} is not the hash of a part"
        raise ValueError(message)
    return digest


def _packed(parts: Iterable[tuple[int, bytes]]) -> tuple[str, str]:
    rows, hashes = zip(*parts, strict=True)
    return ",".join(map(str, rows)), b64encode(b"".join(hashes)).decode()
