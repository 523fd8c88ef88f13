"""A prune: what journals say before it, what its plan pins, what its outcome tells."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.domain.actions import Action, ActionStatus
from tasks.domain.catalogue import Backup, State
from tasks.domain.errors import ClusterUnavailable, InvalidRequest
from tasks.domain.hold_result import checked_reason, hold_outcome
from tasks.domain.journal import Entry, Event, Journal, Step
from tasks.domain.outcomes import Status
from tasks.domain.prune_plan import Doomed, PrunePlan, demand_approved, plan_prune
from tasks.domain.prune_result import Pruned, PruneOutcome, planned_outcome, prune_outcome
from tasks.domain.recovery import Interrupted, Remains, Way, recover, touched_by
from tasks.domain.retention import decide
from tasks.domain.retention_journal import circumstances_of, hold_of, to_note
from tasks.domain.retention_judgement import NEEDS_IT
from tasks.domain.retention_policy import RetentionPolicy
from tests.builders import (
    OPERATION,
    complete_listing,
    make_attempt,
    make_entry,
    make_journal,
    make_listed,
    make_listing,
    replica_name,
)
from tests.unit.tasks.domain.catalogues import (
    NOW,
    ago,
    make_backup,
    make_broken,
    make_catalogue,
    make_copy,
    make_stranger,
)

HERE = replica_name()
OLD, NEW = make_backup("old", at=ago(days=9)), make_backup("new", at=ago(days=1))
POLICY = RetentionPolicy(keep_last=1)


def make_plan(*backups: Backup) -> PrunePlan:
    catalogue = make_catalogue(*(backups or (OLD, NEW)))
    return plan_prune(
        catalogue, decide(catalogue, POLICY, now=NOW, zone=UTC), pins=("b0", "nosuch")
    )


def deleting(backup: Backup, **fields: Any) -> Entry:
    announced = Doomed.of(backup).announced_on(HERE).model_dump_json()
    return make_entry(Event.DELETING, backup.name, payload=announced, **fields)


def held(*events: Event) -> Journal:
    return make_journal(*(make_entry(event, payload="audit") for event in events))


@pytest.mark.parametrize(
    ("journals", "told"),
    [
        pytest.param([held()], "", id="never"),
        pytest.param([held(Event.HELD)], "audit", id="held"),
        pytest.param([held(Event.HELD, Event.RELEASED)], "", id="released"),
        pytest.param([held(Event.RELEASED, Event.HELD)], "audit", id="held-again"),
        pytest.param([held(Event.RELEASED), held(Event.HELD)], "audit", id="one-is-enough"),
    ],
)
def test_a_hold_counts_until_every_replica_knows_of_its_end(
    journals: list[Journal], told: str
) -> None:
    assert hold_of(journals) == told


HALF = make_stranger("old", state=State.INCOMPLETE, why="missing on shard 1")


@pytest.mark.parametrize(
    ("left", "entries", "is_begun"),
    [
        pytest.param(HALF, [deleting(OLD)], True, id="its-data-are-left"),
        pytest.param(
            make_backup("old", at=ago(days=9), state=State.INCOMPLETE, why="missing on shard 0"),
            [deleting(OLD)],
            True,
            id="one-shard-was-away",
        ),
        pytest.param(
            make_stranger("old", copies=(make_copy(created_at=1_800_000_000),)),
            [deleting(OLD)],
            False,
            id="the-name-came-back",
        ),
        pytest.param(
            make_backup("old", manifest=NEW.manifest), [deleting(OLD)], False, id="another-backup"
        ),
        pytest.param(HALF, [deleting(NEW)], False, id="another-name"),
        pytest.param(
            HALF, [deleting(OLD), make_entry(Event.MENDED, "old")], False, id="found-sound-since"
        ),
        pytest.param(
            HALF, [make_entry(Event.DELETING, "old", payload="{")], False, id="unreadable"
        ),
    ],
)
def test_a_deletion_is_known_again_by_the_very_copy_it_was_announced_for(
    left: Backup, entries: list[Entry], *, is_begun: bool
) -> None:
    seen = circumstances_of({HERE: make_journal(*entries)}, make_catalogue(left))
    assert seen.begun == ({"old": OPERATION} if is_begun else {})


def test_a_backup_is_broken_since_a_prune_first_saw_it_so_and_not_mended() -> None:
    journal = make_journal(
        make_entry(Event.BROKEN, "a", at=100),
        make_entry(Event.BROKEN, "b", at=100),
        make_entry(Event.MENDED, "a", at=200),
        make_entry(Event.BROKEN, "a", at=300),
        make_entry(Event.BROKEN, "a", at=400),
    )
    later = make_journal(make_entry(Event.BROKEN, "b", at=500))
    seen = circumstances_of({"r0": journal, "r1": later}, make_catalogue())
    assert seen.broken_since == {
        "a": datetime.fromtimestamp(300, UTC),
        "b": datetime.fromtimestamp(500, UTC),
    }


@pytest.mark.parametrize(
    ("backup", "entries", "noted"),
    [
        pytest.param(make_broken("x"), [], {"x": Event.BROKEN}, id="broke"),
        pytest.param(make_broken("x"), [make_entry(Event.BROKEN, "x")], {}, id="known"),
        pytest.param(
            make_backup("x"), [make_entry(Event.BROKEN, "x")], {"x": Event.MENDED}, id="mended"
        ),
        pytest.param(
            make_backup("y"), [make_entry(Event.BROKEN, "x")], {"x": Event.MENDED}, id="gone"
        ),
        pytest.param(
            make_backup("x"), [deleting(make_backup("x"))], {"x": Event.MENDED}, id="spared"
        ),
    ],
)
def test_a_prune_notes_what_changed(
    backup: Backup, entries: list[Entry], noted: Mapping[str, Event]
) -> None:
    assert to_note(make_journal(*entries), make_catalogue(backup), HERE, going=()) == noted


def test_a_whole_backup_that_is_to_go_is_not_called_sound() -> None:
    journal = make_journal(deleting(OLD))
    assert to_note(journal, make_catalogue(OLD), HERE, going={"old"}) == {}


@pytest.mark.parametrize(
    ("row", "running", "words"),
    [
        pytest.param(make_listed("old"), "", "", id="as-planned"),
        pytest.param(make_listed("old", created_at=1_800_000_000), "", "another", id="replaced"),
        pytest.param(make_listed("late", required="old"), "", "late needs it", id="new-child"),
        pytest.param(make_listed("old"), "upload old", "is at work", id="at-work"),
        pytest.param(make_listed("old"), "delete remote old", "", id="being-deleted"),
        pytest.param(make_listed("old"), "upload new", "", id="at-work-for-another"),
    ],
)
def test_what_changed_since_the_plan_hinders(row: Any, running: str, words: str) -> None:
    actions = [Action(command=running, status=ActionStatus.IN_PROGRESS)] if running else []
    told = Doomed.of(OLD).hindrance(HERE, make_listing(row), actions)
    assert words in told
    assert bool(told) == bool(words)


def test_the_digest_pins_what_goes_and_nothing_else() -> None:
    newest = make_backup("newest", at=ago(hours=1))
    partial = make_stranger("theirs")
    assert make_plan().digest == make_plan(OLD, NEW, partial).digest
    assert make_plan().digest != make_plan(OLD, NEW, newest).digest
    assert (
        make_plan().digest != make_plan(make_backup("old", at=ago(days=9), copies=()), NEW).digest
    )


def test_a_rerun_is_held_to_the_plan_that_it_began() -> None:
    begun = make_plan(OLD, NEW, make_backup("newest", at=ago(hours=1)))
    rest = make_plan(make_stranger("old"), NEW)
    journal = make_journal(make_entry(Event.INTENT, Step.PLAN, payload=begun.note))
    demand_approved(rest, begun.digest, [make_journal(), journal])
    demand_approved(begun, begun.digest, [])
    demand_approved(begun, None, [])
    more = make_plan(make_backup("other", at=ago(days=3)), NEW)
    for plan, journals in ((more, [journal]), (make_plan(), [])):
        with pytest.raises(InvalidRequest, match="look at a dry run again"):
            demand_approved(plan, begun.digest, journals)


def outcome(pruned: Pruned, *backups: Backup) -> PruneOutcome:
    attempt = make_attempt(operation="prune")
    replicas = [("0", HERE), ("1", replica_name(1))]
    plan = make_plan(*backups)
    return prune_outcome(plan, attempt, pruned, replicas=replicas, finished=NOW)


@pytest.mark.parametrize(
    ("pruned", "status"),
    [
        pytest.param(Pruned(deleted=("old",)), Status.COMPLETED, id="all"),
        pytest.param(
            Pruned(deleted=("a",), standing={"old": "locked"}), Status.PARTIALLY_FAILED, id="some"
        ),
        pytest.param(Pruned(standing={"old": "locked"}), Status.FAILED, id="none"),
        pytest.param(Pruned(troubles={HERE: "no answer"}), Status.FAILED, id="silent"),
        pytest.param(Pruned(gap="old is missing"), Status.FAILED, id="doubtful-listing"),
        pytest.param(Pruned(missing=("gone",)), Status.COMPLETED, id="already-gone"),
    ],
)
def test_a_prune_is_complete_when_all_that_was_to_go_is_gone_and_nothing_in_doubt(
    pruned: Pruned, status: Status
) -> None:
    found = outcome(pruned)
    assert found.status is status
    assert bool(found.next_steps) == (status is not Status.COMPLETED)


def test_what_a_stranger_keeps_in_place_leaves_a_prune_incomplete() -> None:
    found = outcome(Pruned(), OLD, NEW, make_stranger("theirs", "old"))
    assert found.status is Status.FAILED
    assert "theirs" in found.standing["old"]
    assert "old still stands: theirs needs it" in found.headline


def test_what_is_not_deleted_since_another_one_needs_it_names_the_way_out() -> None:
    found = outcome(Pruned(standing={"old": f"late {NEEDS_IT}"}))
    assert "--cascade" in found.next_steps[0]


def test_an_outcome_tells_what_each_replica_freed_and_which_shard_failed() -> None:
    found = outcome(Pruned(deleted=("old",), freed={HERE: 2048}, down={"1": "it died"}))
    assert [(r.size_bytes, r.failed) for r in found.replicas] == [(2048, False), (0, True)]
    plan, replicas = found.sheets
    assert [line["fate"] for line in plan.lines] == ["delete", "keep"]
    assert replicas.lines[0]["message"] == "it died"
    assert found.facts["freed"] == "2.0 KiB"


def test_a_dry_run_says_how_to_hold_the_next_run_to_it() -> None:
    plan = make_plan()
    found = planned_outcome(plan, make_attempt(operation="prune"), finished=NOW)
    assert (found.status, found.deleted) == (Status.PLANNED, ())
    assert plan.digest in found.next_steps[0]
    assert "1 backups to be deleted of 2" in found.headline


def test_an_interrupted_prune_is_kept_as_it_stands_and_its_deletions_are_waited_for() -> None:
    begun = make_entry(Event.STARTED, operation="prune", payload='{"name": "*", "request": {}}')
    journal = make_journal(begun, deleting(OLD, operation="prune"))
    remains = Remains(shard="0", replica=HERE, journal=journal, listing=complete_listing())
    seen = Interrupted(operation="prune", operation_id=OPERATION, name="*", remains=(remains,))
    (remedy,) = recover(seen)
    assert (remedy.way, remedy.delete) == (Way.KEEP, ())
    assert {"old", "old.manifest"} <= touched_by(begun, journal)


@pytest.mark.parametrize(
    ("reason", "release", "told"),
    [
        pytest.param("  audit,\n says ann ", False, "audit, says ann", id="one-line"),
        pytest.param("", True, "", id="a-release-needs-none"),
    ],
)
def test_a_reason_is_kept_as_one_line(reason: str, *, release: bool, told: str) -> None:
    assert checked_reason(reason, release=release) == told


@pytest.mark.parametrize(
    "reason", [pytest.param(" ", id="none"), pytest.param("x" * 501, id="long")]
)
def test_a_hold_without_a_fit_reason_is_refused(reason: str) -> None:
    with pytest.raises(InvalidRequest, match="reason"):
        checked_reason(reason, release=False)


@pytest.mark.parametrize(
    ("silent", "status"),
    [
        pytest.param(0, Status.COMPLETED, id="all-noted"),
        pytest.param(1, Status.PARTIALLY_FAILED, id="one-silent"),
        pytest.param(2, Status.FAILED, id="all-silent"),
    ],
)
def test_a_hold_tells_which_replicas_did_not_note_it(silent: int, status: Status) -> None:
    away = ClusterUnavailable("no answer")
    noted = {(str(n), replica_name(n)): away if n < silent else None for n in range(2)}
    found = hold_outcome(
        noted, make_attempt(operation="hold"), reason="audit", release=False, finished=NOW
    )
    assert found.status is status
    assert bool(found.next_steps) == bool(silent)


def test_a_pin_that_names_no_backup_is_told() -> None:
    plan = make_plan(make_backup("b0"))
    assert plan.notes == ("the pin nosuch protects nothing: no replica lists such a backup",)
