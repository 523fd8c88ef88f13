"""From findings to a verdict: silence proves nothing, and one failure fails the whole."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    BackupNotFound,
    BackupUnusable,
    ClusterUnavailable,
)
from tasks.domain.fingerprint import Part, Verdict
from tasks.domain.manifest import TableRecord
from tasks.domain.outcomes import Attempt, Status
from tasks.domain.trials import Trial, Tried
from tasks.domain.verification import (
    Verified,
    copy_findings,
    drilled_tables,
    error_findings,
    proof_of,
    seconds_to_restore,
    table_finding,
    verdict_on,
    verify_outcome,
)
from tasks.domain.verify_outcome import Finding, VerifyOutcome
from tasks.domain.verify_request import VerifyLevel, VerifyRequest
from tests.builders import (
    BACKUP,
    NOW,
    OPERATION,
    make_fingerprint,
    make_inspection,
    make_manifest,
    make_observation,
    make_part,
    make_replica_record,
    make_table,
    make_table_record,
    make_view,
    replica_name,
)

ATTEMPT = Attempt(operation="verify", installation="demo", operation_id=OPERATION, started=NOW)


def make_trial(shard: int = 0, *tables: TableRecord) -> Trial:
    record = make_replica_record(shard)
    if tables:
        record = record.model_copy(update={"tables": tables})
    return Trial(record=record, replica=replica_name(shard))


def make_finding(verdict: str = "passed", *, shard: int = 0, table: str = "shop.orders") -> Finding:
    return Finding(
        shard=str(shard),
        replica=replica_name(shard),
        table=table,
        level=VerifyLevel.RESTORE,
        verdict=Verdict(verdict),
        rows=10,
        message=f"it {verdict}",
    )


def make_outcome(
    *findings: Finding, level: str = "restore", seconds: Mapping[str, float] | None = None
) -> VerifyOutcome:
    return verify_outcome(
        VerifyRequest.from_form(backup=BACKUP, level=level),
        ATTEMPT,
        Verified(findings=findings, seconds=seconds or {}),
        finished=NOW + timedelta(seconds=5),
    )


@pytest.mark.parametrize(
    ("found", "verdict", "status"),
    [
        pytest.param(["passed", "passed"], "passed", Status.COMPLETED, id="all-passed"),
        pytest.param(["passed", "failed"], "failed", Status.PARTIALLY_FAILED, id="one-failed"),
        pytest.param(
            ["passed", "could not tell"], "could not tell", Status.PARTIALLY_FAILED, id="one-doubt"
        ),
        pytest.param(["failed", "could not tell"], "failed", Status.FAILED, id="failed-and-doubt"),
        pytest.param([], "could not tell", Status.FAILED, id="nothing-looked-at"),
    ],
)
def test_the_verdict_follows_from_the_findings(
    found: list[str], verdict: str, status: Status
) -> None:
    outcome = make_outcome(*(make_finding(v, shard=shard) for shard, v in enumerate(found)))
    assert (outcome.verdict, outcome.status) == (verdict, status)
    assert [replica.done for replica in outcome.replicas] == [v == "passed" for v in found]
    assert bool(outcome.next_steps) is (verdict != "passed")


def test_a_drill_that_compared_no_table_proves_nothing() -> None:
    listed = make_finding(table="")
    assert make_outcome(listed).verdict is Verdict.UNKNOWN
    assert make_outcome(listed).notes == ("could not tell: no table was compared",)
    assert make_outcome(listed, level="listing").verdict is Verdict.PASSED


def test_a_failure_is_told_without_the_doubt_that_nothing_was_compared() -> None:
    outcome = make_outcome(make_finding("failed", table=""))
    assert (outcome.verdict, outcome.notes) == (Verdict.FAILED, ())


def test_a_proof_is_bound_to_the_operation_that_made_the_backup() -> None:
    proof = proof_of(make_outcome(make_finding(), seconds={"0": 1.5}), make_manifest())
    assert (proof.backup_name, proof.backup_operation_id) == (BACKUP, "op-of-backup")
    assert (proof.verification_id, proof.level, proof.verdict) == (OPERATION, "restore", "passed")
    assert (proof.at, proof.seconds) == (NOW + timedelta(seconds=5), {"0": 1.5})


def test_the_report_shows_what_is_wrong_first_and_how_long_the_slowest_shard_took() -> None:
    outcome = make_outcome(
        make_finding(), make_finding("failed", shard=1), seconds={"0": 1.0, "2": 4.0}
    )
    findings, shards = (sheet for sheet in outcome.sheets if sheet.key in {"findings", "shards"})
    assert [line["verdict"] for line in findings.lines] == ["failed", "passed"]
    assert [line["shard"] for line in shards.lines] == ["2", "0"]
    assert outcome.facts["time to restore"] == "4.0 s"
    assert make_outcome(level="listing").facts["time to restore"] == "not measured"
    kept = outcome.bounded(1).findings
    assert [finding.verdict for finding in kept] == ["failed"]


@pytest.mark.parametrize(
    ("parts", "verdict", "named"),
    [
        pytest.param({"shop.orders": {"a"}}, "passed", "", id="whole"),
        pytest.param({"shop.orders": {}}, "failed", "shop.orders", id="too-few-parts"),
        pytest.param({}, "failed", "shop.orders", id="no-table"),
        pytest.param(None, "could not tell", "", id="nobody-may-look"),
    ],
)
def test_a_downloaded_copy_is_held_against_the_manifest(
    parts: dict[str, frozenset[str]] | None, verdict: str, named: str
) -> None:
    (finding,) = copy_findings(make_trial(), parts)
    assert (finding.verdict, finding.table) == (verdict, named)


def test_a_drilled_table_is_compared_with_its_fingerprint() -> None:
    table = make_table_record(fingerprint=make_fingerprint("202601_1_1_0", "202602_2_2_0"))
    first, second = make_part("202601_1_1_0"), make_part("202602_2_2_0")
    trial = make_trial()

    def verdict(*parts: Part, left_alone: bool = True) -> Verdict:
        return table_finding(trial, table, parts, left_alone=left_alone).verdict

    assert verdict(first, second) is Verdict.PASSED
    assert verdict(first) is Verdict.FAILED
    assert verdict() is Verdict.FAILED
    other = make_part("202602_2_2_0", hash="other")
    assert verdict(first, other) is Verdict.FAILED
    assert verdict(first, other, left_alone=False) is Verdict.UNKNOWN  # it may be merged of both


def test_a_table_without_a_fingerprint_cannot_be_told() -> None:
    unknown = make_table_record(fingerprint=None)
    found = table_finding(make_trial(), unknown, [make_part()], left_alone=True)
    assert found.verdict is Verdict.UNKNOWN


def test_only_tables_that_a_sidecar_keeps_rows_of_are_drilled() -> None:
    tables = [
        make_table(),
        make_table("shared", engine="ReplicatedMergeTree"),
        make_table("log", engine="Log"),
        make_table("queue", engine="Kafka"),
        make_view(),
    ]
    drilled = drilled_tables(make_replica_record(tables=tables))
    assert [table.name for table in drilled] == ["orders", "shared"]


def test_a_shard_takes_as_long_as_download_and_drill_of_its_slowest_copy() -> None:
    trials = [make_trial(0), make_trial(1)]
    fetched = {trial.replica: Tried(findings=(), seconds=2.0) for trial in trials}
    whole = Tried(findings=(make_finding(),), seconds=1.0)
    spoiled = Tried(findings=(make_finding("failed"),), seconds=9.0)
    drilled = {replica_name(0): whole, replica_name(1): spoiled}
    assert seconds_to_restore(trials, fetched, drilled) == {"0": 3.0}


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        pytest.param("`restore x` ended as error: key not found", "failed", id="of-the-backup"),
        pytest.param("`restore x` ended as cancel: killed", "could not tell", id="killed"),
        pytest.param("ended as error: no space left on device", "could not tell", id="disk-full"),
    ],
)
def test_a_sidecar_that_fails_says_something_of_the_backup_or_of_its_server(
    told: str, verdict: str
) -> None:
    assert verdict_on(ActionFailed(told)) == verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        pytest.param(ClusterUnavailable("no answer"), "could not tell", id="away"),
        pytest.param(BackupNotFound("gone"), "could not tell", id="other"),
        pytest.param(BackupUnusable("corrupt"), "failed", id="unusable"),
    ],
)
def test_an_error_on_the_way_is_a_doubt_unless_the_backup_is_unusable(
    error: BackupError, verdict: str
) -> None:
    observed = make_observation(make_inspection(1))
    (finding,) = error_findings(VerifyLevel.RESTORE, observed, {replica_name(1): error})
    assert (finding.shard, finding.verdict) == ("1", verdict)
    assert str(error) in finding.message
