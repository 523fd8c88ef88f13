"""Journals: what ended, what was left open, what is ours, and who else is under way."""

import json
from dataclasses import asdict

import pytest

from tasks.domain.journal import (
    Entry,
    Event,
    Journal,
    LockFacts,
    is_surely_over,
    others_under_way,
)
from tests.builders import (
    BACKUP,
    OPERATION,
    backup_request,
    made,
    make_entry,
    make_journal,
    make_table,
    started,
)

INTENT, STEP = make_entry(Event.INTENT, "data"), make_entry(Event.STEP, "data")
STARTED, FINISHED = make_entry(Event.STARTED), make_entry(Event.FINISHED)
ANOTHER = make_entry(Event.STARTED, operation_id="op-2", at=5)


@pytest.mark.parametrize(
    ("entries", "left_open", "did"),
    [
        pytest.param([], False, False, id="nothing"),
        pytest.param([INTENT], True, False, id="intent"),
        pytest.param([INTENT, STEP], False, True, id="intent-and-end"),
        pytest.param([INTENT, STEP, INTENT], True, True, id="begun-again"),
        pytest.param([INTENT, STEP, INTENT, STEP], False, True, id="ended-again"),
        pytest.param([INTENT, INTENT], True, False, id="two-intents"),
        pytest.param([STEP], False, True, id="end-without-intent"),
        pytest.param([make_entry(Event.INTENT, "drop")], False, False, id="another-step"),
        pytest.param(
            [INTENT, make_entry(Event.STEP, "drop")], True, False, id="end-of-another-step"
        ),
        pytest.param([INTENT, FINISHED], True, False, id="operation-ended"),
    ],
)
def test_a_step_is_left_open_from_its_intent_to_its_end(
    entries: list[Entry], *, left_open: bool, did: bool
) -> None:
    journal = make_journal(*entries)
    assert (journal.left_open("data"), journal.did("data")) == (left_open, did)


@pytest.mark.parametrize(
    ("entries", "unfinished"),
    [
        pytest.param([], set(), id="nothing"),
        pytest.param([STARTED], {OPERATION}, id="started"),
        pytest.param([STARTED, FINISHED], set(), id="finished"),
        pytest.param([STARTED, FINISHED, STARTED], {OPERATION}, id="started-again"),
        pytest.param([STARTED, ANOTHER, FINISHED], {"op-2"}, id="only-one-finished"),
        pytest.param([FINISHED], set(), id="end-without-start"),
        pytest.param([STARTED, STEP], {OPERATION}, id="steps-are-no-end"),
    ],
)
def test_an_operation_is_unfinished_until_its_end_is_written(
    entries: list[Entry], unfinished: set[str]
) -> None:
    assert {entry.operation_id for entry in make_journal(*entries).unfinished()} == unfinished


def test_the_last_entry_of_a_kind_counts() -> None:
    older, newer = make_entry(payload="older"), make_entry(payload="newer")
    assert make_journal(older, newer).last(Event.STEP) is newer


def test_an_entry_about_another_subject_does_not_count() -> None:
    assert make_journal(make_entry(Event.MANIFEST, "other")).last(Event.MANIFEST, BACKUP) is None


def test_entries_of_other_operations_are_nobodys_history() -> None:
    journal = make_journal(make_entry(operation_id="op-2", subject="data")).of(OPERATION)
    assert not journal.did("data")


def test_an_operation_id_that_begins_like_another_is_another() -> None:
    assert make_journal(make_entry(operation_id="op-12")).of("op-1").entries == ()


def test_the_newest_identity_of_a_table_counts() -> None:
    older, newer = make_table(modified=1), make_table(modified=2)
    journal = make_journal(made(older, make_table("b")), made(newer))
    assert journal.identities() == {
        "shop.orders": newer.identity,
        "shop.b": make_table("b").identity,
    }


def test_the_name_of_the_backup_comes_from_the_start() -> None:
    journal = make_journal(started(backup_request(), name="weekly"))
    assert (journal.name_of(OPERATION), journal.name_of("op-2")) == ("weekly", None)


def test_others_are_told_once_each_oldest_first() -> None:
    """Weak point 22: nothing kept backups and restores apart."""
    third = make_entry(Event.STARTED, operation_id="op-3", at=3)
    journals = [make_journal(STARTED, ANOTHER), make_journal(ANOTHER, third), Journal(())]
    found = others_under_way(journals, operation_id=OPERATION)
    assert [entry.operation_id for entry in found] == ["op-3", "op-2"]


def test_an_operation_is_not_in_its_own_way() -> None:
    assert others_under_way([make_journal(STARTED)], operation_id=OPERATION) == ()


def test_an_entry_without_payload_has_no_document() -> None:
    assert make_entry().document() is None


TABLE, LEASE = "table:chi-demo-main-0-0", "lease:prod/chops-demo"


def begun(door: str | None = TABLE, *, instance: str = "i") -> Entry:
    facts = LockFacts(door=door or "", instance=instance, generation=1, lease_seconds=60)
    document = {"name": BACKUP, "request": {}} | ({"lock": asdict(facts)} if door else {})
    return make_entry(Event.STARTED, payload=json.dumps(document))


@pytest.mark.parametrize(
    ("start", "elsewhere", "over"),
    [
        pytest.param(begun(TABLE), [], True, id="under-the-lock-that-we-hold"),
        pytest.param(begun(LEASE), [], False, id="under-another-lock"),
        pytest.param(begun(None), [], False, id="under-who-knows-which-lock"),
        pytest.param(
            begun(LEASE), [make_entry(Event.FINISHED, "i")], True, id="ended-on-another-replica"
        ),
        pytest.param(
            begun(LEASE), [make_entry(Event.FINISHED, "h")], False, id="an-earlier-attempt-ended"
        ),
        pytest.param(
            begun(LEASE),
            [make_entry(Event.FINISHED, "i", operation_id="op-2")],
            False,
            id="another-operation-ended",
        ),
    ],
)
def test_another_operation_is_over_when_we_hold_its_lock_or_that_very_attempt_wrote_its_end(
    start: Entry, elsewhere: list[Entry], *, over: bool
) -> None:
    journals = [make_journal(start), make_journal(*elsewhere)]
    assert is_surely_over(start, journals, door=TABLE) is over


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        pytest.param("noticed", "", id="unknown-event"),
        pytest.param("started", "", id="start-of-nothing"),
        pytest.param("started", "not json", id="not-json"),
        pytest.param("started", "[1]", id="no-object"),
        pytest.param("started", '{"name": "b", "lock": {"a": 1}}', id="no-lock"),
    ],
)
def test_a_row_that_no_operation_wrote_is_not_taken_for_one(event: str, payload: str) -> None:
    row = {"at": 1, "operation_id": "ghost", "operation": "backup", "subject": ""}
    with pytest.raises(ValueError, match=r"start|Event|Expecting"):
        Entry.from_row(row | {"event": event, "payload": payload})
