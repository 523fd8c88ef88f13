"""Retention over any catalogue: what holds whatever the policy, the zone and the chains are."""

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.requests import Scope
from tasks.domain.retention import Circumstances, decide, decide_named
from tasks.domain.retention_chain import deletion_order
from tasks.domain.retention_judgement import Decision, Fate
from tasks.domain.retention_policy import RetentionPolicy
from tests.unit.tasks.domain.catalogues import (
    NOW,
    catalogues,
    circumstances,
    policies,
    without,
)

_RULES = ("keep_last", "max_age_days", "hourly", "daily", "weekly", "monthly")


@st.composite
def cases(draw: st.DrawFn, *, whole: bool = False):
    catalogue = draw(catalogues(whole=whole))
    seen = Circumstances() if whole else draw(circumstances(catalogue))
    return catalogue, draw(policies()), seen


def decided(
    catalogue: Catalogue, policy: RetentionPolicy, seen: Circumstances
) -> tuple[Decision, ...]:
    return decide(catalogue, policy, now=NOW, zone=policy.zone, seen=seen)


def doomed(decisions: tuple[Decision, ...]) -> set[str]:
    return {decision.name for decision in decisions if decision.fate is Fate.DELETE}


def bases_of(backup: Backup) -> set[str]:
    return {copy.base for copy in backup.copies if copy.base}


def demand_unbroken(catalogue: Catalogue, gone: set[str]) -> None:
    """Demand that nothing that stands needs what is gone, where it was there before."""
    for backup in catalogue.backups:
        if backup.name not in gone:
            assert bases_of(backup) & gone == set(), f"{backup.name} lost its base"


@given(cases())
def test_every_backup_has_exactly_one_decision_with_a_reason(case) -> None:
    catalogue, policy, seen = case
    decisions = decided(catalogue, policy, seen)
    assert [d.name for d in decisions] == [b.name for b in catalogue.backups]
    assert all(decision.why for decision in decisions)


@given(cases())
def test_the_same_input_gives_the_same_plan_whatever_the_order_of_what_was_seen(case) -> None:
    catalogue, policy, seen = case
    assert decided(catalogue, policy, seen) == decided(without(catalogue, ()), policy, seen)


@given(cases())
def test_the_newest_recovery_point_is_never_deleted_by_policy(case) -> None:
    catalogue, policy, seen = case
    counted = [backup for backup in catalogue.backups if backup.counts]
    newest = {max(counted, key=lambda b: (b.at, b.name)).name} if counted else set()
    assert newest & doomed(decided(catalogue, policy, seen)) == set()


@given(cases())
def test_at_least_the_minimum_is_kept(case) -> None:
    catalogue, policy, seen = case
    gone = doomed(decided(catalogue, policy, seen))
    counted = [backup for backup in catalogue.backups if backup.counts]
    left = [backup for backup in counted if backup.name not in gone]
    assert len(left) >= min(policy.minimum_kept, len(counted))


@given(cases())
def test_nothing_that_stays_loses_its_base(case) -> None:
    catalogue, policy, seen = case
    demand_unbroken(catalogue, doomed(decided(catalogue, policy, seen)))


@given(cases())
def test_a_deletion_that_stops_anywhere_leaves_every_chain_that_stands_whole(case) -> None:
    catalogue, policy, seen = case
    order = deletion_order(catalogue, doomed(decided(catalogue, policy, seen)))
    assert len(order) == len(set(order))
    for done in range(len(order) + 1):
        demand_unbroken(catalogue, set(order[:done]))


@given(cases(), st.integers(0, 12))
def test_a_policy_that_is_applied_again_deletes_what_was_left_and_nothing_else(case, done) -> None:
    catalogue, policy, seen = case
    gone = doomed(decided(catalogue, policy, seen))
    order = deletion_order(catalogue, gone)
    again = decided(without(catalogue, order[:done]), policy, seen)
    assert doomed(again) == set(order[done:])


@given(cases())
def test_what_is_not_ours_is_never_deleted_by_policy_unless_it_is_a_broken_leftover(case) -> None:
    catalogue, policy, _ = case
    whole = [b for b in catalogue.backups if not any(copy.broken for copy in b.copies)]
    not_ours = {backup.name for backup in whole if not backup.ours}
    assert not_ours & doomed(decided(catalogue, policy, Circumstances())) == set()


@given(cases(whole=True), st.sampled_from([*_RULES, "minimum_kept"]), st.integers(1, 3))
def test_a_higher_number_never_deletes_more(case, rule, more) -> None:
    catalogue, policy, seen = case
    assume(policy.rules)
    wider = policy.model_copy(update={rule: getattr(policy, rule) + more})
    assert doomed(decided(catalogue, wider, seen)) <= doomed(decided(catalogue, policy, seen))


@given(cases())
def test_partial_backups_never_take_the_place_of_full_ones(case) -> None:
    catalogue, policy, seen = case
    others = {
        backup.name
        for backup in catalogue.backups
        if backup.manifest and backup.manifest.scope is not Scope.FULL
    }
    chained = {base for backup in catalogue.backups for base in bases_of(backup)}
    assume(not chained)
    with_them = doomed(decided(catalogue, policy, seen))
    without_them = doomed(decided(without(catalogue, others), policy, seen))
    assert with_them - others == without_them


@given(cases(), st.data(), st.booleans())
def test_what_is_not_named_nor_builds_on_it_is_never_deleted_by_name(case, data, cascade) -> None:
    catalogue, _, seen = case
    names = [backup.name for backup in catalogue.backups]
    asked = data.draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
    decisions = decide_named(catalogue, asked, cascade=cascade, seen=seen)
    gone = doomed(decisions)
    demand_unbroken(catalogue, gone)
    assert [d.name for d in decisions] == names
    assert cascade or gone <= asked
    hindered = {decision.name for decision in decisions if decision.hindered}
    assert asked <= gone | hindered


@given(cases())
def test_the_order_of_deletion_is_children_first_and_else_the_oldest_first(case) -> None:
    catalogue, policy, seen = case
    order = deletion_order(catalogue, doomed(decided(catalogue, policy, seen)))
    places = {name: place for place, name in enumerate(order)}
    by_name = {backup.name: backup for backup in catalogue.backups}
    for name, base in ((n, b) for n in order for b in bases_of(by_name[n]) if b in places):
        assert places[name] < places[base]
    if not any(bases_of(by_name[name]) for name in order):
        times = [by_name[name].at for name in order]
        assert all(first <= second for first, second in pairwise(times))
