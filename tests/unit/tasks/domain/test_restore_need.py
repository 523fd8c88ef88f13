"""What is still to be done: no row is attached twice, on one replica and on its siblings."""

import json
from itertools import product

import pytest

from tasks.domain.journal import Entry, Event
from tasks.domain.restore_need import (
    End,
    Need,
    copy_is_refused,
    end_of,
    half_restored_by,
    need_of,
    needs_together,
)
from tests.builders import make_entry, make_journal


def steps(*words: str) -> list[Entry]:
    """Make a journal of words like `drop?` (intent) and `drop` (done)."""
    return [
        make_entry(Event.INTENT if word.endswith("?") else Event.STEP, word.removesuffix("?"))
        for word in words
    ]


FILLED = ["drop?", "drop", "schema?", "schema", "data?", "data"]


@pytest.mark.parametrize(
    ("words", "need"),
    [
        pytest.param([], Need.REPLACE, id="nothing-done"),
        pytest.param(["download"], Need.REPLACE, id="downloaded"),
        pytest.param(["download", "drop?"], Need.REPLACE, id="dropping"),
        pytest.param(["drop?", "drop"], Need.REPLACE, id="dropped"),
        pytest.param(["drop", "schema?"], Need.REPLACE, id="creating"),
        pytest.param(["drop", "schema"], Need.ATTACH, id="created"),
        pytest.param(["drop", "schema", "data?"], Need.REMAKE, id="attaching"),
        pytest.param(["drop", "schema", "data?", "data"], Need.FINISH, id="attached"),
        pytest.param(
            ["schema", "data?", "drop?", "drop", "schema?", "schema", "data?"],
            Need.REMAKE,
            id="attaching-again",
        ),
        pytest.param(["schema", "data", "late?"], Need.FINISH, id="finishing"),
        pytest.param(["schema", "data", "late"], Need.NOTHING, id="over"),
        pytest.param([*FILLED, "late", "drop?"], Need.REMAKE, id="dropping-what-was-over"),
        pytest.param([*FILLED, "drop?", "drop", "schema?"], Need.REMAKE, id="creating-again"),
        pytest.param([*FILLED, "drop?", "drop", "schema"], Need.ATTACH, id="created-again"),
    ],
)
def test_an_attach_of_unknown_fate_is_never_sent_again_as_it_was(
    words: list[str], need: Need
) -> None:
    assert need_of(make_journal(*steps(*words))) is need


def test_only_making_anew_drops() -> None:
    assert [need for need in Need if need.drops] == [Need.REPLACE, Need.REMAKE]


REFUSED = make_entry(Event.REFUSED, "nightly-1")


@pytest.mark.parametrize(
    ("entries", "refused"),
    [
        pytest.param([], False, id="nothing-fetched"),
        pytest.param(steps("download?", "download", "drop?", "schema?"), False, id="fate-unknown"),
        pytest.param([*steps("download?", "download", "schema?"), REFUSED], True, id="refused"),
        pytest.param([*steps("download?"), REFUSED, *steps("download?")], False, id="fetched-anew"),
        pytest.param([*steps("download?"), REFUSED, *steps("drop?")], True, id="other-steps-since"),
    ],
)
def test_a_copy_from_which_nothing_could_be_made_is_not_used_again(
    entries: list[Entry], *, refused: bool
) -> None:
    assert copy_is_refused(make_journal(*entries)) is refused


PAIRS = [
    pytest.param(*pair, id="-".join(need.name for need in pair)) for pair in product(Need, Need)
]


@pytest.mark.parametrize(("source", "follower"), PAIRS)
def test_rows_that_a_source_attaches_again_are_kept_by_no_follower(
    source: Need, follower: Need
) -> None:
    """Else it would give them back to the new table, and the attach would double them."""
    found = needs_together({"a": source, "b": follower}, {"a": (), "b": ("a",)})
    may_hold_rows = source is Need.REMAKE or follower.filled
    if source.drops and may_hold_rows:
        assert found["b"].drops
    assert found["a"] is source


@pytest.mark.parametrize(("source", "follower"), PAIRS)
def test_a_follower_is_made_anew_only_for_its_source_or_for_itself(
    source: Need, follower: Need
) -> None:
    """A needless drop may stop at rows that somebody wrote meanwhile."""
    found = needs_together({"a": source, "b": follower}, {"a": (), "b": ("a",)})
    if not source.drops:
        assert found["b"] is follower
    if source is Need.REPLACE and follower is Need.ATTACH:
        assert found["b"] is Need.ATTACH


def test_a_follower_that_is_itself_a_source_takes_its_own_followers_along() -> None:
    needs = {"a": Need.REMAKE, "b": Need.FINISH, "c": Need.NOTHING, "d": Need.NOTHING}
    found = needs_together(needs, {"b": ("a",), "c": ("b",)})
    assert found == {"a": Need.REMAKE, "b": Need.REMAKE, "c": Need.REMAKE, "d": Need.NOTHING}


@pytest.mark.parametrize(
    ("words", "end"),
    [
        pytest.param([], End.UNTOUCHED, id="refused-or-a-dry-run"),
        pytest.param(["download", "safety"], End.UNTOUCHED, id="nothing-dropped"),
        pytest.param(["drop?"], End.HALF_RESTORED, id="dropping"),
        pytest.param(FILLED, End.HALF_RESTORED, id="attached"),
        pytest.param([*FILLED, "late"], End.RESTORED, id="all-done"),
        pytest.param(["drop?", "drop", "late"], End.RESTORED, id="nothing-to-bring-back-here"),
        pytest.param([*FILLED, "late", "drop?"], End.HALF_RESTORED, id="dropping-again"),
    ],
)
def test_a_restore_that_dropped_is_half_done_until_its_last_step(
    words: list[str], end: End
) -> None:
    assert end_of(make_journal(*steps(*words))) is end


def test_a_restore_whose_comparison_failed_is_half_done() -> None:
    compared = json.dumps([{"verdict": "passed"}, {"verdict": "failed"}])
    entries = [*steps("drop?", "drop", "schema"), make_entry(Event.STEP, "data", payload=compared)]
    assert end_of(make_journal(*entries, *steps("late"))) is End.HALF_RESTORED


@pytest.mark.parametrize(
    ("ends", "named"),
    [
        pytest.param([], None, id="no-restore"),
        pytest.param([End.HALF_RESTORED], "op-0", id="given-up"),
        pytest.param([End.HALF_RESTORED, End.UNTOUCHED], "op-0", id="a-backup-or-dry-run-later"),
        pytest.param([End.HALF_RESTORED, End.RESTORED], None, id="made-whole-later"),
        pytest.param([End.RESTORED, End.HALF_RESTORED], "op-1", id="broken-later"),
    ],
)
def test_a_half_restore_is_remembered_until_a_whole_one(ends: list[End], named: str | None) -> None:
    entries = (
        make_entry(Event.FINISHED, operation_id=f"op-{i}", payload=end.value)
        for i, end in enumerate(ends)
    )
    assert half_restored_by(make_journal(*entries)) == named
