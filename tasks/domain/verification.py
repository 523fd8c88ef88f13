"""Verification: who tries what, what each look found, and what follows for the whole backup.

A finding that cannot be told is a finding: silence proves nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.domain.actions import ActionStatus
from tasks.domain.errors import ActionFailed, BackupError, BackupNotFound, BackupUnusable
from tasks.domain.fingerprint import Part, Verdict, compare
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.outcomes import Attempt, ReplicaOutcome, Status
from tasks.domain.proofs import Proof
from tasks.domain.tables import TableClass
from tasks.domain.verify_outcome import Finding, VerifyOutcome, verdict_of
from tasks.domain.verify_request import VerifyLevel, VerifyRequest

_WITH_ROWS = frozenset({TableClass.LOCAL, TableClass.REPLICATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One stored copy, and the replica that tries it: any that lists it will do."""

    record: ReplicaRecord
    replica: str

    @property
    def needed_bytes(self) -> int:
        return max(self.record.frozen_bytes, self.record.size_bytes)

    @property
    def sentence(self) -> str:
        return (
            f"shard {self.record.shard}: {self.replica} tries what {self.record.replica} stored, "
            f"{len(self.record.tables)} tables, {self.needed_bytes} bytes"
        )

    def finding(self, verdict: Verdict, message: str, table: TableRecord | None = None) -> Finding:
        prints = table.fingerprint if table else None
        return Finding(
            shard=self.record.shard,
            replica=self.replica,
            table=table.full_name if table else "",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What the phases brought. `seconds`: by shard."""

    findings: tuple[Finding, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def fit_only(observed: Observation, unfit: Mapping[str, BackupError]) -> Observation:
    """Count replicas on which nothing may be tried as not answering."""
    return Observation(
        tuple(seen for seen in observed.inspections if seen.replica not in unfit),
        {**observed.unreachable, **{replica: str(error) for replica, error in unfit.items()}},
    )


def listing_findings(manifest: Manifest, observed: Observation) -> tuple[Finding, ...]:
    """Hold what every replica lists against the manifest."""
    seen = {inspection.replica: inspection for inspection in observed.inspections}
    return tuple(
        finding
        for record in manifest.replicas
        for finding in _listed(record, manifest, seen.get(record.replica), observed)
    )


def trials_of(manifest: Manifest, observed: Observation) -> tuple[Trial, ...]:
    """Choose who tries each stored copy; none for a copy that nobody who answers lists whole."""
    chosen = []
    for record in manifest.replicas:
        able = [
            seen
            for seen in _holders(record, manifest, observed)
            if seen.listing.holds(manifest.backup_name, location="remote")
        ]
        if record.tables and able:
            best = min(able, key=lambda seen: _preference(seen, record))
            chosen.append(Trial(record=record, replica=best.replica))
    return tuple(chosen)


def cramped(
    trials: Iterable[Trial], observed: Observation, *, keep_free_bytes: int
) -> dict[str, Finding]:
    """Find the replicas where a download would take space that their servers need."""
    found = {}
    for trial in trials:
        free = observed.of(trial.replica).free_bytes
        if free is not None and free - trial.needed_bytes < keep_free_bytes:
            message = (
                f"not downloaded: it needs {trial.needed_bytes} bytes, {free} are free and "
                f"{keep_free_bytes} have to stay free (keep_free_bytes)"
            )
            found[trial.replica] = trial.finding(Verdict.UNKNOWN, message)
    return found


def copy_findings(trial: Trial, parts: Mapping[str, frozenset[str]] | None) -> tuple[Finding, ...]:
    """Hold a downloaded copy against the manifest; `parts`: table -> names, None: cannot tell."""
    if parts is None:
        message = "could not tell: nobody may list what was downloaded (url() is not granted)"
        return (trial.finding(Verdict.UNKNOWN, message),)
    gaps = set(trial.record.gaps_in({table: len(names) for table, names in parts.items()}))
    lacking = tuple(
        trial.finding(Verdict.FAILED, "the copy lacks it, or parts of it", table)
        for table in trial.record.tables
        if table.full_name in gaps
    )
    whole = f"downloaded whole: {len(trial.record.tables)} tables"
    return lacking or (trial.finding(Verdict.PASSED, whole),)


def seconds_to_restore(
    trials: Iterable[Trial], fetched: Mapping[str, Tried], drilled: Mapping[str, Tried]
) -> dict[str, float]:
    """Add up what each shard's rows took on their way; only of shards that came back whole."""
    found: dict[str, float] = {}
    for trial in trials:
        shard, drill = trial.record.shard, drilled.get(trial.replica)
        if drill is not None and verdict_of(drill.findings) is Verdict.PASSED:
            took = fetched[trial.replica].seconds + drill.seconds
            found[shard] = max(found.get(shard, 0.0), round(took, 3))
    return found


def table_finding(trial: Trial, table: TableRecord, parts: Iterable[Part]) -> Finding:
    """Compare a table of a drill with its fingerprint."""
    if table.fingerprint is None:
        message = "could not tell: the backup has no fingerprint of its rows"
        return trial.finding(Verdict.UNKNOWN, message, table)
    result = compare(table.fingerprint, parts)
    return trial.finding(result.verdict, result.sentence, table)


def verdict_on(error: ActionFailed) -> Verdict:
    """Tell whether a sidecar that failed says something of the backup, or of its own server."""
    elsewhere = (f"ended as {ActionStatus.CANCEL}", "no space left")
    return Verdict.UNKNOWN if any(w in str(error) for w in elsewhere) else Verdict.FAILED


def sources_of(backup: str, observed: Observation) -> tuple[str, ...]:
    """Name the replicas that list the manifest. Raises BackupNotFound where nobody lists anything.

    Not so where somebody does not answer.
    """
    name = manifest_name(backup)
    having = [seen for seen in observed.inspections if seen.listing.holds(name, location="remote")]
    known = any(seen.listing.has(backup) for seen in observed.inspections)
    if not having and not known and not observed.unreachable:
        raise BackupNotFound(f"no shard lists a backup named {backup}")
    return tuple(seen.replica for seen in having)


def error_findings(
    observed: Observation, errors: Mapping[str, BackupError], *, left_over: bool = False
) -> tuple[Finding, ...]:
    """Say of each error whether it tells something of the backup, or of the way to it.

    `left_over`: it happened while what was downloaded was deleted again.
    """
    return tuple(
        Finding(
            shard=observed.of(replica).shard,
            replica=replica,
            verdict=Verdict.FAILED if isinstance(error, BackupUnusable) else Verdict.UNKNOWN,
            message=f"{'something was left behind' if left_over else 'stopped'}: {error}",
        )
        for replica, error in errors.items()
    )


def no_manifest() -> Finding:
    """Say that nobody who answers knows what the backup should hold."""
    message = (
        "could not tell: no replica that answers lists its manifest, so it was never completed, "
        "or another tool made it"
    )
    return Finding(shard="", replica="", verdict=Verdict.UNKNOWN, message=message)


def unreadable_manifest(shard: str, replica: str, error: BackupUnusable) -> Finding:
    return Finding(shard=shard, replica=replica, verdict=Verdict.FAILED, message=str(error))


def drilled_tables(record: ReplicaRecord) -> tuple[TableRecord, ...]:
    """Name the tables whose rows are brought back: others hold none in a backup."""
    return tuple(table for table in record.tables if table.table_class in _WITH_ROWS)


def verify_outcome(
    request: VerifyRequest,
    attempt: Attempt,
    verified: Verified,
    *,
    finished: datetime,
) -> VerifyOutcome:
    """Judge the whole: completed when everything that had to be looked at passed."""
    findings = (*verified.findings, *_nothing_compared(request, verified.findings))
    verdict = verdict_of(findings)
    replicas = tuple(_replica_outcomes(findings))
    return VerifyOutcome(
        operation="verify",
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=request.backup,
        status=_status(verdict, replicas),
        started=attempt.started,
        finished=finished,
        replicas=replicas,
        next_steps=_next_steps(verdict),
        level=request.level,
        verdict=verdict,
        findings=findings,
        seconds_to_restore=dict(verified.seconds),
    )


def proof_of(outcome: VerifyOutcome, manifest: Manifest) -> Proof:
    """Keep what was proven, good or bad; what could not be told proves nothing."""
    return Proof(
        verification_id=outcome.operation_id,
        backup_name=outcome.backup_name,
        backup_operation_id=manifest.operation_id,
        level=outcome.level,
        verdict=outcome.verdict,
        at=outcome.finished,
        seconds=outcome.seconds_to_restore,
    )


def _holders(
    record: ReplicaRecord, manifest: Manifest, observed: Observation
) -> tuple[Inspection, ...]:
    """List who can tell of a copy: who stored it, and its siblings where the shard has one copy."""
    stored = [r for r in manifest.replicas if r.shard == record.shard and r.tables]
    if len(stored) == 1:
        return observed.of_shard(record.shard)
    return tuple(seen for seen in observed.inspections if seen.replica == record.replica)


def _preference(seen: Inspection, record: ReplicaRecord) -> tuple[bool, bool, bool, int]:
    """Prefer who is idle, has room, and stored the copy; among others who has the most room."""
    free = seen.free_bytes or 0
    needed = Trial(record=record, replica=seen.replica).needed_bytes
    return (seen.busy_with is not None, free < needed, seen.replica != record.replica, -free)


def _listed(
    record: ReplicaRecord,
    manifest: Manifest,
    holder: Inspection | None,
    observed: Observation,
) -> Iterator[Finding]:
    """Judge one copy by the listing of who stored it, or of a sibling that lists it too."""
    others = _holders(record, manifest, observed)
    lists = (seen for seen in others if seen.listing.has(manifest.backup_name))
    seen = holder or next(lists, None)
    if seen is None:
        why = observed.unreachable.get(record.replica, "it is not of this cluster")
        trial = Trial(record=record, replica=record.replica)
        yield trial.finding(Verdict.UNKNOWN, f"could not tell: {why}")
        return
    trial = Trial(record=record, replica=seen.replica)
    names = [manifest.backup_name] if record.tables else []
    for name in (*names, manifest_name(manifest.backup_name)):
        verdict, message = _presence(seen, name)
        if verdict is Verdict.PASSED and name == manifest.backup_name:
            verdict, message = _truth(seen, record, name)
        yield trial.finding(verdict, message)


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
    if row.size_bytes != record.size_bytes and row.required == record.base:
        return Verdict.UNKNOWN, (
            f"could not tell: {name} is listed with {row.size_bytes} bytes, and had "
            f"{record.size_bytes} when it was made"
        )
    return Verdict.PASSED, f"{name} is listed whole, {row.size_bytes} bytes"


def _nothing_compared(request: VerifyRequest, findings: Iterable[Finding]) -> Iterator[Finding]:
    tables = [finding for finding in findings if finding.table]
    if request.level is VerifyLevel.RESTORE and not tables:
        message = "could not tell: no table was compared"
        yield Finding(shard="", replica="", verdict=Verdict.UNKNOWN, message=message)


def _replica_outcomes(findings: Iterable[Finding]) -> Iterator[ReplicaOutcome]:
    of_replica: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        of_replica[finding.shard, finding.replica].append(finding)
    for (shard, replica), own in sorted(of_replica.items()):
        verdict = verdict_of(own)
        wrong = [finding.sentence for finding in own if finding.verdict is not Verdict.PASSED]
        yield ReplicaOutcome(
            shard=shard,
            replica=replica,
            done=verdict is Verdict.PASSED,
            failed=verdict is not Verdict.PASSED,
            phase=verdict.value,
            tables=sum(bool(finding.table) for finding in own),
            rows=sum(finding.rows for finding in own),
            message="; ".join(wrong),
        )


def _status(verdict: Verdict, replicas: Iterable[ReplicaOutcome]) -> Status:
    if verdict is Verdict.PASSED:
        return Status.COMPLETED
    any_passed = any(replica.done for replica in replicas)
    return Status.PARTIALLY_FAILED if any_passed else Status.FAILED


def _next_steps(verdict: Verdict) -> tuple[str, ...]:
    match verdict:
        case Verdict.PASSED:
            return ()
        case Verdict.UNKNOWN:
            return ("Mend what the findings name, and verify the backup again.",)
        case Verdict.FAILED:
            return ("Do not count on this backup: make a new one, and verify that.",)
