"""Undoing a restore: what its safety copies hold, and which tables it left that were not there.

Each replica's journal keeps the record of its own copy, so that the bucket is not needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.domain.errors import BackupNotFound, PreflightFailed
from tasks.domain.inspection import Observation
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.manifest import Manifest, ReplicaRecord
from tasks.domain.names import undone_by
from tasks.domain.requests import Scope
from tasks.domain.restore_need import End
from tasks.domain.topology import Topology

_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a restore left on one replica: the record of its safety copy, and tables it made.

    `made`: full name -> identity.
    """

    record: ReplicaRecord | None
    made: Mapping[str, str] = field(default_factory=dict)

    @property
    def strays(self) -> dict[str, str]:
        """Name the tables that the restore made where none stood before."""
        before = {table.full_name for table in self.record.tables} if self.record else set()
        return {name: identity for name, identity in self.made.items() if name not in before}


def demand_copies(name: str, observed: Observation) -> None:
    """Raise BackupNotFound where no replica keeps the safety copy `name`."""
    if not any(seen.listing.holds(name, location="local") for seen in observed.inspections):
        message = (
            f"no replica keeps a safety copy {name}: it expired, or the restore replaced nothing"
        )
        raise BackupNotFound(message)


def manifest_of_copies(name: str, kept: Mapping[str, Kept], topology: Topology) -> Manifest:
    """Assemble what the copies of all replicas hold together: the cluster as it was before.

    Raises PreflightFailed for a replica without a record: undone in part, it would be neither.
    """
    records = {replica: found.record for replica, found in kept.items() if found.record}
    lacking = [replica.name for replica in topology.replicas if replica.name not in records]
    if lacking:
        message = (
            f"{name} cannot be restored: {', '.join(lacking)} has no record of its safety copy; "
            "the restore was stopped before it dropped anything, or kept no copies"
        )
        raise PreflightFailed(message)
    return Manifest(
        backup_name=name,
        operation_id=undone_by(name) or "",
        installation=topology.installation,
        cluster=topology.cluster,
        scope=Scope.PARTIAL,
        request={},
        shards={s.name: tuple(r.name for r in s.replicas) for s in topology.shards},
        replicas=tuple(records[replica.name] for replica in topology.replicas),
    )


def is_needed(copy: str, journal: Journal) -> bool:
    """Tell whether an operation that restores from `copy` has not made the tables whole yet.

    `journal`: starts and ends of all operations on the replica that keeps the copy.
    """
    ends: dict[str, str | None] = {}
    for entry in journal.entries:
        if entry.event is Event.STARTED and entry.document()["name"] == copy:
            ends[entry.operation_id] = None
        if entry.event is Event.FINISHED and entry.operation_id in ends:
            ends[entry.operation_id] = entry.payload
    return any(end in {None, End.HALF_RESTORED.value} for end in ends.values())


def is_expired(journal: Journal, *, now: int) -> bool:
    """Tell whether a safety copy may go: its operation ended, and the time it asked for is over.

    `journal` is that operation's on the replica that keeps the copy, `now` that server's clock. A
    copy that the journal does not know is a stranger's.
    """
    taken = journal.last(Event.STEP, Step.SAFETY)
    if taken is None or journal.unfinished():
        return False
    hours = (taken.document() or {}).get("keep_hours")
    return hours is not None and now >= taken.at + hours * _HOUR_SECONDS
