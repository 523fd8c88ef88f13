"""Fingerprints: only the very multiset of frozen parts passes, whatever merges did meanwhile."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.fingerprint import Comparison, Fingerprint, Part, Verdict, compare
from tests.builders import make_part


@st.composite
def frozen_parts(draw: st.DrawFn) -> tuple[Part, ...]:
    """Parts of one table; equal content may stand in several parts."""
    partition, rows = st.sampled_from(["202601", "all"]), st.integers(min_value=0, max_value=3)
    content = st.sampled_from(["a" * 32, "b" * 32])
    drawn = draw(st.lists(st.tuples(partition, rows, content), min_size=1, max_size=8))
    return tuple(
        make_part(f"{where}_{number}_{number}_0", rows=count, hash=what)
        for number, (where, count, what) in enumerate(drawn)
    )


def renamed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Attach anew: numbers change, content does not."""
    return tuple(
        replace(part, name=f"{part.partition_id}_{n}_{n}_0", size_bytes=part.size_bytes + 1)
        for n, part in enumerate(parts, start=100)
    )


def merged(parts: tuple[Part, ...], name: str = "202601_100_199_1") -> tuple[Part, ...]:
    """Merge all parts: the old ones stay listed for a while, inactive."""
    result = make_part(name, rows=sum(part.rows for part in parts), hash="merged")
    return (*(part.vanished() for part in parts), result)


def verdict_of(frozen: tuple[Part, ...], seen: tuple[Part, ...]) -> Verdict:
    return compare(Fingerprint.of(frozen), seen).verdict


@given(frozen_parts(), st.data())
def test_a_restored_multiset_passes_in_any_order(
    parts: tuple[Part, ...], data: st.DataObject
) -> None:
    seen = data.draw(st.permutations(renamed(parts)))
    assert verdict_of(parts, tuple(seen)) is Verdict.PASSED


@given(frozen_parts())
def test_a_restored_multiset_passes_though_it_was_merged_meanwhile(parts: tuple[Part, ...]) -> None:
    assert verdict_of(parts, merged(renamed(parts))) is Verdict.PASSED


@given(frozen_parts(), st.data())
def test_any_part_removed_never_passes(parts: tuple[Part, ...], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(range(len(parts))))
    seen = renamed(parts)
    rest = (*seen[:gone], *seen[gone + 1 :])
    assert verdict_of(parts, rest) is Verdict.FAILED
    assert verdict_of(parts, merged(rest)) is not Verdict.PASSED


@given(frozen_parts(), st.data())
def test_any_part_twice_never_passes(parts: tuple[Part, ...], data: st.DataObject) -> None:
    twice = data.draw(st.sampled_from(renamed(parts)))
    seen = (*renamed(parts), replace(twice, name=f"{twice.partition_id}_900_900_0"))
    assert verdict_of(parts, seen) is Verdict.FAILED
    assert verdict_of(parts, merged(seen)) is Verdict.FAILED


@given(frozen_parts())
def test_everything_attached_twice_never_passes(parts: tuple[Part, ...]) -> None:
    again = tuple(replace(part, name=f"{part.name}_again") for part in renamed(parts))
    assert verdict_of(parts, (*renamed(parts), *again)) is Verdict.FAILED


@given(frozen_parts(), st.integers(min_value=1, max_value=1000))
def test_rows_of_writers_are_told_and_are_no_fault(parts: tuple[Part, ...], rows: int) -> None:
    foreign = make_part("202601_950_950_0", rows=rows, hash="written meanwhile")
    result = compare(Fingerprint.of(parts), (*renamed(parts), foreign))
    assert (result.verdict, result.foreign_rows) == (Verdict.PASSED, rows)


@given(frozen_parts())
def test_a_part_seen_in_two_looks_is_one_part(parts: tuple[Part, ...]) -> None:
    before, now = renamed(parts), tuple(part.vanished() for part in renamed(parts))
    assert verdict_of(parts, (*before, *now)) is Verdict.PASSED


@given(frozen_parts(), st.data())
def test_a_fingerprint_does_not_depend_on_order_or_part_names(
    parts: tuple[Part, ...], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(renamed(parts)))
    assert Fingerprint.of(shuffled).partitions == Fingerprint.of(parts).partitions


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"rows": 11}, id="rows"),
        pytest.param({"partition_id": "202602"}, id="partition"),
        pytest.param({"hash": "0" * 32}, id="content"),
    ],
)
def test_a_part_that_differs_in_anything_is_another_part(change: dict[str, Any]) -> None:
    part = make_part()
    other = make_part(**change)
    assert Fingerprint.of([part]).partitions != Fingerprint.of([other]).partitions
    assert verdict_of((part,), (other,)) is not Verdict.PASSED


def test_a_part_that_may_have_merged_away_unseen_is_a_doubt() -> None:
    seen = (make_part("202601_1_2_1", rows=20, hash="merged"),)
    frozen = make_part("202601_1_1_0"), make_part("202601_2_2_0")
    assert verdict_of(frozen, seen) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param((make_part("202601_1_2_1", rows=20, hash="other"),), id="other-rows-instead"),
        pytest.param((make_part(), make_part("202601_2_2_0", hash="other")), id="other-rows-too"),
    ],
)
def test_where_nothing_was_merged_a_part_that_was_not_frozen_is_damage(
    seen: tuple[Part, ...],
) -> None:
    frozen = Fingerprint.of([make_part()])
    judged = compare(frozen, seen, left_alone=True)
    assert judged.verdict is Verdict.FAILED
    assert f"{seen[-1].rows} rows in other parts" in judged.sentence
    assert compare(frozen, [make_part()], left_alone=True).verdict is Verdict.PASSED


def test_without_a_merge_a_missing_part_is_a_failure() -> None:
    assert verdict_of((make_part(),), ()) is Verdict.FAILED


def test_an_attached_part_of_a_high_level_is_not_taken_for_a_merge_of_the_restore() -> None:
    """An attach gives a part one block number and keeps its level."""
    frozen = make_part("202601_1_9_4"), make_part("202601_10_10_0")
    seen = (replace(frozen[0], name="202601_3_3_4"),)
    assert verdict_of(frozen, seen) is Verdict.FAILED


def test_an_empty_table_passes_when_it_is_empty_again() -> None:
    assert verdict_of((), ()) is Verdict.PASSED


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        pytest.param(Comparison(verdict=Verdict.PASSED), "is there, once", id="passed"),
        pytest.param(Comparison(verdict=Verdict.UNKNOWN), "could not tell", id="doubt"),
        pytest.param(
            Comparison(verdict=Verdict.FAILED, missing_parts=1, doubled_parts=2),
            "1 parts missing, 2 parts attached twice",
            id="failed",
        ),
    ],
)
def test_a_comparison_says_what_it_found(comparison: Comparison, sentence: str) -> None:
    assert sentence in comparison.sentence


@pytest.mark.parametrize(
    ("part", "lacks"),
    [
        pytest.param(make_part(), False, id="frozen"),
        pytest.param(make_part("202601_7_7_0", hash=make_part().hash), False, id="renamed"),
        pytest.param(make_part(hash=make_part("other").hash), True, id="same-name-other-rows"),
        pytest.param(make_part("202601_2_2_0", active=False), False, id="merged-away"),
    ],
)
def test_rows_that_were_not_frozen_are_known_by_content_not_by_name(
    part: Part, *, lacks: bool
) -> None:
    assert Fingerprint.of([make_part()]).lacks([part]) is lacks
