"""The first look: what a replica lists, and does not list, held against the manifest."""

from typing import Any

import pytest

from tasks.domain.errors import BackupNotFound, BackupUnusable
from tasks.domain.fingerprint import Verdict
from tasks.domain.inspection import Observation
from tasks.domain.listing import Listed
from tasks.domain.manifest import Manifest
from tasks.domain.names import manifest_name
from tasks.domain.verify_listing import (
    differing,
    listing_findings,
    no_manifest,
    readers_left,
    readers_of,
    sources_of,
    steady,
    unreadable_manifest,
)
from tasks.domain.verify_outcome import verdict_of
from tests.builders import (
    BACKUP,
    make_inspection,
    make_listed,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    replica_name,
)

COMPANION = make_listed(manifest_name(BACKUP))
BROKEN = "broken (can't stat metadata.json)"


def make_seen(*rows: Listed, shard: int = 0, replica: int = 0) -> Any:
    return make_inspection(shard, replica, listing=make_listing(*rows))


def made(base: str = "", *, replicas: int = 1) -> Manifest:
    """Make the manifest of one shard, as one or all of its replicas stored it."""
    records = [make_replica_record(0, number, base=base) for number in range(replicas)]
    return make_manifest(*records)


def verdict(*rows: Listed, base: str = "") -> Verdict:
    return verdict_of(listing_findings(made(base), make_observation(make_seen(*rows))))


@pytest.mark.parametrize(
    ("rows", "base", "expected"),
    [
        pytest.param([make_listed(), COMPANION], "", "passed", id="whole"),
        pytest.param([make_listed()], "", "failed", id="no-manifest"),
        pytest.param([COMPANION], "", "failed", id="no-data"),
        pytest.param([], "", "could not tell", id="nothing-remote-at-all"),
        pytest.param([make_listed(location="local")], "", "could not tell", id="local-rows-only"),
        pytest.param([make_listed(desc=BROKEN), COMPANION], "", "failed", id="broken"),
        pytest.param([make_listed(size_bytes=0), COMPANION], "", "failed", id="without-a-size"),
        pytest.param([make_listed(size_bytes=999), COMPANION], "", "could not tell", id="size"),
        pytest.param(
            [make_listed(required="base"), make_listed("base"), COMPANION],
            "base",
            "passed",
            id="whole-chain",
        ),
        pytest.param(
            [make_listed(required="base", size_bytes=5000), make_listed("base"), COMPANION],
            "base",
            "passed",
            id="increment-that-sent-nothing",
        ),
        pytest.param([make_listed(required="base"), COMPANION], "base", "failed", id="no-base"),
        pytest.param(
            [make_listed(required="base"), make_listed("base", desc=BROKEN), COMPANION],
            "base",
            "failed",
            id="broken-base",
        ),
        pytest.param(
            [make_listed(required="x"), make_listed("x"), COMPANION], "base", "failed", id="other"
        ),
        pytest.param(
            [make_listed(size_bytes=5000), COMPANION], "base", "passed", id="made-full-since"
        ),
    ],
)
def test_a_listing_is_judged_by_what_it_shows(rows: list[Listed], base: str, expected: str) -> None:
    assert verdict(*rows, base=base) == expected


def test_a_shard_that_does_not_answer_cannot_be_told() -> None:
    manifest = make_manifest()
    answering = make_seen(make_listed(), COMPANION)
    observed = make_observation(answering, unreachable={replica_name(1): "no answer"})
    found = {finding.shard: finding for finding in listing_findings(manifest, observed)}
    assert found["0"].verdict is Verdict.PASSED
    assert found["1"].verdict is Verdict.UNKNOWN
    assert "no answer" in found["1"].message


def test_a_sibling_that_lists_the_one_copy_of_its_shard_answers_for_it() -> None:
    observed = make_observation(
        make_seen(make_listed(), COMPANION, replica=1), unreachable={replica_name(): "no answer"}
    )
    assert verdict_of(listing_findings(made(), observed)) is Verdict.PASSED


def test_a_sibling_with_a_copy_of_its_own_does_not_answer_for_another_one() -> None:
    observed = make_observation(
        make_seen(make_listed(), COMPANION, replica=1), unreachable={replica_name(): "no answer"}
    )
    found = listing_findings(made(replicas=2), observed)
    assert {(f.replica, f.verdict.value) for f in found} == {
        (replica_name(), "could not tell"),
        (replica_name(0, 1), "passed"),
    }


