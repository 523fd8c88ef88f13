"""Look at what every replica lists and knows of backups, and read the manifests not known yet."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from prefect import get_run_logger
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.clickhouse.client import Cluster, Server
from tasks.clickhouse.journal import read_known
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import read_manifest
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.catalogue_merge import catalogue_of
from tasks.domain.errors import BackupError, LockLost
from tasks.domain.journal import Event, Journal
from tasks.domain.look import Look
from tasks.domain.manifest import Manifest
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import manifest_name
from tasks.domain.proofs import Proof
from tasks.fan_out import PLAIN, all_or_raise, fan_out, step

_SETTLING_SECONDS = 2.0


class _Known(BaseModel):
    """A summary as the journal keeps it, bound to the companion that it was read from."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    made: int
    summary: ManifestSummary


async def look_at_backups(
    cluster: Cluster, *, width: int, unreadable: Mapping[str, str] = {}, absence: bool = True
) -> Catalogue:
    """Merge what every replica lists and knows; writes nothing and needs no lock.

    Where a backup seems to be missing somewhere, all are looked at once more: of two listings that
    differ, neither tells what is there. Not so where nothing is concluded from `absence`.
    """
    first = await _looks(cluster, width=width)
    catalogue = catalogue_of(cluster.topology, first, unreadable=unreadable)
    if not (absence and any(backup.lacking for backup in catalogue.backups)):
        return catalogue
    await asyncio.sleep(_SETTLING_SECONDS)
    second = await _looks(cluster, width=width)
    steady = [before.confirmed_by(after) for before, after in zip(first, second, strict=True)]
    return catalogue_of(cluster.topology, steady, unreadable=unreadable)


async def read_missing_manifests(
    sessions: Iterable[ReplicaSession], catalogue: Catalogue, *, width: int
) -> dict[str, str]:
    """Read each manifest that is not known on one replica that lists it, and note its summary.

    Returns why those that could not be read could not, by backup.
    """
    able = {session.replica: session for session in sessions}
    duties: dict[str, list[Backup]] = defaultdict(list)
    for backup in catalogue.unread:
        listing = [replica for replica in backup.listed_on if replica in able]
        if listing:
            duties[min(listing, key=lambda replica: len(duties[replica]))].append(backup)
    calls = (read_manifests(able[replica], backups) for replica, backups in duties.items())
    found = all_or_raise(await fan_out(calls, width=width))
    return {name: why for troubles in found for name, why in troubles.items()}


@step(task_run_name="manifests-{session.replica}", **PLAIN)
async def read_manifests(session: ReplicaSession, backups: Sequence[Backup]) -> dict[str, str]:
    """Read one manifest after the other: a sidecar does one thing at a time."""
    troubles: dict[str, str] = {}
    for backup in backups:
        try:
            manifest = await read_manifest(session.sidecar, backup.name)
            await note_known(session, manifest)
        except LockLost:
            raise
        except BackupError as error:
            troubles[backup.name] = str(error)
    return troubles


async def note_known(session: ReplicaSession, manifest: Manifest) -> None:
    """Keep the summary of a manifest that this replica lists."""
    listing = await read_listing(session.server)
    companion = listing.remote(manifest_name(manifest.backup_name))
    if companion is None:
        return
    known = _Known(made=companion.created_at, summary=ManifestSummary.of(manifest))
    await session.note(Event.KNOWN, manifest.backup_name, known.model_dump_json())


@step(task_run_name="look-{server.name}", **PLAIN)
async def look_at_replica(server: Server, shard: str) -> Look:
    """Read what one replica lists and knows; what does not answer is told, not raised."""
    try:
        listing = await read_listing(server)
        journal = await read_known(server)
    except BackupError as error:
        return Look(shard=shard, replica=server.name, trouble=str(error))
    known, proofs = _known(journal), _proofs(journal)
    return Look(shard=shard, replica=server.name, listing=listing, known=known, proofs=proofs)


async def _looks(cluster: Cluster, *, width: int) -> list[Look]:
    calls = (
        look_at_replica(cluster.server(replica.name), shard.name)
        for shard in cluster.topology.shards
        for replica in shard.replicas
    )
    return all_or_raise(await fan_out(calls, width=width))


def _known(journal: Journal) -> dict[str, tuple[int, ManifestSummary]]:
    """Read what was noted; what an older or newer version noted otherwise is read again."""
    found: dict[str, tuple[int, ManifestSummary]] = {}
    for entry in journal.entries:
        if entry.event is Event.KNOWN:
            try:
                known = _Known.model_validate_json(entry.payload)
            except ValidationError:
                continue
            found[entry.subject] = (known.made, known.summary)
    return found


def _proofs(journal: Journal) -> tuple[Proof, ...]:
    proofs = []
    for entry in journal.entries:
        if entry.event is Event.VERIFIED:
            try:
                proofs.append(Proof.model_validate_json(entry.payload))
            except ValidationError:
                get_run_logger().warning("a proof of %s cannot be read", entry.subject)
    return tuple(proofs)
