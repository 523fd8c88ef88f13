"""Listings: what is there, what is whole, and what is a dead or unfinished copy."""

import pytest

from tasks.domain.listing import Listed
from tests.builders import BACKUP, make_listed, make_listing

BROKEN = make_listed(desc="broken: no metadata.json")


def test_local_and_remote_copies_are_told_apart() -> None:
    """Weak point 24: a local copy passed for the remote one."""
    local = make_listed(location="local")
    listing = make_listing(local)
    assert (listing.local(BACKUP), listing.remote(BACKUP)) == (local, None)


def test_a_name_is_found_wherever_it_is() -> None:
    listing = make_listing(make_listed(location="local"))
    assert (listing.has(BACKUP), listing.has(f"{BACKUP}-2")) == (True, False)


@pytest.mark.parametrize(
    ("desc", "broken"),
    [
        pytest.param("tar, regular", False, id="whole"),
        pytest.param("", False, id="silent"),
        pytest.param("broken: metadata.json not found", True, id="broken"),
        pytest.param("parse metadata.json error: EOF", True, id="unreadable"),
    ],
)
def test_a_dead_copy_is_told_by_its_description(desc: str, *, broken: bool) -> None:
    assert make_listed(desc=desc).broken is broken


@pytest.mark.parametrize(("location", "held"), [("remote", True), ("local", False), (None, True)])
def test_a_whole_copy_is_held_where_it_is(location: str | None, *, held: bool) -> None:
    assert make_listing(make_listed()).holds(BACKUP, location=location) is held


def test_a_broken_copy_is_not_held() -> None:
    assert not make_listing(BROKEN).holds(BACKUP)


CHAIN = (make_listed("c", required="b"), make_listed("b", required="a"), make_listed("a"))


def test_a_chain_leads_down_to_its_full_backup() -> None:
    listing = make_listing(*CHAIN)
    assert [row.name for row in listing.chain("c")] == ["c", "b", "a"]
    assert listing.gap("c") == ""


@pytest.mark.parametrize(
    ("rows", "gap"),
    [
        pytest.param(CHAIN[1:], "c is not listed remotely", id="itself"),
        pytest.param(CHAIN[:2], "a is not listed remotely", id="full-one-gone"),
        pytest.param(
            (*CHAIN[:2], make_listed("a", desc="broken (x)")),
            "a is listed as broken (x)",
            id="dead",
        ),
        pytest.param(
            (*CHAIN[:2], make_listed("a", location="local")), "a is not listed", id="local-only"
        ),
        pytest.param(
            (*CHAIN[:2], make_listed("a", required="c")), "its chain comes back to c", id="ring"
        ),
    ],
)
def test_a_gap_anywhere_in_a_chain_is_named(rows: tuple[Listed, ...], gap: str) -> None:
    assert make_listing(*rows).gap("c").startswith(gap)
