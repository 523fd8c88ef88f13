"""What a report of coverage says: how much is uncovered, since when, and what to do about it."""

from datetime import timedelta

from tasks.domain.catalogue import Catalogue
from tasks.domain.coverage_result import CoverageOutcome, coverage_outcome
from tasks.domain.inspection import Observation
from tests.builders import NOW, make_attempt, make_inspection, make_observation, replica_name


def outcome(observed: Observation, **troubles: str) -> CoverageOutcome:
    finished = NOW + timedelta(seconds=1)
    found = Catalogue((), troubles)
    return coverage_outcome(observed, found, make_attempt(), finished=finished)


def test_a_cluster_without_a_backup_is_told_what_to_back_up() -> None:
    made = outcome(make_observation())
    assert made.headline == "demo: 2 tables in no recovery point"
    assert made.facts["newest full recovery point"] == "none"
    assert made.lists["In no recovery point"] == made.coverage.unheld
    assert [step.split(" ")[0] for step in made.next_steps] == ["Back"]


def test_where_everything_is_covered_nothing_is_left_to_do() -> None:
    made = outcome(make_observation(make_inspection(tables=())))
    assert (made.next_steps, made.notes) == ((), ())


def test_a_replica_that_says_nothing_is_named_once() -> None:
    silent = {replica_name(1): "connection refused"}
    made = outcome(make_observation(make_inspection(), unreachable=silent), **silent)
    assert made.notes == (f"not all was seen: {replica_name(1)}: connection refused",)


def test_a_long_report_is_cut_for_machines() -> None:
    assert len(outcome(make_observation()).bounded(1).coverage.unheld) == 1
