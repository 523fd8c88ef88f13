"""Verification: what each try found, and what follows for the whole backup.

A finding that cannot be told is a finding: silence proves nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tasks.domain.actions import ActionStatus
from tasks.domain.errors import ActionFailed, BackupError, BackupUnusable
from tasks.domain.fingerprint import Part, Verdict, compare
from tasks.domain.inspection import Observation
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.outcomes import Attempt, ReplicaOutcome, Status
from tasks.domain.proofs import Proof
from tasks.domain.tables import TableClass
from tasks.domain.trials import Trial, Tried
from tasks.domain.verify_outcome import Finding, VerifyOutcome, verdict_of
from tasks.domain.verify_request import VerifyLevel, VerifyRequest

_DOWNLOAD, _RESTORE = VerifyLevel.DOWNLOAD, VerifyLevel.RESTORE
_LEVELS = list(VerifyLevel)
_WITH_ROWS = frozenset({TableClass.LOCAL, TableClass.REPLICATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What the phases brought. `seconds`: by shard."""

    findings: tuple[Finding, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def copy_findings(trial: Trial, parts: Mapping[str, frozenset[str]] | None) -> tuple[Finding, ...]:
    """Hold a downloaded copy against the manifest; `parts`: table -> names, None: cannot tell."""
    if parts is None:
        message = "could not tell: nobody may list what was downloaded (url() is not granted)"
        return (trial.finding(_DOWNLOAD, Verdict.UNKNOWN, message),)
    gaps = set(trial.record.gaps_in({table: len(names) for table, names in parts.items()}))
    lacking = tuple(
        trial.finding(_DOWNLOAD, Verdict.FAILED, "the copy lacks it, or parts of it", table)
        for table in trial.record.tables
        if table.full_name in gaps
    )
    whole = f"downloaded whole: {len(trial.record.tables)} tables"
    return lacking or (trial.finding(_DOWNLOAD, Verdict.PASSED, whole),)


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


def table_finding(
    trial: Trial, table: TableRecord, parts: Iterable[Part], *, left_alone: bool
) -> Finding:
    """Compare a table of a drill with its fingerprint. `left_alone`: none of it was merged."""
    if table.fingerprint is None:
        message = "could not tell: the backup has no fingerprint of its rows"
        return trial.finding(_RESTORE, Verdict.UNKNOWN, message, table)
    result = compare(table.fingerprint, parts, left_alone=left_alone)
    return trial.finding(_RESTORE, result.verdict, result.sentence, table)


def verdict_on(error: ActionFailed | BackupUnusable) -> Verdict:
    """Tell whether a sidecar that failed says something of the backup, or of its own server."""
    elsewhere = (f"ended as {ActionStatus.CANCEL}", "no space left")
    return Verdict.UNKNOWN if any(w in str(error) for w in elsewhere) else Verdict.FAILED


def error_findings(
    level: VerifyLevel,
    observed: Observation,
    errors: Mapping[str, BackupError],
    *,
    left_over: bool = False,
) -> tuple[Finding, ...]:
    """Say of each error whether it tells something of the backup, or of the way to it.

    `left_over`: it happened while what was downloaded was deleted again.
    """
    return tuple(
        Finding(
            shard=observed.of(replica).shard,
            replica=replica,
            level=level,
            verdict=Verdict.FAILED if isinstance(error, BackupUnusable) else Verdict.UNKNOWN,
            message=f"{'something was left behind' if left_over else 'stopped'}: {error}",
        )
        for replica, error in errors.items()
    )


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
        notes=(*(f.message for f in findings if not f.replica), *verified.notes),
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


def _nothing_compared(request: VerifyRequest, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Add the doubt that is left where all that was looked at passed, and no table was."""
    found = tuple(findings)
    compared = any(finding.table for finding in found)
    if request.level is _RESTORE and not compared and verdict_of(found) is Verdict.PASSED:
        message = "could not tell: no table was compared"
        yield Finding(
            shard="", replica="", level=_RESTORE, verdict=Verdict.UNKNOWN, message=message
        )


def _replica_outcomes(findings: Iterable[Finding]) -> Iterator[ReplicaOutcome]:
    of_replica: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if not finding.replica:  # it concerns the whole
            continue
        of_replica[finding.shard, finding.replica].append(finding)
    for (shard, replica), own in sorted(of_replica.items()):
        verdict = verdict_of(own)
        wrong = [finding.sentence for finding in own if not finding.passed]
        yield ReplicaOutcome(
            shard=shard,
            replica=replica,
            done=verdict is Verdict.PASSED,
            failed=verdict is not Verdict.PASSED,
            phase=max((f.level for f in own if f.passed), key=_LEVELS.index, default="none"),
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
