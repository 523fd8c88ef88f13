"""Catching up: a sibling has everything when it has every part, merged or not."""

from typing import Any

import pytest

from tasks.domain.catch_up import CatchUp, not_seen
from tasks.domain.fingerprint import Verdict
from tasks.domain.replication import Replication
from tests.builders import make_part

WANTED = (make_part("202601_1_1_0"), make_part("202601_2_2_0"), make_part("202602_1_1_0"))
MERGED = make_part("202601_1_2_1", rows=20)


@pytest.mark.parametrize(
    ("here", "there", "missing"),
    [
        pytest.param(WANTED, WANTED, [], id="all-alike"),
        pytest.param((), WANTED, [0, 1, 2], id="nothing-yet"),
        pytest.param(WANTED[:2], WANTED, [2], id="some"),
        pytest.param([p.vanished() for p in WANTED], WANTED, [], id="merged-away-here"),
        pytest.param((MERGED, WANTED[2]), (MERGED, WANTED[2]), [], id="merged-on-both"),
        pytest.param((MERGED, WANTED[2]), WANTED, [0, 1], id="merged-here-alone"),
        pytest.param(
            (make_part("202601_1_2_1", rows=19), WANTED[2]),
            (MERGED, WANTED[2]),
            [0, 1],
            id="merged-differently",
        ),
        pytest.param(
            (make_part("202602_1_9_1"),), (make_part("202602_1_9_1"),), [0, 1], id="other-partition"
        ),
        pytest.param((make_part("odd", partition_id="202601"),), WANTED, [0, 1, 2], id="odd-name"),
        pytest.param(
            (make_part("202601_1_1_0", hash="x"), *WANTED[1:]), WANTED, [0], id="other-content"
        ),
        pytest.param((*WANTED, make_part("202601_7_7_0")), WANTED, [], id="writers-went-on"),
    ],
)
def test_a_part_is_there_when_it_or_what_it_was_merged_into_is_known_to_both(
    here: Any, there: Any, missing: list[int]
) -> None:
    assert not_seen(WANTED, here=here, there=there) == [WANTED[index] for index in missing]


def progress(*missing: Any, **fields: Any) -> CatchUp:
    return CatchUp(table="shop.orders", source="first", missing=missing, **fields)


def test_a_gap_that_stays_is_a_doubt_and_not_a_failure() -> None:
    assert progress().verdict is Verdict.PASSED
    assert progress(WANTED[0]).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param(None, "does not replicate", id="no-replica"),
        pytest.param(
            {"queue_size": 3, "delay_seconds": 40}, "3 entries in its queue, 40 s", id="lag"
        ),
        pytest.param({"readonly": True}, "is read-only; 0 entries", id="read-only"),
        pytest.param({"session_expired": True}, "lost its session with", id="expired"),
    ],
)
def test_a_doubt_says_what_the_replica_says_of_itself(
    state: dict[str, Any] | None, told: str
) -> None:
    seen = state and Replication(table="shop.orders", path="/p", replica_name="b", **state)
    sentence = progress(*WANTED[:2], state=seen).sentence
    assert "2 parts (20 rows) of first" in sentence
    assert told in sentence
