"""Retention: what a policy keeps, what it may not judge, and why, one case each."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.errors import InvalidRequest
from tasks.domain.prune_request import PruneRequest
from tasks.domain.requests import Scope
from tasks.domain.retention import Circumstances, Reach, decide, decide_named
from tasks.domain.retention_judgement import Decision, Fate
from tasks.domain.retention_policy import RetentionPolicy
from tests.builders import replica_name
from tests.unit.tasks.domain.catalogues import (
    NOW,
    ago,
    make_backup,
    make_broken,
    make_catalogue,
    make_stranger,
)

KEEP_ONE = RetentionPolicy(keep_last=1)
EVERYTHING, NOTHING_KNOWN = Reach(), Circumstances()
OLD, NEW = make_backup("old", at=ago(days=9)), make_backup("new", at=ago(days=1))


def decided(
    *backups: Backup,
    policy: RetentionPolicy = KEEP_ONE,
    reach: Reach = EVERYTHING,
    seen: Circumstances = NOTHING_KNOWN,
    now: datetime = NOW,
    **catalogue: Any,
) -> dict[str, Decision]:
    found = make_catalogue(*backups, **catalogue)
    decisions = decide(found, policy, now=now, zone=policy.zone, reach=reach, seen=seen)
    return {decision.name: decision for decision in decisions}


def kept_of(times: list[str], zone: str, **rules: int) -> list[str]:
    """Make a backup at each time, given in UTC, and name those times that are not deleted."""
    backups = [make_backup(time, at=datetime.fromisoformat(time)) for time in times]
    policy = RetentionPolicy(time_zone=zone, **rules)
    found = decided(*backups, policy=policy, now=datetime(2027, 1, 1, tzinfo=UTC))
    return [time for time in times if found[time].fate is not Fate.DELETE]


def test_rules_join_what_they_keep_and_say_so() -> None:
    found = decided(
        *(make_backup(f"d{day}", at=ago(days=day)) for day in range(1, 6)),
        policy=RetentionPolicy(keep_last=2, max_age_days=3),
    )
    assert [d.name for d in found.values() if d.fate is Fate.DELETE] == ["d5", "d4"]
    assert found["d1"].why == "number 1 of the last 2, the newest, at most 3 days old"
    assert found["d3"].why == "at most 3 days old"
    assert found["d5"].why == "no rule keeps it (keep_last=2, max_age_days=3)"


@pytest.mark.parametrize(
    ("rule", "times", "kept"),
    [
        pytest.param(
            "hourly",
            ["2026-03-01T10:05Z", "2026-03-01T10:55Z", "2026-03-01T11:05Z"],
            ["2026-03-01T10:55Z", "2026-03-01T11:05Z"],
            id="hours",
        ),
        pytest.param(
            "daily",
            ["2026-03-01T22:59Z", "2026-03-01T23:01Z", "2026-03-02T22:59Z"],
            ["2026-03-01T22:59Z", "2026-03-02T22:59Z"],
            id="days-begin-at-midnight-of-the-zone",
        ),
        pytest.param(
            "weekly",
            ["2025-12-28T12:00Z", "2025-12-31T12:00Z", "2026-01-02T12:00Z"],
            ["2025-12-28T12:00Z", "2026-01-02T12:00Z"],
            id="a-week-goes-over-the-end-of-the-year",
        ),
        pytest.param(
            "monthly",
            ["2026-01-31T22:30Z", "2026-01-31T23:30Z", "2026-02-28T22:30Z"],
            ["2026-01-31T22:30Z", "2026-02-28T22:30Z"],
            id="months-begin-at-midnight-of-the-zone",
        ),
        pytest.param(
            "daily",
            ["2025-05-01T12:00Z", "2026-03-01T12:00Z"],
            ["2025-05-01T12:00Z", "2026-03-01T12:00Z"],
            id="a-pause-costs-nothing",
        ),
    ],
)
def test_a_calendar_rule_keeps_the_newest_of_each(
    rule: str, times: list[str], kept: list[str]
) -> None:
    assert kept_of(times, "Europe/Berlin", **{rule: 2}) == kept


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    times = ["2026-10-25T00:10Z", "2026-10-25T00:50Z", "2026-10-25T01:10Z", "2026-10-25T01:50Z"]
    zone = ZoneInfo("Europe/Berlin")
    assert {datetime.fromisoformat(time).astimezone(zone).hour for time in times} == {2}
    assert kept_of(times, "Europe/Berlin", hourly=5) == [times[1], times[3]]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(["2026-03-28T23:30Z", "2026-03-29T21:30Z"], id="day-of-23-hours"),
        pytest.param(["2026-10-24T22:30Z", "2026-10-25T22:30Z"], id="day-of-25-hours"),
    ],
)
def test_a_day_is_a_day_of_the_calendar_however_long(times: list[str]) -> None:
    assert kept_of(times, "Europe/Berlin", daily=5) == times[1:]


def test_a_backup_from_before_the_clock_was_set_back_is_kept_and_takes_no_place() -> None:
    found = decided(OLD, NEW, make_backup("tomorrow", at=ago(days=-1)))
    assert [found[name].fate for name in ("old", "new", "tomorrow")] == ["delete", "keep", "keep"]
    assert "has not come yet" in found["tomorrow"].why


def test_of_equal_times_the_name_decides() -> None:
    twins = [make_backup(name, at=ago(days=1)) for name in ("a", "b")]
    assert decided(*twins)["b"].fate is Fate.KEEP
    assert decided(*twins)["a"].fate is Fate.DELETE


@pytest.mark.parametrize(
    ("other", "words"),
    [
        pytest.param(make_stranger("x"), "not ours", id="no-manifest"),
        pytest.param(
            make_backup("x", at=ago(days=99), ours=False), "demo/main", id="other-cluster"
        ),
        pytest.param(
            make_backup("x", at=ago(days=99), state=State.UNKNOWN, why="no answer"),
            "no answer",
            id="unknown",
        ),
        pytest.param(make_backup("x", at=ago(days=99), suspect="no row"), "no row", id="suspect"),
        pytest.param(
            make_stranger("x", unreadable="its digest does not match", listed_on=("r",)),
            "digest",
            id="unreadable-manifest",
        ),
        pytest.param(
            make_backup("x", at=ago(days=99), state=State.INCOMPLETE, why="missing on shard 1"),
            "missing on shard 1",
            id="incomplete",
        ),
    ],
)
def test_what_is_no_whole_backup_of_ours_is_left_alone_and_takes_no_place(
    other: Backup, words: str
) -> None:
    found = decided(OLD, NEW, other)
    assert found["x"].fate is Fate.LEAVE
    assert words in found["x"].why
    assert (found["old"].fate, found["new"].fate) == (Fate.DELETE, Fate.KEEP)


def test_without_a_rule_nothing_is_deleted_and_it_says_so() -> None:
    found = decided(OLD, NEW, policy=RetentionPolicy(minimum_kept=1))
    assert {decision.fate for decision in found.values()} == {Fate.KEEP}
    assert "no rule" in found["old"].why


def test_a_pinned_backup_stays_and_takes_its_place_all_the_same() -> None:
    found = decided(OLD, NEW, policy=RetentionPolicy(keep_last=1, pins=("old",)))
    assert (found["old"].fate, found["old"].why) == (Fate.KEEP, "pinned by name")


def test_partial_and_schema_backups_are_series_of_their_own() -> None:
    series = [
        make_backup(f"{key}{age}", at=ago(days=age), scope=scope, selection=selection)
        for key, scope, selection in (
            ("a", Scope.PARTIAL, ("shop.*",)),
            ("b", Scope.PARTIAL, ("logs.*",)),
            ("c", Scope.SCHEMA, ()),
        )
        for age in (1, 2)
    ]
    found = decided(OLD, NEW, *series)
    gone = {name for name, decision in found.items() if decision.fate is Fate.DELETE}
    assert gone == {"old", "a2", "b2", "c2"}


@pytest.mark.parametrize(
    ("reach", "gone"),
    [
        pytest.param(Reach(), {"p-1", "p-2", "q-1", "p-3"}, id="all"),
        pytest.param(Reach(prefix="p-"), {"p-1", "p-2", "p-3"}, id="prefix"),
        pytest.param(Reach(schedule="nightly"), {"p-2"}, id="schedule"),
        pytest.param(Reach(schedule=""), {"p-1", "q-1"}, id="without-a-schedule"),
    ],
)
def test_rules_judge_what_is_in_reach(reach: Reach, gone: set[str]) -> None:
    found = decided(
        make_backup("p-1", at=ago(days=5)),
        make_backup("p-2", at=ago(days=4), schedule="nightly"),
        make_backup("q-1", at=ago(days=3)),
        make_backup("p-3", at=ago(days=2), schedule="nightly"),
        make_backup("p-4", at=ago(days=1)),
        reach=reach,
    )
    assert {n for n, d in found.items() if d.fate is Fate.DELETE} == gone


def test_the_bases_of_what_is_kept_are_kept_through_any_number_of_links() -> None:
    chain = [
        make_backup("full", at=ago(days=9)),
        make_backup("inc-1", "full", at=ago(days=8)),
        make_backup("inc-2", "inc-1", at=ago(days=7)),
    ]
    found = decided(*chain)
    assert {decision.fate for decision in found.values()} == {Fate.KEEP}
    assert found["full"].why == found["inc-1"].why == "base of inc-2, which stays"


def test_a_child_of_a_stranger_blocks_with_its_name() -> None:
    found = decided(OLD, NEW, make_stranger("theirs", "old"))
    assert (found["old"].fate, found["old"].hindered) == (Fate.LEAVE, True)
    assert "theirs needs it, and is not ours" in found["old"].why


@pytest.mark.parametrize(
    ("since", "policy", "fate"),
    [
        pytest.param(None, KEEP_ONE, Fate.LEAVE, id="first-seen"),
        pytest.param(ago(hours=23), KEEP_ONE, Fate.LEAVE, id="in-its-grace"),
        pytest.param(ago(hours=25), KEEP_ONE, Fate.DELETE, id="grace-is-over"),
        pytest.param(ago(hours=-25), KEEP_ONE, Fate.LEAVE, id="clock-set-back"),
        pytest.param(
            ago(hours=25), RetentionPolicy(keep_last=1, grace_hours=48), Fate.LEAVE, id="longer"
        ),
        pytest.param(ago(hours=25), RetentionPolicy(), Fate.KEEP, id="no-rule"),
    ],
)
def test_a_broken_leftover_goes_when_its_grace_is_over(
    since: datetime | None, policy: RetentionPolicy, fate: Fate
) -> None:
    seen = Circumstances(broken_since={} if since is None else {"left": since})
    left = make_broken("left", manifest=None, ours=False)
    assert decided(NEW, left, policy=policy, seen=seen)["left"].fate is fate


def test_what_was_whole_and_broke_goes_only_if_a_whole_one_followed() -> None:
    seen = Circumstances(broken_since=dict.fromkeys(("before", "after"), ago(days=2)))
    found = decided(
        make_broken("before", at=ago(days=2)), NEW, make_broken("after", at=ago(hours=1)), seen=seen
    )
    assert (found["before"].fate, found["after"].fate) == (Fate.DELETE, Fate.LEAVE)


def test_a_deletion_that_broke_off_is_finished() -> None:
    half = make_stranger("half", state=State.INCOMPLETE, why="missing on shard 0")
    found = decided(NEW, half, seen=Circumstances(begun={"half": "op-before"}))
    assert found["half"].fate is Fate.DELETE
    assert "op-before" in found["half"].why


def test_a_whole_backup_whose_deletion_was_only_announced_is_judged_anew() -> None:
    assert decided(NEW, seen=Circumstances(begun={"new": "op-before"}))["new"].fate is Fate.KEEP


LACKING = make_backup(
    "gap", at=ago(days=2), state=State.INCOMPLETE, why="missing on shard 1", lacking=("1",)
)


@pytest.mark.parametrize(
    ("backups", "catalogue", "seen", "words"),
    [
        pytest.param([], {}, Circumstances(hold="an audit, says ann"), "an audit", id="held"),
        pytest.param(
            [], {"troubles": {"r9": "r9: connection refused"}}, Circumstances(), "r9", id="silent"
        ),
        pytest.param([LACKING], {}, Circumstances(), "missing on shard 1", id="partial"),
        pytest.param(
            [],
            {"troubles": {"r9": "r9 lists nothing"}, "idle": frozenset()},
            Circumstances(),
            "r9",
            id="a-shard-that-lists-nothing",
        ),
    ],
)
def test_nothing_is_deleted_while_something_forbids_it(
    backups: list[Backup], catalogue: dict[str, Any], seen: Circumstances, words: str
) -> None:
    found = decided(OLD, NEW, *backups, seen=seen, **catalogue)
    assert {decision.fate for decision in found.values()} == {Fate.KEEP, Fate.LEAVE}
    assert words in found["old"].why
    assert found["old"].hindered


def test_a_sibling_that_never_stored_anything_forbids_nothing() -> None:
    idle: dict[str, Any] = {"troubles": {"r9": "r9 lists nothing"}, "idle": frozenset({"r9"})}
    assert decided(OLD, NEW, **idle)["old"].fate is Fate.DELETE


def test_a_sibling_that_lists_nothing_of_what_it_stored_forbids_all() -> None:
    assert OLD.manifest is not None
    stored = OLD.manifest.replicas[0].model_copy(update={"tables": ("some",)})
    manifest = OLD.manifest.model_copy(update={"replicas": (stored,)})
    holder = make_backup("old", at=ago(days=9), manifest=manifest)
    name = replica_name()
    idle: dict[str, Any] = {"troubles": {name: f"{name} lists nothing"}, "idle": frozenset({name})}
    assert decided(holder, NEW, **idle)["old"].hindered


def named(catalogue: Catalogue, *names: str, cascade: bool = False) -> dict[str, Decision]:
    return {decision.name: decision for decision in decide_named(catalogue, names, cascade=cascade)}


CHAINED = make_catalogue(
    make_backup("full", at=ago(days=3)),
    make_backup("inc", "full", at=ago(days=2)),
    make_backup("inc-2", "inc", at=ago(days=1)),
)


def test_by_name_even_the_newest_and_a_stranger_go() -> None:
    found = named(make_catalogue(NEW, make_stranger("theirs")), "new", "theirs")
    assert {decision.fate for decision in found.values()} == {Fate.DELETE}


def test_by_name_a_base_waits_for_its_children() -> None:
    found = named(CHAINED, "full")
    assert (found["full"].fate, found["full"].hindered) == (Fate.LEAVE, True)
    assert found["full"].why.startswith("inc needs it")  # the one that builds on it directly


def test_a_cascade_takes_all_that_needs_it() -> None:
    found = named(CHAINED, "full", cascade=True)
    assert {decision.fate for decision in found.values()} == {Fate.DELETE}
    assert found["inc-2"].why == "it needs inc"


def test_a_cascade_that_a_stranger_blocks_deletes_nothing() -> None:
    found = named(make_catalogue(*CHAINED.backups, make_stranger("s", "inc")), "full", cascade=True)
    assert [found[n].fate for n in ("full", "inc", "inc-2", "s")] == [
        Fate.LEAVE,
        Fate.LEAVE,
        Fate.LEAVE,
        Fate.KEEP,
    ]
    assert "s needs it, and is not ours" in found["full"].why


def test_what_belongs_to_another_cluster_is_not_deleted_by_name_either() -> None:
    found = named(make_catalogue(make_backup("x", ours=False)), "x")["x"]
    assert (found.fate, found.hindered) == (Fate.LEAVE, True)


def test_by_name_the_very_backup_that_a_shard_lacks_goes() -> None:
    assert named(make_catalogue(NEW, LACKING), "gap")["gap"].fate is Fate.DELETE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"time_zone": "Mars/Olympus"}, "Mars/Olympus", id="no-such-zone"),
        pytest.param({"time_zone": "../etc/passwd"}, "time zone", id="a-path"),
        pytest.param({"pins": ("a b",)}, "a b", id="a-pin-that-is-no-name"),
        pytest.param({"keep_last": -1}, "keep_last", id="negative"),
        pytest.param({"minimum_kept": 0}, "minimum_kept", id="no-floor"),
        pytest.param({"keep_last": 1, "keep_last_remote": 1}, "choose one", id="two-counts"),
        pytest.param({"keep_last": 1, "names": ("a",)}, "names", id="names-and-rules"),
        pytest.param({"cascade": True}, "cascade", id="cascade-of-nothing"),
        pytest.param({"keep_last_remote": 1, "schedule": "x"}, "schedule", id="remote-of-schedule"),
        pytest.param({"names": ("a/../b",)}, "a/../b", id="a-name-that-is-none"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused_in_a_sentence(
    fields: dict[str, object], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words.replace(".", r"\.")):
        PruneRequest.from_form(**fields)
