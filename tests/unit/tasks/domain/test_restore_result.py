"""From phases to the verdict of a restore: one doubt keeps the whole from being a success."""

from datetime import timedelta
from typing import Any

import pytest

from tasks.domain.errors import ActionFailed
from tasks.domain.fingerprint import Verdict
from tasks.domain.outcomes import RestoreOutcome, Status, TableComparison, overall_verdict
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_result import (
    Restored,
    comparisons_of,
    dry_run_outcome,
    restore_outcome,
    rows_compared,
)
from tasks.domain.tables import Table
from tests.builders import (
    NOW,
    make_attempt,
    make_manifest,
    make_observation,
    make_part,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_table_record,
    make_target,
    make_topology,
    replica_name,
    restore_request,
)

FIRST, SECOND = replica_name(0), replica_name(1)
STANDING = {"shop.orders": make_table()}
WHOLE = {"shop.orders": (make_part("202601_1_1_0"),)}
REFUSED = ActionFailed("no such file")


def make_restored(plan: RestorePlan, **fields: Any) -> Restored:
    """Everything came back on both shards, unless told otherwise."""
    defaults: dict[str, Any] = {
        "phases": {FIRST: "restored", SECOND: "restored"},
        "rows": {part.replica: rows_compared(part, WHOLE) for part in plan.replicas},
        "tables": {FIRST: STANDING, SECOND: STANDING},
    }
    return Restored(**(defaults | fields))


def outcome_of(plan: RestorePlan | None = None, **fields: Any) -> RestoreOutcome:
    found = plan or make_restore_plan()
    restored = make_restored(found, **fields)
    finished = NOW + timedelta(minutes=5)
    return restore_outcome(found, make_attempt(), restored, finished=finished)


def only_comparison(standing: Table | None, **fields: Any) -> TableComparison:
    """Compare one table of one shard."""
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0)),
        topology=make_topology(shards=1),
        observed=make_observation(make_target(0)),
    )
    tables = {} if standing is None else {standing.full_name: standing}
    [comparison] = comparisons_of(plan, make_restored(plan, tables={FIRST: tables}, **fields))
    return comparison


def test_a_restore_is_complete_when_every_table_passed_everywhere() -> None:
    outcome = outcome_of()
    assert (outcome.status, outcome.verdict) == (Status.COMPLETED, Verdict.PASSED)
    assert [replica.rows for replica in outcome.replicas] == [10, 10]


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        pytest.param(
            {"errors": {SECOND: REFUSED}}, Status.PARTIALLY_FAILED, id="one-replica-failed"
        ),
        pytest.param(
            {"errors": {FIRST: REFUSED, SECOND: REFUSED}}, Status.FAILED, id="both-replicas-failed"
        ),
        pytest.param(
            {"phases": {FIRST: "restored", SECOND: "dropped"}, "tables": {FIRST: STANDING}},
            Status.PARTIALLY_FAILED,
            id="one-stopped-halfway",
        ),
        pytest.param(
            {"tables": {FIRST: STANDING, SECOND: {}}}, Status.PARTIALLY_FAILED, id="table-missing"
        ),
        pytest.param({"rows": {}}, Status.FAILED, id="rows-not-compared"),
    ],
)
def test_anything_less_is_not_complete(trouble: dict[str, Any], status: Status) -> None:
    assert outcome_of(**trouble).status is status


def test_one_replicas_failure_does_not_hide_anothers_success() -> None:
    first, second = outcome_of(errors={SECOND: REFUSED}).replicas
    assert (first.done, second.done) == (True, False)
    assert (second.failed, second.message) == (True, "no such file")


def test_tables_at_which_nobody_looked_are_a_doubt_and_the_replicas_error_is_told() -> None:
    """Comparing only what came through would let one whole shard answer for a lost one."""
    outcome = outcome_of(
        errors={SECOND: REFUSED},
        phases={FIRST: "restored", SECOND: "dropped"},
        tables={FIRST: STANDING},
    )
    assert outcome.verdict is Verdict.UNKNOWN
    doubted = [c for c in outcome.comparisons if c.verdict is not Verdict.PASSED]
    assert [(c.replica, c.table, c.rows) for c in doubted] == [(SECOND, "shop.orders", 0)]
    assert outcome.replicas[1].message == "no such file"


