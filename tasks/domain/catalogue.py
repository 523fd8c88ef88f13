"""The catalogue: which backups exist, merged from what every replica lists, and what each is worth.

A listing proves presence only: what is not seen on a replica that does not answer, or that lists
no remote row at all, is unknown and never absent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from tasks.domain.listing import Listed
from tasks.domain.look import Look
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import backup_of, is_companion, manifest_name
from tasks.domain.proofs import Proof
from tasks.domain.requests import Scope
from tasks.domain.suspicion import suspects
from tasks.domain.topology import Topology


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

    `why`: what makes it less than complete. `listed_on`: replicas that list its manifest;
    `unreadable`: why it cannot be read. `children`: backups that need this one.
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
    suspect: str = ""
    proofs: tuple[Proof, ...] = ()
    children: frozenset[str] = frozenset()

    @property
    def is_point(self) -> bool:
        """Tell whether it is a recovery point: complete, with its manifest."""
        return self.state is State.COMPLETE and self.manifest is not None

    @property
    def counts(self) -> bool:
        """Tell whether it is a point that keeps all: what retention and `latest` go by."""
        full = self.manifest is not None and self.manifest.scope is Scope.FULL
        return self.is_point and self.ours and full and not self.suspect

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
    def last_proof(self) -> Proof | None:
        return max(self.proofs, key=lambda proof: proof.at, default=None)


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


def catalogue_of(
    topology: Topology, looks: Iterable[Look], *, unreadable: Mapping[str, str] = {}
) -> Catalogue:
    """Merge what every replica says. `unreadable`: manifests that cannot be read, and why."""
    seen = tuple(looks)
    names = sorted({name for look in seen for name in _names(look)})
    alone = {name: _alone(name, topology, seen) for name in names}
    backups = [_in_its_chain(backup, alone, seen) for backup in alone.values()]
    backups.sort(key=lambda backup: (backup.at, backup.name))
    points = [b.manifest for b in backups if b.is_point and b.ours and b.manifest is not None]
    why = suspects(points)
    return Catalogue(
        backups=tuple(
            replace(b, suspect=why.get(b.name, ""), unreadable=unreadable.get(b.name, ""))
            for b in backups
        ),
        troubles={look.replica: look.doubt for look in seen if look.doubt},
        idle=_idle(seen),
    )


def _idle(looks: tuple[Look, ...]) -> frozenset[str]:
    """Name the replicas that list nothing where another one of their shard does."""
    used = {look.shard for look in looks if look.listing and look.listing.remote_rows}
    return frozenset(look.replica for look in looks if look.is_empty and look.shard in used)


def _is_of(manifest: ManifestSummary, topology: Topology) -> bool:
    ours = (topology.installation, topology.cluster)
    return (manifest.installation, manifest.cluster) == ours


def _names(look: Look) -> set[str]:
    listed = {row.name for row in look.listing.remote_rows} if look.listing else set()
    own = {name for name in listed if not is_companion(name)}
    return own | {backup for name in listed if (backup := backup_of(name)) is not None}


def _alone(name: str, topology: Topology, looks: tuple[Look, ...]) -> Backup:
    """Judge one backup apart from the backups that it needs."""
    copies = tuple(_copy(look, row) for look in looks if (row := look.remote(name)) is not None)
    summaries = [s for look in looks if (s := look.summary(name)) is not None]
    differ = len({summary.operation_id for summary in summaries}) > 1
    manifest = summaries[0] if summaries and not differ else None
    broken = [copy for copy in copies if copy.broken]
    expected = _expected(manifest, topology)
    doubts = {shard: _doubt(shard, holders, copies, looks) for shard, holders in expected.items()}
    missing = {shard: doubt for shard, doubt in doubts.items() if doubt is not None}
    doubtful = [doubt for doubt in missing.values() if doubt]
    lacking = tuple(shard for shard, doubt in missing.items() if not doubt)
    if broken:
        state, why = State.BROKEN, f"{broken[0].replica} lists it as {broken[0].broken}"
    elif differ:
        state, why = State.BROKEN, "its copies of the manifest are of different backups"
    elif lacking:
        state, why = State.INCOMPLETE, f"missing on shard {', '.join(lacking)}"
    elif doubtful:
        state, why = State.UNKNOWN, doubtful[0]
    else:
        state, why = State.COMPLETE, ""
    companion = manifest_name(name)
    listed = [(look, row) for look in looks if (row := look.remote(companion)) is not None]
    return Backup(
        name=name,
        state=state,
        why=why,
        copies=copies,
        lacking=lacking,
        manifest=manifest,
        ours=manifest is not None and _is_of(manifest, topology),
        listed_on=tuple(look.replica for look, row in listed if not row.broken),
        proofs=_proofs(name, manifest, looks),
    )


def _copy(look: Look, row: Listed) -> Copy:
    return Copy(
        shard=look.shard,
        replica=look.replica,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        base=row.required,
        broken=(row.desc or "broken") if row.broken else "",
    )


def _expected(manifest: ManifestSummary | None, topology: Topology) -> dict[str, list[str]]:
    """Name for every shard that must have a copy the replicas that stored it, where known."""
    if manifest is None:
        return {shard.name: [] for shard in topology.shards}
    expected: dict[str, list[str]] = defaultdict(list)
    for stored in manifest.replicas:
        if stored.tables:  # a replica without tables has nothing to upload
            expected[stored.shard].append(stored.replica)
    return expected


def _doubt(
    shard: str, holders: list[str], copies: tuple[Copy, ...], looks: tuple[Look, ...]
) -> str | None:
    """Tell what is missing of one shard: None for nothing, else why that is in doubt, if it is."""
    whole = {copy.replica for copy in copies if copy.shard == shard and not copy.broken}
    here = [look for look in looks if look.shard == shard]
    answering = {look.replica for look in here if not look.doubt}
    if whole and all(holder in whole or holder not in answering for holder in holders):
        return None
    if not here:
        return f"shard {shard} is not of this cluster"
    return next((look.doubt for look in here if look.doubt), "")


def _in_its_chain(backup: Backup, alone: Mapping[str, Backup], looks: tuple[Look, ...]) -> Backup:
    """Judge a backup together with those that it needs, and name those that need it."""
    children = frozenset(
        other.name for other in alone.values() if backup.name in set().union(*other.bases.values())
    )
    backup = replace(backup, children=children)
    if backup.state is not State.COMPLETE:
        return backup
    for shard, bases in backup.bases.items():
        for base in sorted(bases):
            state, why = _chain_state(shard, base, alone, looks, seen=frozenset({backup.name}))
            if state is not State.COMPLETE:
                return replace(backup, state=state, why=why)
    return backup


def _chain_state(
    shard: str,
    name: str,
    alone: Mapping[str, Backup],
    looks: tuple[Look, ...],
    *,
    seen: frozenset[str],
) -> tuple[State, str]:
    """Follow one shard's chain down to its full backup."""
    here = [copy for copy in alone[name].copies if copy.shard == shard] if name in alone else []
    if not here:
        doubt = next((look.doubt for look in looks if look.shard == shard and look.doubt), "")
        if doubt:
            return State.UNKNOWN, f"it needs {name}: {doubt}"
        return State.BROKEN, f"it needs {name}, which is missing on shard {shard}"
    broken = next((copy for copy in here if copy.broken), None)
    if broken is not None:
        return State.BROKEN, f"it needs {name}, which {broken.replica} lists as {broken.broken}"
    for base in {copy.base for copy in here if copy.base}:
        if base in seen:
            return State.BROKEN, f"its chain on shard {shard} comes back to {base}"
        state, why = _chain_state(shard, base, alone, looks, seen=seen | {name})
        if state is not State.COMPLETE:
            return state, why
    return State.COMPLETE, ""


def _proofs(
    name: str, manifest: ManifestSummary | None, looks: tuple[Look, ...]
) -> tuple[Proof, ...]:
    """Keep the proofs of this very backup, each once, the oldest first."""
    if manifest is None:
        return ()
    own = {
        proof.verification_id: proof
        for look in looks
        for proof in look.proofs
        if (proof.backup_name, proof.backup_operation_id) == (name, manifest.operation_id)
    }
    return tuple(sorted(own.values(), key=lambda proof: proof.at))
