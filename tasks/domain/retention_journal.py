"""What journals say of backups that rules judge: holds, deletions that broke off, what is broken.

Every replica keeps its own journal, and any of them may be new: a fact counts wherever it stands.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.journal import Entry, Event, Journal
from tasks.domain.retention import Circumstances


class Announced(BaseModel):
    """Which backup a deletion began with, since names come back: its operation, and its copy."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    backup_operation_id: str = ""
    created_at: int | None = None


def circumstances_of(journals: Mapping[str, Journal], catalogue: Catalogue) -> Circumstances:
    """Gather what replicas noted. `journals`: by replica, the rows of any operation."""
    begun = {b.name: why for b in catalogue.backups if (why := _begun(b, journals))}
    since: dict[str, datetime] = {}
    for journal in journals.values():
        for name, at in _broken(journal).items():
            since[name] = max(at, since.get(name, at))
    return Circumstances(hold=hold_of(journals.values()), begun=begun, broken_since=since)


def hold_of(journals: Iterable[Journal]) -> str:
    """Say why nothing may be deleted; empty where no replica holds. One that holds is enough."""
    for journal in journals:
        last = _last(journal, {Event.HELD, Event.RELEASED})
        if last is not None and last.event is Event.HELD:
            return last.payload or "no reason was given"
    return ""


def to_note(
    journal: Journal, catalogue: Catalogue, replica: str, *, going: Collection[str]
) -> dict[str, Event]:
    """Tell what a prune writes down on one replica before it deletes what is `going`.

    What broke here; and what is sound, though it was broken or about to be deleted.
    """
    broken, sound = set(), set()
    for backup in catalogue.backups:
        if any(copy.replica == replica and copy.broken for copy in backup.copies):
            broken.add(backup.name)
        elif backup.is_point and backup.name not in going:
            sound.add(backup.name)
    noted = _broken(journal)
    gone = noted.keys() - {backup.name for backup in catalogue.backups}
    mended = gone | sound & (noted.keys() | _open_deletions(journal).keys())
    return dict.fromkeys(sorted(broken - noted.keys()), Event.BROKEN) | dict.fromkeys(
        sorted(mended), Event.MENDED
    )


def _broken(journal: Journal) -> dict[str, datetime]:
    """Say since when each backup is broken that is noted as such, by the server's clock."""
    since: dict[str, datetime] = {}
    for entry in journal.entries:
        if entry.event is Event.BROKEN:
            since.setdefault(entry.subject, datetime.fromtimestamp(entry.at, UTC))
        if entry.event is Event.MENDED:
            since.pop(entry.subject, None)
    return since


def _begun(backup: Backup, journals: Mapping[str, Journal]) -> str:
    """Name the operation that began to delete this very backup; empty where none did."""
    made = {copy.replica: copy.created_at for copy in backup.copies}
    for replica, journal in journals.items():
        entry = _open_deletions(journal).get(backup.name)
        if entry is None:
            continue
        announced = _announced(entry)
        if backup.manifest is not None:
            same = announced.backup_operation_id == backup.manifest.operation_id
        else:
            same = announced.created_at == made.get(replica, -1)
        if same:
            return entry.operation_id
    return ""


def _open_deletions(journal: Journal) -> dict[str, Entry]:
    """Find the last announcement of each backup that was not found sound since."""
    found: dict[str, Entry] = {}
    for entry in journal.entries:
        if entry.event is Event.DELETING:
            found[entry.subject] = entry
        if entry.event is Event.MENDED:
            found.pop(entry.subject, None)
    return found


def _announced(entry: Entry) -> Announced:
    try:
        return Announced.model_validate_json(entry.payload)
    except ValidationError:  # what another version noted otherwise proves nothing
        return Announced()


def _last(journal: Journal, events: set[Event]) -> Entry | None:
    return next((entry for entry in reversed(journal.entries) if entry.event in events), None)
