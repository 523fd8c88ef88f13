"""The catalogue is merged from what every replica lists and knows.

A listing proves presence only: what is not seen on a replica that does not answer, or that lists
no remote row at all, is unknown and never absent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tasks.domain.catalogue import Backup, Catalogue, Copy, State
from tasks.domain.listing import Listed
from tasks.domain.look import Look
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import backup_of, is_companion, manifest_name
from tasks.domain.proofs import Proof
from tasks.domain.suspicion import suspects
from tasks.domain.topology import Topology

Looks = tuple[Look, ...]


def catalogue_of(
    topology: Topology, looks: Iterable[Look], *, unreadable: Mapping[str, str] = {}
) -> Catalogue:
    """Merge what every replica says. `unreadable`: manifests that cannot be read, and why."""
    seen = tuple(looks)
    names = sorted({name for look in seen for name in _names(look)})
    backups = [_merged(name, topology, seen) for name in names]
    backups.sort(key=lambda backup: (backup.at, backup.name))
    points = [b.manifest for b in backups if b.is_point and b.ours and b.manifest is not None]
    shards = {shard.name for shard in topology.shards}
    why, children = suspects(points, shards=shards), _children(backups)
    return Catalogue(
        backups=tuple(
            replace(
                backup,
                suspect=why.get(backup.name, ""),
                unreadable=unreadable.get(backup.name, ""),
                children=frozenset(children[backup.name]),
            )
            for backup in backups
        ),
        troubles={look.replica: look.doubt for look in seen if look.doubt},
        idle=_idle(seen),
    )


def _children(backups: Iterable[Backup]) -> dict[str, set[str]]:
    """Tell for each backup which others need it."""
    found: dict[str, set[str]] = defaultdict(set)
    for backup in backups:
        for bases in backup.bases.values():
            for base in bases:
                found[base].add(backup.name)
    return found


def _idle(looks: Looks) -> frozenset[str]:
    """Name the replicas that list nothing where another one of their shard does."""
    used = {look.shard for look in looks if look.listing and look.listing.remote_rows}
    return frozenset(look.replica for look in looks if look.is_empty and look.shard in used)


def _names(look: Look) -> set[str]:
    listed = {row.name for row in look.listing.remote_rows} if look.listing else set()
    own = {name for name in listed if not is_companion(name)}
    return own | {backup for name in listed if (backup := backup_of(name)) is not None}


def _merged(name: str, topology: Topology, looks: Looks) -> Backup:
    copies = tuple(_copy(look, row) for look in looks if (row := look.remote(name)) is not None)
    summaries = [s for look in looks if (s := look.summary(name)) is not None]
    differ = len({summary.operation_id for summary in summaries}) > 1
    manifest = summaries[0] if summaries and not differ else None
    missing = _missing(manifest, topology, copies, looks)
    lacking = tuple(shard for shard, doubt in missing.items() if not doubt)
    state, why = _state(name, copies, missing, looks, differ=differ)
    companion = manifest_name(name)
    marked = {look.replica: row for look in looks if (row := look.remote(companion)) is not None}
    return Backup(
        name=name,
        state=state,
        why=why,
        copies=copies,
        lacking=lacking,
        manifest=manifest,
        ours=manifest is not None and _is_of(manifest, topology),
        listed_on=tuple(replica for replica, row in marked.items() if not row.broken),
        marked_on=tuple(marked),
        proofs=_proofs(name, manifest, looks),
    )


def _is_of(manifest: ManifestSummary, topology: Topology) -> bool:
    ours = (topology.installation, topology.cluster)
    return (manifest.installation, manifest.cluster) == ours


def _state(
    name: str, copies: tuple[Copy, ...], missing: Mapping[str, str], looks: Looks, *, differ: bool
) -> tuple[State, str]:
    """Judge by the worst that is sure, then by what is in doubt."""
    broken = next((copy for copy in copies if copy.broken), None)
    if broken is not None:
        return State.BROKEN, f"{broken.replica} lists it as {broken.broken}"
    if differ:
        return State.BROKEN, "its copies of the manifest are of different backups"
    gaps = [(look, gap) for look in looks if look.remote(name) and (gap := look.gap(name))]
    for look, gap in gaps:
        if not look.doubt:
            return State.BROKEN, f"on {look.replica} it cannot be read to its end: {gap}"
    lacking = [shard for shard, doubt in missing.items() if not doubt]
    if lacking:
        return State.INCOMPLETE, f"missing on shard {', '.join(lacking)}"
    doubts = [doubt for doubt in missing.values() if doubt]
    doubts += [f"{gap}; {look.doubt}" for look, gap in gaps]
    return (State.UNKNOWN, doubts[0]) if doubts else (State.COMPLETE, "")


def _copy(look: Look, row: Listed) -> Copy:
    return Copy(
        shard=look.shard,
        replica=look.replica,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        base=row.required,
        broken=(row.desc or "broken") if row.broken else "",
    )


def _missing(
    manifest: ManifestSummary | None, topology: Topology, copies: tuple[Copy, ...], looks: Looks
) -> dict[str, str]:
    """Tell which shards show too little: why that is in doubt; empty where nothing speaks for it.

    A copy that is listed as broken is there.
    """
    found = {
        shard: _doubt(shard, holders, copies, looks)
        for shard, holders in _expected(manifest, topology).items()
    }
    return {shard: doubt for shard, doubt in found.items() if doubt is not None}


def _expected(manifest: ManifestSummary | None, topology: Topology) -> dict[str, list[str]]:
    """Name for every shard that must have a copy the replicas that stored it, where known."""
    if manifest is None:
        return {shard.name: [] for shard in topology.shards}
    expected: dict[str, list[str]] = defaultdict(list)
    for stored in manifest.replicas:
        if stored.tables:  # a replica without tables has nothing to upload
            expected[stored.shard].append(stored.replica)
    return expected


def _doubt(shard: str, holders: list[str], copies: tuple[Copy, ...], looks: Looks) -> str | None:
    """Tell what is missing of one shard: None for nothing, else why that is in doubt, if it is."""
    listing = {copy.replica for copy in copies if copy.shard == shard}
    here = [look for look in looks if look.shard == shard]
    doubtful = {look.replica: look.doubt for look in here if look.doubt}
    answering = {look.replica for look in here} - doubtful.keys()
    unseen = [holder for holder in holders if holder not in listing]
    # of several that stored rows of their own, no other one shows what a silent one has
    silent = [holder for holder in unseen if holder not in answering]
    if listing and not (unseen if len(holders) > 1 else set(unseen) & answering):
        return None
    if not here:
        return f"shard {shard} is not of this cluster"
    if listing and silent and len(silent) == len(unseen):
        return doubtful.get(silent[0], f"{silent[0]} is not of this cluster")
    return next(iter(doubtful.values()), "")


def _proofs(name: str, manifest: ManifestSummary | None, looks: Looks) -> tuple[Proof, ...]:
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
