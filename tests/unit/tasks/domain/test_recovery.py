"""The one recovery rule: a listed manifest keeps everything, anything else goes, doubt keeps it."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tasks.domain.abort_result import Abandoned, ways_out
from tasks.domain.journal import Entry, Event, Journal, Step
from tasks.domain.recovery import (
    Interrupted,
    Remains,
    Remedy,
    Way,
    recover,
    state_of_restore,
)
from tests.builders import (
    BACKUP,
    OPERATION,
    make_entry,
    make_journal,
    make_listed,
    make_listing,
    replica_name,
)

MANIFEST = f"{BACKUP}.manifest"
SAFETY = f"pre-restore-{OPERATION}"
BROKEN = "broken (can't stat metadata.json)"
OTHER = ("remote", "older")
State = dict[str, Any]


def entries(words: Iterable[str]) -> list[Entry]:
    """Make rows of words: `create?` an intent, `create` a step, `manifest!` the noted text."""
    found = []
    for word in words:
        if word == "manifest!":
            found.append(make_entry(Event.MANIFEST, BACKUP))
        elif word in {"undone", "started", "finished"}:
            found.append(make_entry(Event(word)))
        elif word.endswith("?"):
            found.append(make_entry(Event.INTENT, word.removesuffix("?")))
        else:
            found.append(make_entry(Event.STEP, word))
    return found


def journal_of(*words: str) -> Journal:
    return make_journal(*entries(words)).of(OPERATION)


def remains(
    shard: int = 0,
    *,
    journal: str = "",
    lists: Iterable[tuple[str, str]] = (),
    broken: Iterable[tuple[str, str]] = (),
    trouble: str = "",
) -> Remains:
    rows = [make_listed(name, location=where, desc="regular") for where, name in lists]
    rows += [make_listed(name, location=where, desc=BROKEN) for where, name in broken]
    return Remains(
        shard=str(shard),
        replica=replica_name(shard),
        journal=journal_of(*journal.split()),
        listing=make_listing(*rows),
        trouble=trouble,
    )


def interrupted(*seen: Remains, operation: str = "backup", silent: str = "") -> Interrupted:
    return Interrupted(
        operation=operation,
        operation_id=OPERATION,
        name=BACKUP,
        remains=seen,
        silent={silent: "no answer"} if silent else {},
    )


def ways(seen: Interrupted) -> list[Way]:
    return [remedy.way for remedy in recover(seen)]


FROZEN: State = {"journal": "started create?", "lists": [("local", BACKUP)]}
UPLOADING: State = {
    "journal": "started create? upload?",
    "lists": [("local", BACKUP)],
    "broken": [("remote", BACKUP)],
}
UPLOADED: State = {
    "journal": "started create? upload?",
    "lists": [("local", BACKUP), ("remote", BACKUP)],
}
NOTED: State = UPLOADED | {"journal": "started create? upload? manifest!"}
COMMITTED: State = {
    "journal": "started create? upload? manifest! manifest",
    "lists": [("remote", BACKUP), ("remote", MANIFEST)],
}
BLIND: State = {"journal": "started create? upload? manifest!", "lists": [("local", BACKUP)]}
PARTIAL: State = BLIND | {"lists": [("local", BACKUP), OTHER]}
UNDOING: State = {"journal": "started create? upload? manifest! undo?"}
UNDONE: State = {"journal": "started create? upload? manifest! undo? undone"}
BYSTANDER: State = {"journal": "started", "lists": [OTHER]}

BEFORE_COMMIT: dict[str, State] = {"frozen": FROZEN, "uploading": UPLOADING, "uploaded": UPLOADED}
STATES: dict[str, State] = {
    **BEFORE_COMMIT,
    "noted": NOTED,
    "committed": COMMITTED,
    "blind": BLIND,
    "partial": PARTIAL,
    "bystander": BYSTANDER,
}


@pytest.mark.parametrize("other", STATES)
def test_one_listed_manifest_rolls_every_shard_forward_and_deletes_nothing_remote(
    other: str,
) -> None:
    remedies = recover(interrupted(remains(0, **STATES[other]), remains(1, **COMMITTED)))
    assert {remedy.way for remedy in remedies} == {Way.ROLL_FORWARD}
    assert [copy for remedy in remedies for copy in remedy.delete if copy[0] == "remote"] == []
    lacks = other not in {"committed", "bystander"}
    author = replica_name(0 if "manifest!" in STATES[other]["journal"] else 1)
    assert [remedy.manifest for remedy in remedies] == [author if lacks else None, None]


@pytest.mark.parametrize("silent", ["", "chi-demo-main-9-0"], ids=["all-answer", "one-is-silent"])
@pytest.mark.parametrize(
    ("one", "two"),
    [pytest.param(a, b, id=f"{a}-{b}") for a, b in product(BEFORE_COMMIT, BEFORE_COMMIT)],
)
def test_a_backup_whose_manifest_no_journal_knows_is_undone_whoever_is_silent(
    one: str, two: str, silent: str
) -> None:
    states = (remains(0, **STATES[one]), remains(1, **STATES[two]))
    remedies = recover(interrupted(*states, silent=silent))
    assert [remedy.way for remedy in remedies] == [Way.UNDO, Way.UNDO]
    for state, remedy in zip(states, remedies, strict=True):
        assert state.listing is not None
        assert set(remedy.delete) == {(row.location, row.name) for row in state.listing.rows}


@pytest.mark.parametrize(
    ("one", "two", "way"),
    [
        pytest.param(NOTED, NOTED, Way.UNDO, id="none-of-the-copies-is-listed"),
        pytest.param(NOTED, BYSTANDER, Way.UNDO, id="who-took-no-part-is-not-asked"),
        pytest.param(NOTED, BLIND, Way.LEAVE, id="a-listing-without-a-remote-row"),
        pytest.param(NOTED, PARTIAL, Way.LEAVE, id="a-listing-without-the-data-beside-it"),
        pytest.param(BLIND, UNDOING, Way.UNDO, id="an-undo-that-was-begun-is-ended"),
        pytest.param(NOTED, UNDONE, Way.UNDO, id="an-undo-that-ended-elsewhere-is-ended"),
    ],
)
def test_a_manifest_that_may_have_been_written_is_missed_only_where_a_listing_shows_what_is_beside(
    one: State, two: State, way: Way
) -> None:
    assert ways(interrupted(remains(0, **one), remains(1, **two))) == [way, way]


def test_a_silent_replica_may_hold_the_only_manifest() -> None:
    seen = interrupted(remains(0, **NOTED), silent="chi-demo-main-1-0")
    (remedy,) = recover(seen)
    assert remedy.way is Way.LEAVE
    assert "chi-demo-main-1-0" in remedy.why
    assert remedy.delete == (("local", BACKUP),)


def test_under_a_manifest_that_is_not_ours_nothing_remote_is_ours_any_more() -> None:
    """The name was used again while a replica was away, perhaps in the path of its shard."""
    for words in ("started create? upload?", UNDOING["journal"], UNDONE["journal"]):
        state = remains(0, journal=words, lists=COMMITTED["lists"])
        (remedy,) = recover(interrupted(state))
        assert (remedy.way, remedy.delete) == (Way.UNDO, ())
    alone = remains(0, journal="started", lists=COMMITTED["lists"])
    assert ways(interrupted(alone)) == [Way.LEAVE]


def test_the_newest_manifest_is_the_one_that_is_written() -> None:
    """A replica that was away may know that of an attempt which was undone."""
    rows = [*entries(["started", "create?", "upload?"]), make_entry(Event.MANIFEST, BACKUP, at=1)]
    away = replace(remains(0, **UPLOADED), journal=make_journal(*rows))
    missing, _ = recover(interrupted(away, remains(1, **COMMITTED)))
    assert missing.manifest == replica_name(1)


def test_an_attempt_after_an_undo_counts_anew() -> None:
    words = f"{UNDONE['journal']} {COMMITTED['journal']}"
    state = remains(0, journal=words, lists=COMMITTED["lists"])
    assert ways(interrupted(state)) == [Way.ROLL_FORWARD]


def test_what_the_journal_does_not_prove_ours_stays() -> None:
    lists = [(where, name) for where in ("local", "remote") for name in (BACKUP, "older", MANIFEST)]
    (remedy,) = recover(interrupted(remains(0, journal="started create?", lists=lists)))
    assert remedy.delete == (("local", MANIFEST), ("local", BACKUP))


def test_the_manifest_goes_before_its_data_and_local_copies_before_both() -> None:
    """A sidecar that restarts meanwhile would upload a local copy again."""
    state = remains(0, **NOTED | {"broken": [("remote", MANIFEST), ("local", MANIFEST)]})
    (remedy,) = recover(interrupted(state))
    assert remedy.delete == (
        ("local", MANIFEST),
        ("local", BACKUP),
        ("remote", MANIFEST),
        ("remote", BACKUP),
    )


def test_probes_go_wherever_they_are_and_whatever_became_of_the_backup() -> None:
    probes = [("local", f"{BACKUP}.probe0"), ("remote", f"{BACKUP}.probe1")]
    for state in (FROZEN, COMMITTED, BLIND):
        seen = interrupted(remains(0, **state | {"lists": [*state["lists"], *probes]}))
        assert set(probes) <= set(recover(seen)[0].delete)


def test_a_broken_manifest_commits_nothing() -> None:
    state = NOTED | {"broken": [("remote", MANIFEST)]}
    assert ways(interrupted(remains(0, **state))) == [Way.UNDO]


@pytest.mark.parametrize("operation", ["backup", "restore", "verify"])
@pytest.mark.parametrize("state", STATES)
def test_nothing_is_touched_where_something_is_still_at_work(state: str, operation: str) -> None:
    stuck = remains(0, **STATES[state] | {"trouble": "still at work"})
    (remedy,) = recover(interrupted(stuck, operation=operation))
    assert remedy == Remedy(replica=replica_name(0), way=Way.LEAVE, why="still at work")


@pytest.mark.parametrize(
    ("journal", "listed", "doubted"),
    [
        pytest.param("create? upload?", [], True, id="nothing-remote-is-listed"),
        pytest.param("create? upload?", [OTHER], False, id="the-storage-answers"),
        pytest.param("create? upload? undo?", [], False, id="deleted-by-an-earlier-try"),
        pytest.param("create?", [], False, id="nothing-was-uploaded"),
    ],
)
def test_an_upload_that_an_empty_listing_does_not_show_is_told(
    journal: str, listed: list[tuple[str, str]], *, doubted: bool
) -> None:
    (remedy,) = recover(interrupted(remains(0, journal=f"started {journal}", lists=listed)))
    assert remedy.way is Way.UNDO
    assert ("may still lie there" in remedy.why) is doubted


def test_a_sidecar_that_does_not_say_what_it_holds_is_left_open() -> None:
    mute = Remains(shard="0", replica=replica_name(), journal=journal_of("started", "create?"))
    assert ways(interrupted(mute)) == [Way.LEAVE]


def test_an_operation_that_stores_nothing_has_nothing_to_undo() -> None:
    (remedy,) = recover(interrupted(remains(0, **UPLOADED), operation="verify"))
    assert (remedy.way, remedy.delete) == (Way.UNDO, ())


WHOLE = [("local", BACKUP), ("local", SAFETY), ("remote", BACKUP)]


def test_a_restore_is_undone_before_its_first_drop() -> None:
    state = remains(0, journal="started download? safety? safety", lists=WHOLE)
    (remedy,) = recover(interrupted(state, operation="restore"))
    assert remedy.way is Way.UNDO
    assert remedy.delete == (("local", BACKUP), ("local", SAFETY))


def test_a_silent_replica_may_have_dropped_so_copies_for_its_undo_stay() -> None:
    state = remains(0, journal="started download? safety? safety", lists=WHOLE)
    (remedy,) = recover(interrupted(state, operation="restore", silent=replica_name(1)))
    assert (remedy.way, remedy.delete) == (Way.KEEP, ())
    assert f"{replica_name(1)} may have dropped" in remedy.why


def test_a_local_copy_that_was_there_before_the_restore_stays() -> None:
    state = remains(0, journal="started", lists=WHOLE[:1])
    (remedy,) = recover(interrupted(state, operation="restore"))
    assert remedy.delete == ()


@pytest.mark.parametrize("here", ["drop?", ""], ids=["dropped-here", "dropped-elsewhere"])
def test_after_the_first_drop_anywhere_tables_stand_and_only_partial_copies_go(here: str) -> None:
    whole = remains(0, journal=f"started download? download {here}", lists=WHOLE)
    partial = remains(1, journal="started download? drop?", broken=WHOLE[:1])
    remedies = recover(interrupted(whole, partial, operation="restore"))
    assert [remedy.way for remedy in remedies] == [Way.KEEP, Way.KEEP]
    assert [remedy.delete for remedy in remedies] == [(), (("local", BACKUP),)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param("download", "nothing was dropped here", id="prepared"),
        pytest.param("drop?", "dropped in part", id="dropping"),
        pytest.param("drop? drop", "created in part or not at all", id="dropped"),
        pytest.param("drop? drop schema? schema", "created and empty", id="created"),
        pytest.param("drop? drop schema data?", "nobody can tell", id="attaching"),
        pytest.param("drop? drop schema data? data", "rows are back", id="attached"),
        pytest.param("drop? drop schema data? data late", "restored", id="restored"),
    ],
)
def test_what_a_restore_left_on_a_replica_is_told(words: str, told: str) -> None:
    assert told in state_of_restore(journal_of(*words.split()))


def abandoned(seen: Interrupted, **troubles: str) -> Abandoned:
    return Abandoned(seen=seen, remedies=recover(seen), troubles=troubles)


def test_an_operation_is_over_when_it_is_closed_on_every_replica() -> None:
    seen = interrupted(remains(0, **UPLOADING))
    assert abandoned(seen).over
    assert ways_out(abandoned(seen)) == ()
    assert abandoned(seen, here="refused").open_on == {"here": "refused"}


def test_who_is_away_keeps_the_operation_open_and_is_in_nobodys_way() -> None:
    """The next operation does without it, and gives the rest up when it is back."""
    away = replace(remains(1, **UPLOADING), trouble="no sidecar", away=True)
    left = abandoned(interrupted(remains(0, **UPLOADING), away, silent="chi-demo-main-2-0"))
    assert set(left.open_on) == {away.replica, "chi-demo-main-2-0"}
    assert left.stuck_on == {}
    stuck = replace(away, trouble="still at work", away=False)
    assert abandoned(interrupted(stuck)).stuck_on == {away.replica: "still at work"}


def test_what_became_of_it_is_one_sentence() -> None:
    left = abandoned(interrupted(remains(0, **UPLOADING), silent="chi-demo-main-1-0"))
    assert left.sentence == (
        f"backup operation {OPERATION} was given up: undone on 1 replicas; "
        "left open on chi-demo-main-1-0: no answer"
    )


def test_a_silent_replica_keeps_it_open_and_is_named_with_both_ways_out() -> None:
    left = abandoned(interrupted(remains(0, **UPLOADING), silent="chi-demo-main-1-0"))
    assert left.open_on == {"chi-demo-main-1-0": "no answer"}
    assert OPERATION in ways_out(left)[0]


@pytest.mark.parametrize(
    ("words", "undo"),
    [
        pytest.param("started safety drop?", f"backup={SAFETY!r}, overwrite=True", id="saved"),
        pytest.param("started drop?", "no safety copy was taken", id="nothing-saved"),
    ],
)
def test_a_restore_that_dropped_tables_is_told_with_both_ways_out(words: str, undo: str) -> None:
    left = abandoned(interrupted(remains(0, journal=words), operation="restore"))
    assert left.over
    finish, taken_back = ways_out(left)
    assert f"operation_id={OPERATION!r}" in finish
    assert undo in taken_back


def test_a_restore_that_was_finished_has_nothing_left_to_do() -> None:
    words = "started drop? drop schema? schema data? data late? late finished"
    assert ways_out(abandoned(interrupted(remains(0, journal=words), operation="restore"))) == ()


def test_a_local_copy_of_a_stranger_with_the_name_of_the_safety_copy_stays() -> None:
    state = remains(0, journal="started", lists=[("local", SAFETY)])
    (remedy,) = recover(interrupted(state, operation="restore"))
    assert remedy.delete == ()


def test_the_safety_copy_that_an_undo_reads_outlives_an_abort_of_the_undo() -> None:
    source = "pre-restore-op-before"
    state = remains(
        0, journal="started safety? safety", lists=[("local", source), ("local", SAFETY)]
    )
    seen = replace(interrupted(state, operation="restore"), name=source)
    (remedy,) = recover(seen)
    assert (remedy.way, remedy.delete) == (Way.UNDO, (("local", SAFETY),))


def test_what_was_undone_is_forgotten_but_that_it_began() -> None:
    journal = journal_of(
        "started", "create?", "upload?", "manifest!", "undo?", "undone", "finished"
    )
    assert [entry.event for entry in journal.entries] == [
        Event.STARTED,
        Event.UNDONE,
        Event.FINISHED,
    ]
    assert journal.last(Event.INTENT) is None
    assert journal.unfinished() == ()


def test_what_a_later_attempt_did_counts_again() -> None:
    journal = journal_of("started", "create?", "undone", "started", "upload?")
    assert journal.last(Event.INTENT, Step.UPLOAD) is not None
    assert journal.last(Event.INTENT, Step.CREATE) is None
