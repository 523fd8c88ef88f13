"""Who tries a copy: somebody idle that lists it whole, has room for it, and stored it if may be."""

from typing import Any

import pytest

from tasks.domain.errors import PreflightFailed
from tasks.domain.inspection import Inspection
from tasks.domain.trials import cramped, fit_only, trials_of
from tests.builders import (
    complete_listing,
    make_fingerprint,
    make_inspection,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    make_table_record,
    replica_name,
)

HOLDER, SIBLING = replica_name(0, 0), replica_name(0, 1)
LARGE = make_table_record(fingerprint=make_fingerprint().model_copy(update={"size_bytes": 5000}))
KEEP = 1000


def seen(replica: int = 0, **fields: Any) -> Inspection:
    return make_inspection(0, replica, **({"listing": complete_listing()} | fields))


@pytest.mark.parametrize(
    ("holder", "sibling", "chosen"),
    [
        pytest.param({}, {"free_bytes": 10**15}, HOLDER, id="who-stored-it"),
        pytest.param({"busy_with": "upload x"}, {}, SIBLING, id="not-a-busy-one"),
        pytest.param({"free_bytes": 5999}, {"free_bytes": 6000}, SIBLING, id="who-has-room"),
        pytest.param({"listing": make_listing()}, {}, SIBLING, id="who-lists-it"),
        pytest.param({}, {"listing": make_listing()}, HOLDER, id="not-who-does-not"),
    ],
)
def test_one_replica_of_a_shard_tries_its_copy(
    holder: dict[str, Any], sibling: dict[str, Any], chosen: str
) -> None:
    record = make_replica_record().model_copy(update={"tables": (LARGE,)})
    observed = make_observation(seen(0, **holder), seen(1, **sibling))
    (trial,) = trials_of(make_manifest(record), observed, keep_free_bytes=KEEP)
    assert (trial.replica, trial.needed_bytes) == (chosen, 5000)


def test_copies_of_all_replicas_are_each_tried_by_who_stored_them() -> None:
    manifest = make_manifest(make_replica_record(0, 0), make_replica_record(0, 1))
    observed = make_observation(seen(0, busy_with="upload x"), seen(1))
    trials = trials_of(manifest, observed, keep_free_bytes=KEEP)
    assert [trial.replica for trial in trials] == [HOLDER, SIBLING]


def test_nobody_tries_what_nobody_lists_or_what_is_not_there() -> None:
    manifest = make_manifest(make_replica_record(tables=[]))
    assert trials_of(manifest, make_observation(seen()), keep_free_bytes=0) == ()
    unlisted = make_observation(seen(listing=make_listing()))
    assert trials_of(make_manifest(), unlisted, keep_free_bytes=0) == ()


@pytest.mark.parametrize(
    ("free", "without"),
    [
        pytest.param(2000, [], id="just-enough"),
        pytest.param(1999, [HOLDER], id="one-too-few"),
        pytest.param(None, [], id="unknown"),
    ],
)
def test_a_server_without_room_gets_a_finding(free: int | None, without: list[str]) -> None:
    observed = make_observation(seen(free_bytes=free))
    trials = trials_of(make_manifest(make_replica_record()), observed, keep_free_bytes=KEEP)
    found = cramped(trials, observed, keep_free_bytes=KEEP)
    assert list(found) == without
    assert all(finding.verdict == "could not tell" for finding in found.values())


def test_a_replica_that_is_not_fit_counts_as_not_answering() -> None:
    unfit = {HOLDER: PreflightFailed("ignores")}
    observed = fit_only(make_observation(seen(0), seen(1)), unfit)
    assert [left.replica for left in observed.inspections] == [SIBLING]
    assert observed.unreachable == {HOLDER: "ignores"}
