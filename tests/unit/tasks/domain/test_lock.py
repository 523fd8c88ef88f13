"""The rules of the lock: who has surely stopped, who may be stopped, and when patience ends."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.domain.lock import (
    PREEMPTIBLE,
    Claim,
    Holder,
    Watch,
    fence_seconds,
    gives_up,
    may_take,
    refusal,
    remaining_seconds,
)

SINCE = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def make_holder(**fields: Any) -> Holder:
    usual: dict[str, Any] = {
        "generation": 3,
        "operation_id": "op-1",
        "operation": "backup",
        "instance": "i",
        "lease_seconds": 60,
        "since": SINCE,
        "sign": "1",
        "silent_seconds": 7,
    }
    return Holder(**(usual | fields))


def make_claim(**fields: Any) -> Claim:
    usual: dict[str, Any] = {
        "operation_id": "op-2",
        "operation": "restore",
        "instance": "j",
        "lease_seconds": 60,
        "patience_seconds": 600,
    }
    return Claim(**(usual | fields))


def watch_of(*looks: tuple[float, Holder]) -> Watch:
    """Look at these moments, each answered after a second."""
    (first, holder), *others = looks
    watch = Watch.begun(holder, answered=first + 1)
    for asked, seen in others:
        watch = watch.saw(seen, asked=asked, answered=asked + 1)
    return watch


@pytest.mark.parametrize(
    ("looks", "stopped"),
    [
        pytest.param([(0, make_holder())], False, id="seen-once"),
        pytest.param([(0, make_holder()), (60.5, make_holder())], False, id="asked-too-early"),
        pytest.param([(0, make_holder()), (61, make_holder())], True, id="for-a-full-lease"),
        pytest.param(
            [(0, make_holder()), (50, make_holder(sign="2")), (61, make_holder(sign="2"))],
            False,
            id="renewed-meanwhile",
        ),
        pytest.param(
            [(0, make_holder()), (61, make_holder(generation=4, instance="k"))],
            False,
            id="somebody-else-by-then",
        ),
        pytest.param([(0, make_holder(released=True))], True, id="it-said-so"),
        pytest.param(
            [(0, make_holder(silent_seconds=9999))], False, id="other-clocks-prove-nothing"
        ),
    ],
)
def test_a_holder_has_stopped_when_it_said_so_or_was_unchanged_for_a_lease_of_ours(
    looks: list[tuple[float, Holder]], *, stopped: bool
) -> None:
    assert watch_of(*looks).has_stopped is stopped
    assert may_take(watch_of(*looks), make_claim()) is stopped


@pytest.mark.parametrize(
    ("claim", "holder", "may"),
    [
        pytest.param({}, {}, False, id="nobody-is-stopped-unasked"),
        pytest.param({"preempts": PREEMPTIBLE}, {}, True, id="a-backup"),
        pytest.param({"preempts": PREEMPTIBLE}, {"operation": "verify"}, True, id="a-verify"),
        pytest.param({"preempts": PREEMPTIBLE}, {"operation": "prune"}, True, id="a-prune"),
        pytest.param({"preempts": PREEMPTIBLE}, {"operation": "restore"}, False, id="a-restore"),
        pytest.param({"preempts": PREEMPTIBLE}, {"operation": "abort"}, False, id="an-abort"),
        pytest.param({"preempts": PREEMPTIBLE}, {"operation": "unknown"}, False, id="a-stranger"),
        pytest.param(
            {"preempts": PREEMPTIBLE, "operation_id": "op-1"}, {}, False, id="never-oneself"
        ),
        pytest.param({"aborts": "op-1"}, {"operation": "restore"}, True, id="what-is-aborted"),
        pytest.param({"aborts": "op-9"}, {}, False, id="another-one-than-is-aborted"),
    ],
)
def test_only_what_was_asked_for_is_stopped(
    claim: dict[str, Any], holder: dict[str, Any], *, may: bool
) -> None:
    watch = watch_of((0, make_holder(**holder)))
    assert may_take(watch, make_claim(**claim)) is may


@pytest.mark.parametrize(
    ("looks", "waited", "over"),
    [
        pytest.param([(0, make_holder()), (5, make_holder(sign="2"))], 599, False, id="not-yet"),
        pytest.param([(0, make_holder()), (5, make_holder(sign="2"))], 600, True, id="it-is-alive"),
        pytest.param([(0, make_holder()), (5, make_holder())], 600, False, id="it-may-be-dead"),
    ],
)
def test_patience_ends_with_a_holder_that_lives_and_not_before_a_silent_one_is_proven_dead(
    looks: list[tuple[float, Holder]], waited: float, *, over: bool
) -> None:
    assert gives_up(watch_of(*looks), make_claim(), waited_seconds=waited) is over


@pytest.mark.parametrize(
    ("before", "generation", "lease_seconds"),
    [
        pytest.param(None, 1, 10, id="the-first"),
        pytest.param(make_holder(), 4, 60, id="after-one-that-may-still-act"),
        pytest.param(make_holder(released=True), 4, 10, id="after-one-that-stopped"),
        pytest.param(make_holder(lease_seconds=5), 4, 10, id="after-a-shorter-lease"),
    ],
)
def test_who_takes_over_is_watched_as_long_as_whoever_was_before_it(
    before: Holder | None, generation: int, lease_seconds: int
) -> None:
    ours = make_claim(lease_seconds=10).successor(before, now=SINCE)
    assert (ours.generation, ours.lease_seconds) == (generation, lease_seconds)
    assert (ours.operation_id, ours.released) == ("op-2", False)


@pytest.mark.parametrize(
    ("now", "remaining", "fence"),
    [
        pytest.param(100, 30, 15, id="just-renewed"),
        pytest.param(120.5, 9.5, 9, id="in-between"),
        pytest.param(130, 0, 0, id="half-a-lease-later"),
        pytest.param(1000, 0, 0, id="long-after"),
    ],
)
def test_a_command_may_begin_within_half_a_lease_of_the_last_renewal(
    now: float, remaining: float, fence: int
) -> None:
    left = remaining_seconds(renewed=100, lease_seconds=60, now=now)
    assert (left, fence_seconds(left)) == (remaining, fence)


def test_a_refusal_names_holder_operation_since_when_and_the_way_out() -> None:
    told = str(refusal(make_holder(), "table:chi-demo-main-0-0"))
    words = ("backup operation op-1", "2026-03-01 12:30:00 UTC", "7 s ago", "table:chi-demo-main")
    assert [word for word in words if word not in told] == []
    assert "python -m flows abort --operation-id op-1" in told


def test_a_watch_of_another_instance_begins_anew() -> None:
    """The same operation run again is not the process that was watched."""
    again = replace(make_holder(), instance="another")
    assert watch_of((0, make_holder()), (61, again)).unchanged_seconds == 0