def test_a_table_that_is_not_there_failed() -> None:
    assert only_comparison(None).verdict is Verdict.FAILED


def test_a_table_worded_differently_is_a_doubt() -> None:
    comparison = only_comparison(make_table(definition="CREATE TABLE shop.orders (id UInt32)"))
    assert comparison.verdict is Verdict.UNKNOWN


def test_a_filled_table_whose_rows_nobody_compared_is_a_doubt() -> None:
    assert only_comparison(make_table(), rows={}).verdict is Verdict.UNKNOWN


def test_a_definition_is_all_there_is_to_compare_where_no_rows_are_brought() -> None:
    plan = make_restore_plan(restore_request(schema_only=True))
    outcome = outcome_of(plan, rows={})
    assert (outcome.status, outcome.verdict) == (Status.COMPLETED, Verdict.PASSED)
    assert {compared.rows for compared in outcome.comparisons} == {0}


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        pytest.param(WHOLE, Verdict.PASSED, id="whole"),
        pytest.param({}, Verdict.FAILED, id="nothing-attached"),
        pytest.param(
            {"shop.orders": (make_part(), make_part("202601_2_2_0", hash=make_part().hash))},
            Verdict.FAILED,
            id="attached-twice",
        ),
        pytest.param(
            {"shop.orders": (make_part("202601_1_3_1", rows=30),)},
            Verdict.UNKNOWN,
            id="merged-away",
        ),
    ],
)
def test_rows_are_judged_by_their_fingerprint(seen: dict[str, Any], verdict: Verdict) -> None:
    [comparison] = rows_compared(make_restore_plan().replicas[0], seen)
    assert comparison.verdict is verdict


def test_rows_without_a_fingerprint_are_a_doubt() -> None:
    """Weak point 18: what could not be verified counted as fine."""
    record = make_table_record(fingerprint=None)
    manifest = make_manifest(
        make_replica_record(0).model_copy(update={"tables": (record,)}), make_replica_record(1)
    )
    outcome = outcome_of(make_restore_plan(manifest=manifest))
    assert (outcome.verdict, outcome.status) == (Verdict.UNKNOWN, Status.PARTIALLY_FAILED)


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [
        pytest.param((), Verdict.UNKNOWN, id="nothing-compared"),
        pytest.param((Verdict.PASSED,), Verdict.PASSED, id="passed"),
        pytest.param((Verdict.PASSED, Verdict.UNKNOWN), Verdict.UNKNOWN, id="one-doubt"),
        pytest.param((Verdict.UNKNOWN, Verdict.FAILED), Verdict.FAILED, id="one-failure"),
    ],
)
def test_only_passed_everywhere_is_passed(verdicts: tuple[Verdict, ...], overall: Verdict) -> None:
    assert overall_verdict(verdicts) is overall


@pytest.mark.parametrize(("saved", "kept"), [({FIRST}, "pre-restore-op-1"), (set(), None)])
def test_a_safety_copy_is_named_only_where_one_was_taken(saved: set[str], kept: str | None) -> None:
    outcome = outcome_of(saved=frozenset(saved))
    assert outcome.safety_copy == kept
    assert any("pre-restore-op-1" in step for step in outcome.next_steps) is bool(kept)


def test_an_incomplete_restore_says_how_to_go_on() -> None:
    steps = outcome_of(errors={SECOND: REFUSED}).next_steps
    assert any("operation_id='op-1'" in step for step in steps)


def test_what_was_given_up_is_told_in_the_end() -> None:
    log = make_table("l", engine="Log")
    plan = make_restore_plan(
        restore_request(overwrite=True, accept_loss=["shop.l"]),
        manifest=make_manifest(make_replica_record(0, tables=[log])),
        topology=make_topology(shards=1),
        observed=make_observation(make_target(0, 0, log)),
    )
    assert f"lost as accepted: shop.l on {FIRST}" in outcome_of(plan).notes


def test_a_dry_run_says_what_would_be_done_and_how_to_approve_it() -> None:
    plan = make_restore_plan()
    outcome = dry_run_outcome(plan, make_attempt(), finished=NOW)
    assert (outcome.status, outcome.verdict) == (Status.PLANNED, Verdict.UNKNOWN)
    assert outcome.plan == plan.lines
    assert plan.digest in outcome.next_steps[0]
