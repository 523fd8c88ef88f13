"""Which backup a restore takes when it is not named: the newest one that holds what is wanted.

What nobody can tell about a newer one refuses the choice: somebody may name a backup instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.errors import BackupNotFound, BackupUnusable, TopologyMismatch
from tasks.domain.manifest import Manifest
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.requests import Scope
from tasks.domain.restore_request import RestoreRequest
from tasks.domain.topology import Topology

_TOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The backup that was chosen, why, and each newer one that was passed over, with the reason."""

    name: str
    why: str
    passed_over: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        newer = (f"passed over, though newer: {told}" for told in self.passed_over[:_TOLD])
        return (f"{self.name} is {self.why}", *newer)


def newest_of(catalogue: Catalogue, request: RestoreRequest) -> Choice:
    """Choose by the freeze of the last shard.

    Raises BackupUnusable where nobody can tell what a newer one is, BackupNotFound where none fits.
    """
    passed_over: list[str] = []
    for backup in sorted(catalogue.backups, key=lambda one: (one.at, one.name), reverse=True):
        if not _is_meant(backup, request):
            continue
        _demand_known(backup)
        reason = _shortcoming(backup, request)
        if not reason:
            return Choice(
                name=backup.name, why=_reason(backup, request), passed_over=tuple(passed_over)
            )
        passed_over.append(f"{backup.name} ({backup.at:%Y-%m-%d %H:%M:%S} UTC): {reason}")
    raise BackupNotFound(_nothing(catalogue, request, passed_over))


def _is_meant(backup: Backup, request: RestoreRequest) -> bool:
    if not backup.name.startswith(request.latest_of):
        return False
    if request.before is not None and backup.at > request.before:
        return False
    if backup.manifest is None:
        return True
    if request.from_installation:
        return backup.manifest.installation == request.from_installation
    return backup.ours


def demand_origin(manifest: Manifest, request: RestoreRequest, topology: Topology) -> None:
    """Raise TopologyMismatch for the backup of an installation that was not meant."""
    meant = request.from_installation or topology.installation
    if manifest.installation != meant:
        message = (
            f"backup {manifest.backup_name} was taken of the installation {manifest.installation}, "
            f"not of {meant}: from_installation={manifest.installation!r} says that it is meant"
        )
        raise TopologyMismatch(message)
    if not request.from_installation and manifest.cluster != topology.cluster:
        message = (
            f"backup {manifest.backup_name} was taken of the cluster {manifest.cluster} of "
            f"{meant}, not of {topology.cluster}: from_installation={meant!r} says that it is meant"
        )
        raise TopologyMismatch(message)


def _demand_known(backup: Backup) -> None:
    doubt = backup.why if backup.state is State.UNKNOWN else ""
    if backup.manifest is None and backup.listed_on:
        doubt = doubt or f"its manifest is not read: {backup.unreadable or 'nobody could yet'}"
    if doubt:
        message = (
            f"nobody can tell whether {backup.name} is the newest that can be restored: {doubt}; "
            "mend that, or name a backup"
        )
        raise BackupUnusable(message)


def _shortcoming(backup: Backup, request: RestoreRequest) -> str:
    """Say why a backup that is known is not taken; empty where it is."""
    if backup.state is not State.COMPLETE:
        return f"{backup.state}: {backup.why}"
    if backup.manifest is None:
        return "it has no manifest"
    if backup.manifest.scope is Scope.SCHEMA and not request.schema_only:
        return "it holds no rows"
    if not request.tables:
        partial = backup.manifest.scope is Scope.PARTIAL
        return "it holds some tables only" if partial else backup.suspect
    return _lacking(backup.manifest, request) or _emptied(backup.manifest, request, backup.suspect)


def _emptied(manifest: ManifestSummary, request: RestoreRequest, suspect: str) -> str:
    """Take what is suspect of a backup for a reason where it holds no row of these tables."""
    held = manifest.rows_by_table()
    rows = sum(held[name] for name in held if any(fnmatchcase(name, p) for p in request.tables))
    return "" if rows else suspect


def _lacking(manifest: ManifestSummary, request: RestoreRequest) -> str:
    held = manifest.rows_by_table()
    missing = [p for p in request.tables if not any(fnmatchcase(name, p) for name in held)]
    if manifest.scope is Scope.PARTIAL:  # which tables a pattern would have meant, it cannot tell
        missing += [p for p in request.tables if "*" in p and not _is_within(p, manifest.selection)]
    if missing:
        return f"it does not hold {', '.join(missing)}"
    whole = all("." in one and ":" not in one for one in manifest.selection)
    return "" if whole or request.partitions else "it holds some partitions only"


def _is_within(pattern: str, selection: Iterable[str]) -> bool:
    return any(pattern == wider or fnmatchcase(pattern, wider) for wider in selection)


def _reason(backup: Backup, request: RestoreRequest) -> str:
    asked = [f"of {request.latest_of}*"] if request.latest_of else []
    asked += [f"with {', '.join(request.tables)}"] if request.tables else []
    asked += [f"not after {request.before.isoformat()}"] if request.before else []
    told = f"the newest backup {' '.join(asked)}".strip()
    return f"{told}: frozen by {backup.at:%Y-%m-%d %H:%M:%S} UTC"


def _nothing(catalogue: Catalogue, request: RestoreRequest, passed_over: Iterable[str]) -> str:
    reasons = list(passed_over)
    if reasons:
        return f"no backup can be restored: {'; '.join(reasons[:_TOLD])}"
    known = [backup.name for backup in catalogue.backups]
    asked = f" named {request.latest_of}*" if request.latest_of else ""
    when = f" before {request.before.isoformat()}" if request.before else ""
    theirs = {b.manifest.installation for b in catalogue.backups if b.manifest and not b.ours}
    if theirs and not request.from_installation:
        of_others = f"those of {', '.join(sorted(theirs))} need from_installation"
        return f"there is no backup of this cluster{asked}{when}; {of_others}"
    newest = f", the newest is {known[-1]}" if known else ""
    return f"there is no backup{asked}{when}; {len(known)} are listed{newest}"
