"""Never two senders: every order of renewals, takings, stalls, late requests and stops is tried."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.domain.lock import Claim, Holder
from tests.models.lock import Model, Rules


def make_claim(name: str, **fields: Any) -> Claim:
    usual: dict[str, Any] = {
        "operation_id": name,
        "operation": "backup",
        "instance": name,
        "lease_seconds": 4,
        "patience_seconds": 600,
    }
    return Claim(**(usual | fields))


HOLDER = make_claim("holder")
TAKER = make_claim("taker")
RESTORE = make_claim("restore", operation="restore", preempts=frozenset({"backup"}))
ABORT = make_claim("abort", operation="abort", aborts="holder", lease_seconds=2)
NEXT = make_claim("next", lease_seconds=2)

a_taker_waits = (HOLDER, TAKER)
a_restore_preempts = (HOLDER, RESTORE)
an_abort_is_taken_over = (HOLDER, ABORT, NEXT)


def forgetful(claim: Claim, before: Holder) -> Holder:
    ours = claim.successor(before, now=before.since)
    return replace(ours, lease_seconds=claim.lease_seconds)


@pytest.mark.parametrize(
    ("claims", "lags"),
    [
        pytest.param(a_taker_waits, 2, id="a-taker-waits"),
        pytest.param(a_restore_preempts, 2, id="a-restore-preempts"),
        pytest.param(an_abort_is_taken_over, 1, id="an-abort-is-taken-over"),
    ],
)
def test_there_are_never_two_senders(claims: tuple[Claim, ...], lags: int) -> None:
    """Not even when the holder's clock stands still for up to half its lease."""
    explored = Model(*claims, rules=Rules(), lags=lags).explore()
    assert explored.violation == ""
    # nor is that so because nobody ever gets the lock
    assert explored.actors == set(range(len(claims)))
    assert explored.worlds > 1000


@pytest.mark.parametrize(
    ("claims", "rules"),
    [
        pytest.param(a_taker_waits, Rules(fence=lambda _: 100), id="a-fence"),
        pytest.param(
            a_taker_waits,
            Rules(may_take=lambda *_: True, has_stopped=lambda _: True),
            id="waiting-for-a-lease",
        ),
        pytest.param(
            a_restore_preempts, Rules(has_stopped=lambda _: True), id="waiting-for-the-preempted"
        ),
        pytest.param(a_taker_waits, Rules(late_renewals_count=True), id="forgetting-late-renewals"),
        pytest.param(
            a_taker_waits,
            Rules(waits_for_its_fences=False),
            id="waiting-for-fences-before-its-release",
        ),
        pytest.param(
            an_abort_is_taken_over,
            Rules(stays_silent_until_its_predecessor_stopped=False),
            id="silence-of-who-has-not-begun",
        ),
        pytest.param(
            an_abort_is_taken_over, Rules(successor=forgetful), id="an-inherited-longer-lease"
        ),
    ],
)
def test_a_lock_without_it_lets_two_senders_act(claims: tuple[Claim, ...], rules: Rules) -> None:
    """The model has teeth: each rule is needed, and its absence is found."""
    lags = 2 if len(claims) == 2 else 1
    assert "while" in Model(*claims, rules=rules, lags=lags).explore().violation
