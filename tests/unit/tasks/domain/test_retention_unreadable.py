"""Retention: what cannot be read is not taken for what is broken, whoever looks."""

from datetime import UTC
from typing import Any

from tasks.domain.catalogue import Backup, State
from tasks.domain.retention import Circumstances, Reach, decide, decide_named
from tasks.domain.retention_judgement import Decision, Fate
from tasks.domain.retention_policy import RetentionPolicy
from tests.unit.tasks.domain.catalogues import (
    NOW,
    ago,
    make_backup,
    make_broken,
    make_catalogue,
    make_stranger,
)

EVERYTHING = Reach()
NEW = make_backup("new", at=ago(days=1))


def decided(
    *backups: Backup, seen: Circumstances, reach: Reach = EVERYTHING
) -> dict[str, Decision]:
    policy, found = RetentionPolicy(keep_last=1), make_catalogue(*backups)
    decisions = decide(found, policy, now=NOW, zone=UTC, reach=reach, seen=seen)
    return {decision.name: decision for decision in decisions}


def torn(name: str, **fields: Any) -> Backup:
    """Make a broken copy of which nobody knows whose it is."""
    return make_broken(name, **({"manifest": None, "ours": False, "listed_on": ()} | fields))


def test_a_bucket_that_lists_and_cannot_be_read_loses_nothing() -> None:
    names = ("jan", "feb", "mar")
    long_ago = Circumstances(broken_since=dict.fromkeys(names, ago(days=30)))
    found = decided(*(torn(name, marked_on=("r",)) for name in names), seen=long_ago)
    assert {decision.fate for decision in found.values()} == {Fate.LEAVE}


def test_a_leftover_goes_only_where_something_whole_is_seen() -> None:
    seen = Circumstances(broken_since={"torn": ago(days=30)})
    assert decided(torn("torn"), seen=seen)["torn"].fate is Fate.LEAVE
    assert decided(torn("torn"), NEW, seen=seen)["torn"].fate is Fate.DELETE


def test_what_a_prune_of_one_schedule_began_it_finishes_though_the_manifest_is_gone() -> None:
    half = make_stranger("half", state=State.INCOMPLETE, why="missing on shard 1")
    found = decided(
        half,
        make_backup("new", schedule="nightly"),
        seen=Circumstances(begun={"half": "op-before"}),
        reach=Reach(schedule="nightly"),
    )
    assert (found["half"].fate, found["new"].fate) == (Fate.DELETE, Fate.KEEP)


def test_by_name_a_backup_whose_manifest_cannot_be_read_stays() -> None:
    secret = make_stranger("x", unreadable="its digest does not match", marked_on=("r",))
    (decision,) = decide_named(make_catalogue(secret), ["x"])
    assert (decision.fate, decision.hindered) == (Fate.LEAVE, True)
    assert "nobody can tell whose it is" in decision.why