def test_a_backup_without_tables_on_a_shard_needs_its_manifest_there_only() -> None:
    manifest = make_manifest(make_replica_record(tables=[]))
    observed = make_observation(make_seen(COMPANION))
    assert verdict_of(listing_findings(manifest, observed)) is Verdict.PASSED


def test_a_name_that_nobody_lists_is_refused_only_where_everybody_surely_does_not() -> None:
    nobody = make_seen(make_listed("other"))
    with pytest.raises(BackupNotFound, match=BACKUP):
        sources_of(BACKUP, make_observation(nobody))
    silent = make_observation(nobody, unreachable={replica_name(1): "no answer"})
    assert sources_of(BACKUP, silent) == ()
    blind = make_observation(nobody, make_seen(shard=1))
    assert sources_of(BACKUP, blind) == ()


def test_the_manifest_is_read_where_a_whole_copy_is_listed() -> None:
    spoiled = make_listed(manifest_name(BACKUP), desc=BROKEN)
    observed = make_observation(
        make_seen(make_listed(), spoiled), make_seen(make_listed(), COMPANION, shard=1)
    )
    assert sources_of(BACKUP, observed) == (replica_name(1),)


def test_on_each_shard_one_replica_reads_the_manifest_and_all_that_stored_a_copy_each() -> None:
    first, busy, idle = replica_name(0), replica_name(1), replica_name(1, 1)
    observed = make_observation(
        make_inspection(0), make_inspection(1, busy_with="upload other"), make_inspection(1, 1)
    )
    read = readers_of((first, busy, idle), observed)
    assert read == (first, idle)
    shared, own = (
        make_manifest(make_replica_record(0), *(make_replica_record(1, n) for n in stored))
        for stored in ([0], [0, 1])
    )
    assert readers_left(shared, (first, busy, idle), read, observed) == ()
    assert readers_left(own, (first, busy, idle), read, observed) == (busy,)


def test_a_manifest_that_differs_from_the_first_one_fails_where_it_is() -> None:
    observed = make_observation(*(make_seen(COMPANION, shard=shard) for shard in range(3)))
    read = {replica_name(shard): make_manifest() for shard in range(3)}
    assert differing(read, observed) == ()
    read[replica_name(1)] = make_manifest(operation_id="op-of-another")
    (wrong,) = differing(read, observed)
    assert (wrong.shard, wrong.replica, wrong.verdict) == ("1", replica_name(1), Verdict.FAILED)
    assert "op-of-another" in wrong.message


@pytest.mark.parametrize(
    ("told", "listed", "expected"),
    [
        pytest.param("it is corrupt", "still", "failed", id="spoiled"),
        pytest.param("it is corrupt", "", "could not tell", id="listed-no-more"),
        pytest.param("ended as cancel: killed", "still", "could not tell", id="killed"),
    ],
)
def test_a_manifest_that_cannot_be_read_fails_if_that_is_its_own_fault(
    told: str, listed: str, expected: str
) -> None:
    error = BackupUnusable(told)
    found = unreadable_manifest("1", replica_name(1), error, still_listed=bool(listed))
    assert (found.verdict, found.message) == (expected, told)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param(make_observation(make_seen(make_listed())), "another tool", id="foreign"),
        pytest.param(make_observation(make_seen()), "lists nothing remote", id="away"),
        pytest.param(
            make_observation(make_seen(make_listed()), unreachable={"r": "no answer"}),
            "r: no answer",
            id="silent",
        ),
    ],
)
def test_without_a_manifest_nothing_can_be_told_and_the_reason_is(
    observed: Observation, why: str
) -> None:
    finding = no_manifest(observed)
    assert finding.verdict is Verdict.UNKNOWN
    assert why in finding.message


def test_what_only_one_of_two_looks_misses_is_a_doubt() -> None:
    gone = listing_findings(made(), make_observation(make_seen(COMPANION)))
    back = listing_findings(made(), make_observation(make_seen(make_listed(), COMPANION)))
    assert verdict_of(steady(gone, gone)) is Verdict.FAILED
    assert verdict_of(steady(gone, back)) is Verdict.UNKNOWN
    assert verdict_of(steady(back, gone)) is Verdict.PASSED
