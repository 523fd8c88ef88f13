"""The catalogue: which backups exist, and what each is worth."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.proofs import Proof, standing_proof
from tasks.domain.requests import Scope


class State(StrEnum):
    """What a name stands for."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One backup as one replica lists it. `base`: the backup that it needs; empty for a full one.

    `broken`: the sidecar's word for what is wrong with it; empty for a whole one.
    """

    shard: str
    replica: str
    size_bytes: int
    created_at: int
    base: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One name and what is known of it. `ours`: its manifest says that it is of this cluster.

    `copies` may show one copy of a shard several times.

    `why`: what makes it less than complete. `listed_on`: replicas that list its manifest whole,
    `marked_on`: in any state; `unreadable`: why it cannot be read. `children`: backups that need
    this one.
    """

    name: str
    state: State
    why: str
    copies: tuple[Copy, ...]
    lacking: tuple[str, ...] = ()
    manifest: ManifestSummary | None = None
    ours: bool = False
    unreadable: str = ""
    listed_on: tuple[str, ...] = ()
    marked_on: tuple[str, ...] = ()
    suspect: str = ""
    proofs: tuple[Proof, ...] = ()
    children: frozenset[str] = frozenset()

    @property
    def is_point(self) -> bool:
        """Tell whether it is a recovery point: complete, with its manifest."""
        return self.state is State.COMPLETE and self.manifest is not None

    @property
    def counts(self) -> bool:
        """Tell whether it is a point of this cluster that surely keeps all.

        One that was adopted does not: nobody knows what its rows were.
        """
        found = self.manifest
        keeps_all = found is not None and found.scope is Scope.FULL and not found.adopted
        return self.is_point and self.ours and keeps_all and not self.suspect

    @property
    def at(self) -> datetime:
        """When its last shard was frozen; without a manifest when its last copy was made."""
        if self.manifest is not None:
            return self.manifest.frozen_at
        return datetime.fromtimestamp(max((c.created_at for c in self.copies), default=0), UTC)

    @property
    def size_bytes(self) -> int:
        return sum(copy.size_bytes for copy in self.stored)

    @property
    def stored(self) -> tuple[Copy, ...]:
        """The copies without those that several replicas of a shard list of one shared path."""
        return tuple({(c.shard, c.created_at, c.size_bytes): c for c in self.copies}.values())

    @property
    def bases(self) -> Mapping[str, frozenset[str]]:
        """What each shard's copies need."""
        found: dict[str, set[str]] = defaultdict(set)
        for copy in self.copies:
            if copy.base:
                found[copy.shard].add(copy.base)
        return {shard: frozenset(names) for shard, names in found.items()}

    @property
    def proof(self) -> Proof | None:
        """Give what to go by: a failure until a try that goes as far passes."""
        return standing_proof(self.proofs)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All backups, the oldest first. `troubles`: why a replica said nothing, by its name.

    `idle`: those of them that answer and list nothing remote, beside a sibling that does.
    """

    backups: tuple[Backup, ...]
    troubles: Mapping[str, str] = field(default_factory=dict)
    idle: frozenset[str] = frozenset()

    def find(self, name: str) -> Backup | None:
        return next((backup for backup in self.backups if backup.name == name), None)

    @property
    def points(self) -> tuple[Backup, ...]:
        return tuple(backup for backup in self.backups if backup.is_point)

    @property
    def unread(self) -> tuple[Backup, ...]:
        """Backups whose manifest is listed, and neither known nor known to be unreadable."""
        waiting = (b for b in self.backups if b.manifest is None and not b.unreadable)
        return tuple(b for b in waiting if b.listed_on and b.copies)
