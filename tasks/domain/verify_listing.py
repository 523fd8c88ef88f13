"""The first look of a verification: what every replica lists, held against the manifest.

A listing proves presence only; where it shows nothing remote it proves nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from tasks.domain.errors import BackupNotFound, BackupUnusable
from tasks.domain.fingerprint import Verdict
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, ReplicaRecord
from tasks.domain.names import manifest_name
from tasks.domain.trials import Trial, holders_of
from tasks.domain.verification import verdict_on
from tasks.domain.verify_outcome import Finding
from tasks.domain.verify_request import VerifyLevel

_LISTING = VerifyLevel.LISTING


def sources_of(backup: str, observed: Observation) -> tuple[str, ...]:
    """Name the replicas that list the manifest. Raises BackupNotFound where nobody lists anything.

    Not so where somebody does not answer, or lists nothing remote at all.
    """
    name = manifest_name(backup)
    having = [seen for seen in observed.inspections if seen.listing.holds(name, location="remote")]
    known = any(seen.listing.has(backup) for seen in observed.inspections)
    doubtful = [seen for seen in observed.inspections if not seen.listing.remote_rows]
    if not (having or known or doubtful or observed.unreachable):
        raise BackupNotFound(f"no shard lists a backup named {backup}")
    return tuple(seen.replica for seen in having)


def no_manifest(observed: Observation) -> Finding:
    """Say that nobody who answers knows what the backup should hold, and why that may be."""
    silent = [f"{replica}: {why}" for replica, why in observed.unreachable.items()]
    silent += [
        f"{seen.replica} lists nothing remote"
        for seen in observed.inspections
        if not seen.listing.remote_rows
    ]
    why = "; ".join(silent) or "it was never completed, or another tool made it"
    return Finding(
        shard="",
        replica="",
        level=_LISTING,
        verdict=Verdict.UNKNOWN,
        message=f"could not tell: no replica shows its manifest: {why}",
    )


def unreadable_manifest(
    shard: str, replica: str, error: BackupUnusable, *, still_listed: bool
) -> Finding:
    """Judge a manifest that could not be read: where it is not listed any more, all may be away."""
    return Finding(
        shard=shard,
        replica=replica,
        level=_LISTING,
        verdict=verdict_on(error) if still_listed else Verdict.UNKNOWN,
        message=str(error),
    )


def readers_of(sources: Iterable[str], observed: Observation) -> tuple[str, ...]:
    """Choose who reads the manifest: on each shard one replica that lists it, an idle one first."""
    ready = sorted(sources, key=lambda name: observed.of(name).busy_with is not None)
    chosen: dict[str, str] = {}
    for replica in ready:
        chosen.setdefault(observed.of(replica).shard, replica)
    return tuple(sorted(chosen.values()))


def readers_left(
    manifest: Manifest, sources: Iterable[str], read: Collection[str], observed: Observation
) -> tuple[str, ...]:
    """Choose who else reads it: replicas of shards whose replicas stored a copy each."""
    stores = Counter(record.shard for record in manifest.replicas if record.tables)
    return tuple(
        replica
        for replica in sources
        if replica not in read and stores[observed.of(replica).shard] > 1
    )


def differing(read: Mapping[str, Manifest], observed: Observation) -> tuple[Finding, ...]:
    """Fail each copy of the manifest that is not what the first one is: all were written alike."""
    first = next(iter(read), "")
    return tuple(
        Finding(
            shard=observed.of(replica).shard,
            replica=replica,
            level=_LISTING,
            verdict=Verdict.FAILED,
            message=(
                f"the manifest of {copy.backup_name} differs from the one that {first} reads "
                f"(operations {copy.operation_id} and {read[first].operation_id})"
            ),
        )
        for replica, copy in read.items()
        if copy != read[first]
    )


def listing_findings(manifest: Manifest, observed: Observation) -> tuple[Finding, ...]:
    """Hold what every replica lists against the manifest."""
    seen = {inspection.replica: inspection for inspection in observed.inspections}
    return tuple(
        finding
        for record in manifest.replicas
        for finding in _listed(record, manifest, seen.get(record.replica), observed)
    )


def steady(first: tuple[Finding, ...], second: Iterable[Finding]) -> tuple[Finding, ...]:
    """Fail only what two looks show alike: a listing may lack for a moment what is there."""
    again = set(second)
    return tuple(
        found
        if found.verdict is not Verdict.FAILED or found in again
        else found.model_copy(
            update={
                "verdict": Verdict.UNKNOWN,
                "message": f"could not tell: two looks differ, the first one: {found.message}",
            }
        )
        for found in first
    )


def _listed(
    record: ReplicaRecord,
    manifest: Manifest,
    holder: Inspection | None,
    observed: Observation,
) -> Iterator[Finding]:
    """Judge one copy by the listing of who stored it, or of a sibling that lists it too."""
    others = holders_of(record, manifest, observed)
    lists = (seen for seen in others if seen.listing.has(manifest.backup_name))
    seen = holder or next(lists, None)
    if seen is None:
        why = observed.unreachable.get(record.replica, "it is not of this cluster")
        trial = Trial(record=record, replica=record.replica)
        yield trial.finding(_LISTING, Verdict.UNKNOWN, f"could not tell: {why}")
        return
    trial = Trial(record=record, replica=seen.replica)
    names = [manifest.backup_name] if record.tables else []
    for name in (*names, manifest_name(manifest.backup_name)):
        verdict, message = _presence(seen, name)
        if verdict is Verdict.PASSED and name == manifest.backup_name:
            verdict, message = _truth(seen, record, name)
        yield trial.finding(_LISTING, verdict, message)


def _presence(seen: Inspection, name: str) -> tuple[Verdict, str]:
    if not seen.listing.remote_rows:
        return Verdict.UNKNOWN, "could not tell: it lists nothing remote, which proves nothing"
    gap = seen.listing.gap(name)
    if gap:
        return Verdict.FAILED, f"{name} cannot be restored: {gap}"
    return Verdict.PASSED, f"{name} is listed whole"


def _truth(seen: Inspection, record: ReplicaRecord, name: str) -> tuple[Verdict, str]:
    """Hold size and base against the manifest; a chain may have been made shorter since."""
    row = seen.listing.chain(name)[0]
    if row.size_bytes <= 0:
        return Verdict.FAILED, f"{name} is listed without a size"
    if row.required not in {"", record.base}:
        return Verdict.FAILED, (
            f"{name} needs {row.required}, while its manifest names {record.base or 'no base'}"
        )
    # an increment of which nothing had to be sent is listed with the size of what was frozen
    if not record.base and row.size_bytes != record.size_bytes:
        return Verdict.UNKNOWN, (
            f"could not tell: {name} is listed with {row.size_bytes} bytes, and had "
            f"{record.size_bytes} when it was made"
        )
    return Verdict.PASSED, f"{name} is listed whole, {row.size_bytes} bytes"
