"""On which earlier backup a replica's next one builds, and why on that one or on none.

A sidecar accepts any base that is listed, a broken one too, and what is built on that cannot be
restored: so a base is used only when the whole chain below it is seen whole where it is needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.inspection import Inspection
from tasks.domain.journal import Event
from tasks.domain.requests import NONE, BackupRequest, Scope

_FEW = 3  # backups that a reason names


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What one replica builds on. `name` empty: nothing, so that its backup is full.

    `stored_by`: another replica that stored the base; empty where this very one did.
    `refused`: why the base that was asked for by name cannot be used here.
    """

    name: str = ""
    reason: str = ""
    stored_by: str = ""
    refused: str = ""

    @property
    def rank(self) -> int:
        """The lower, the more an increment saves."""
        if not self.name:
            return 2
        return 1 if self.stored_by else 0

    @property
    def sentence(self) -> str:
        """Say how the backup is made; empty where nobody asked for anything but a full one."""
        if not self.name:
            return f"in full: {self.reason}" if self.reason else ""
        less = f", which {self.stored_by} stored, so less may be saved" if self.stored_by else ""
        return f"as an increment of {self.name}{less}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The backup that an operation is to make, and what is known of earlier ones at `now`."""

    request: BackupRequest
    backup_name: str
    operation_id: str
    now: datetime
    catalogue: Catalogue = field(default_factory=lambda: Catalogue(()))


def base_for(seen: Inspection, wish: Wish) -> Base:
    """Choose the base of what `seen` would store. A rerun keeps that of its first attempt."""
    begun = seen.journal.of(wish.operation_id).last(Event.BASE, wish.backup_name)
    if begun is not None:
        return Base(name=begun.payload, reason="an earlier attempt began so")
    if wish.request.incremental == NONE:
        return Base()
    if wish.request.base is not None:
        return _named(wish.request.base, seen, wish)
    return _newest(seen, wish)


def _candidates(seen: Inspection, wish: Wish) -> Iterator[Backup]:
    """Go through what this replica lists, the newest first."""
    for backup in reversed(wish.catalogue.backups):
        if seen.listing.remote(backup.name) and backup.name != wish.backup_name:
            yield backup


def _named(name: str, seen: Inspection, wish: Wish) -> Base:
    found = wish.catalogue.find(name)
    if found is None:
        return Base(refused=f"{seen.place}: nobody lists {name}")
    waits = any(backup.name == name for backup in wish.catalogue.unread)
    trouble = seen.listing.gap(name) if waits else _trouble(found, seen, wish)
    return Base(refused=f"{seen.place}: {trouble}") if trouble else _base(found, seen)


def _newest(seen: Inspection, wish: Wish) -> Base:
    passed_over: list[str] = []
    for candidate in _candidates(seen, wish):
        trouble = _trouble(candidate, seen, wish)
        if not trouble:
            due = _due(candidate, seen, wish)
            return Base(reason=due) if due else _base(candidate, seen)
        passed_over.append(f"{candidate.name} ({trouble})")
    if not passed_over:
        return Base(reason=f"{seen.replica} lists no earlier backup")
    left = len(passed_over) - _FEW
    more = f" and {left} more" if left > 0 else ""
    return Base(reason=f"no usable base among {', '.join(passed_over[:_FEW])}{more}")


def _base(backup: Backup, seen: Inspection) -> Base:
    holders = _holders(backup, seen.shard)
    others = "" if seen.replica in holders else ", ".join(holders)
    return Base(name=backup.name, reason="the newest usable one", stored_by=others)


def _trouble(backup: Backup, seen: Inspection, wish: Wish) -> str:
    """Say why nothing is built on a backup here; empty where something can be."""
    gap = seen.listing.gap(backup.name)
    if gap:
        return f"{seen.replica} does not see it whole: {gap}"
    if backup.state is not State.COMPLETE:
        return f"it is {backup.state}: {backup.why}"
    return _trouble_of_manifest(backup, seen) or (
        "" if wish.request.base else _foreign(backup, wish.request)
    )


def _trouble_of_manifest(backup: Backup, seen: Inspection) -> str:
    manifest = backup.manifest
    if manifest is None:
        unread = backup.unreadable or "nobody has done so yet"
        why = f"its manifest cannot be read: {unread}"
        return (
            why if backup.listed_on else "it has no manifest: nobody can tell whether it is whole"
        )
    if not backup.ours:
        return f"it is of {manifest.installation}, cluster {manifest.cluster}"
    if manifest.scope is Scope.SCHEMA:
        return "it holds definitions only"
    return "" if _holders(backup, seen.shard) else f"it holds nothing of shard {seen.shard}"


def _foreign(backup: Backup, request: BackupRequest) -> str:
    """Say why a backup that nobody named is not built on, though it could be.

    What is pruned by one rule must not need what another rule deletes.
    """
    manifest = backup.manifest
    if manifest is None or manifest.schedule != request.schedule:
        schedule = manifest.schedule if manifest else ""
        return f"it belongs to {f'the schedule {schedule}' if schedule else 'no schedule'}"
    if manifest.selection and manifest.selection != request.selection:
        return f"it holds only {', '.join(manifest.selection)}"
    return ""


def _due(backup: Backup, seen: Inspection, wish: Wish) -> str:
    """Say why it is time for a full backup; empty where one more increment may follow."""
    chain, options = seen.listing.chain(backup.name), wish.request.options
    if options.longest_chain is not None and len(chain) >= options.longest_chain:
        return f"a full one is due: the chain of {backup.name} has {len(chain)} backups"
    oldest = wish.catalogue.find(chain[-1].name)
    hours = options.full_every_hours
    if hours is None or oldest is None:
        return ""
    age = wish.now - oldest.at
    if age < timedelta(hours=hours):
        return ""
    return f"a full one is due: {oldest.name} is {age / timedelta(hours=1):.0f} hours old"


def _holders(backup: Backup, shard: str) -> tuple[str, ...]:
    """Name the replicas that stored tables of a shard."""
    stored = backup.manifest.replicas if backup.manifest else ()
    return tuple(record.replica for record in stored if record.shard == shard and record.tables)
