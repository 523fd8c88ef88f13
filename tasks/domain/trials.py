"""Trials: which replica tries which stored copy of a backup, and whether it has the room."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.domain.errors import BackupError
from tasks.domain.fingerprint import Verdict
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.verify_outcome import Finding
from tasks.domain.verify_request import VerifyLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One stored copy, and the replica that tries it: any that lists it will do."""

    record: ReplicaRecord
    replica: str

    @property
    def needed_bytes(self) -> int:
        return max(self.record.frozen_bytes, self.record.size_bytes)

    def fits_in(self, free_bytes: int | None, *, keep_free_bytes: int) -> bool:
        return free_bytes is None or free_bytes - self.needed_bytes >= keep_free_bytes

    @property
    def sentence(self) -> str:
        return (
            f"shard {self.record.shard}: {self.replica} tries what {self.record.replica} stored, "
            f"{len(self.record.tables)} tables, {self.needed_bytes} bytes"
        )

    def finding(
        self,
        level: VerifyLevel,
        verdict: Verdict,
        message: str,
        table: TableRecord | None = None,
    ) -> Finding:
        prints = table.fingerprint if table else None
        return Finding(
            shard=self.record.shard,
            replica=self.replica,
            table=table.full_name if table else "",
            level=level,
            verdict=verdict,
            rows=prints.rows if prints else 0,
            message=message,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one try found, and how long it took. `usable`: it can be tried at the next level."""

    findings: tuple[Finding, ...]
    seconds: float
    usable: bool = True


def fit_only(observed: Observation, unfit: Mapping[str, BackupError]) -> Observation:
    """Count replicas on which nothing may be tried as not answering."""
    return Observation(
        tuple(seen for seen in observed.inspections if seen.replica not in unfit),
        {**observed.unreachable, **{replica: str(error) for replica, error in unfit.items()}},
    )


def trials_of(
    manifest: Manifest, observed: Observation, *, keep_free_bytes: int
) -> tuple[Trial, ...]:
    """Choose who tries each stored copy; none for a copy that nobody who answers lists whole."""
    chosen = []
    for record in manifest.replicas:
        able = [
            seen
            for seen in holders_of(record, manifest, observed)
            if seen.listing.holds(manifest.backup_name, location="remote")
        ]
        if record.tables and able:
            trials = {seen.replica: Trial(record=record, replica=seen.replica) for seen in able}
            best = min(able, key=lambda s: _preference(trials[s.replica], s, keep_free_bytes))
            chosen.append(trials[best.replica])
    return tuple(chosen)


def cramped(
    trials: Iterable[Trial], observed: Observation, *, keep_free_bytes: int
) -> dict[str, Finding]:
    """Find the replicas where a download would take space that their servers need."""
    found = {}
    for trial in trials:
        free = observed.of(trial.replica).free_bytes
        if not trial.fits_in(free, keep_free_bytes=keep_free_bytes):
            message = (
                f"not downloaded: it needs {trial.needed_bytes} bytes, {free} are free and "
                f"{keep_free_bytes} have to stay free (keep_free_bytes)"
            )
            found[trial.replica] = trial.finding(VerifyLevel.DOWNLOAD, Verdict.UNKNOWN, message)
    return found


def holders_of(
    record: ReplicaRecord, manifest: Manifest, observed: Observation
) -> tuple[Inspection, ...]:
    """List who can tell of a copy: who stored it, and its siblings where the shard has one copy."""
    stored = [r for r in manifest.replicas if r.shard == record.shard and r.tables]
    if len(stored) == 1:
        return observed.of_shard(record.shard)
    return tuple(seen for seen in observed.inspections if seen.replica == record.replica)


def _preference(
    trial: Trial, seen: Inspection, keep_free_bytes: int
) -> tuple[bool, bool, bool, int]:
    """Prefer who is idle, has room, and stored the copy; among others who has the most room."""
    return (
        seen.busy_with is not None,
        not trial.fits_in(seen.free_bytes, keep_free_bytes=keep_free_bytes),
        seen.replica != trial.record.replica,
        -(seen.free_bytes or 0),
    )
