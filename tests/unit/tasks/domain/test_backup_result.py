"""From phases to manifest and outcome: complete means every replica, and not one less."""

from datetime import timedelta
from typing import Any

import pytest

from tasks.domain.backup_result import Stored, backup_outcome, manifest_of, text_to_commit
from tasks.domain.errors import BackupUnusable, StorageUnavailable
from tasks.domain.manifest import Manifest
from tasks.domain.outcomes import BackupOutcome, Status
from tests.builders import (
    BACKUP,
    NOW,
    backup_request,
    make_attempt,
    make_backup_plan,
    make_replica_record,
    make_table,
    make_table_record,
    make_topology,
    replica_name,
)

FIRST, SECOND = replica_name(0), replica_name(1)
AWAY = StorageUnavailable("the bucket is away")
RECORDS = {FIRST: make_replica_record(0), SECOND: make_replica_record(1)}


def make_stored(**fields: Any) -> Stored:
    """Everything went well, unless told otherwise."""
    defaults: dict[str, Any] = {
        "records": RECORDS,
        "sizes": {FIRST: 100, SECOND: 200},
        "committed": frozenset({FIRST, SECOND}),
        "errors": {},
    }
    return Stored(**(defaults | fields))


def outcome_of(stored: Stored, **plan: Any) -> BackupOutcome:
    finished = NOW + timedelta(minutes=5)
    return backup_outcome(make_backup_plan(**plan), make_attempt(), stored, finished=finished)


def manifest() -> Manifest:
    return manifest_of(make_backup_plan(), make_topology(), make_attempt(), make_stored())


@pytest.mark.parametrize(
    ("stored", "status"),
    [
        pytest.param(make_stored(), Status.COMPLETED, id="all-committed"),
        pytest.param(
            make_stored(committed=frozenset({FIRST})),
            Status.PARTIALLY_FAILED,
            id="one-copy-missing",
        ),
        pytest.param(
            make_stored(errors={SECOND: AWAY}), Status.PARTIALLY_FAILED, id="committed-not-cleaned"
        ),
        pytest.param(
            make_stored(sizes={FIRST: 100}, committed=frozenset(), errors={SECOND: AWAY}),
            Status.PARTIALLY_FAILED,
            id="one-uploaded",
        ),
        pytest.param(
            make_stored(sizes={}, committed=frozenset(), errors={FIRST: AWAY, SECOND: AWAY}),
            Status.FAILED,
            id="none-uploaded",
        ),
        pytest.param(
            make_stored(records={}, sizes={}, committed=frozenset(), errors={FIRST: AWAY}),
            Status.FAILED,
            id="none-frozen",
        ),
    ],
)
def test_only_a_manifest_beside_every_replicas_data_completes_a_backup(
    stored: Stored, status: Status
) -> None:
    assert outcome_of(stored).status is status


def test_an_increment_tells_what_it_builds_on_and_what_it_saved() -> None:
    """The second shard is full: there was nothing on it to build on."""
    records = {FIRST: make_replica_record(0, base="nightly-1"), SECOND: make_replica_record(1)}
    outcome = outcome_of(
        make_stored(records=records, sizes={FIRST: 5, SECOND: 95}),
        request=backup_request(incremental="auto"),
    )
    assert [increment.base for increment in outcome.increments] == ["nightly-1", ""]
    assert [increment.frozen_bytes for increment in outcome.increments] == [100, 100]
    told = "nightly-1 (1 of 2 in full): 100 B sent for 200 B frozen, 50 % saved"
    assert outcome.facts["builds on"] == told
    assert outcome.sheets[-1].lines[0]["builds on"] == "nightly-1"


def test_where_nothing_could_be_built_on_the_facts_say_so() -> None:
    outcome = outcome_of(make_stored(), request=backup_request(incremental="auto"))
    assert outcome.facts["builds on"] == "nothing: the backup is full"


def test_a_backup_that_was_to_be_full_speaks_of_no_base() -> None:
    outcome = outcome_of(make_stored())
    assert outcome.increments == ()
    assert "builds on" not in outcome.facts


def test_one_shards_failure_does_not_hide_anothers_success() -> None:
    """Weak point 8: a finished upload was reported as nothing."""
    stored = make_stored(sizes={FIRST: 100}, committed=frozenset(), errors={SECOND: AWAY})
    first, second = outcome_of(stored).replicas
    assert (first.phase, first.size_bytes) == ("uploaded", 100)
    assert (second.phase, second.message) == ("frozen", "the bucket is away")


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        pytest.param({FIRST, SECOND}, "can be restored", id="all"),
        pytest.param({FIRST}, "copies of its manifest are missing", id="some"),
        pytest.param(set(), "not a recovery point", id="none"),
    ],
)
def test_the_next_step_says_what_a_restore_would_make_of_it(copies: set[str], told: str) -> None:
    steps = outcome_of(make_stored(committed=frozenset(copies), errors={SECOND: AWAY})).next_steps
    assert told in steps[0]
    assert "operation_id='op-1'" in steps[-1]


def test_a_complete_backup_says_how_to_restore_it() -> None:
    assert outcome_of(make_stored()).next_steps == (
        f"Restore it with restore_cluster(backup='{BACKUP}').",
    )


def test_the_skew_spans_from_the_first_freeze_to_the_last() -> None:
    """Weak point 8: the skew between shards was the sum of all uploads."""
    late = make_replica_record(
        1, frozen_from=NOW + timedelta(seconds=1), frozen_until=NOW + timedelta(seconds=9)
    )
    assert outcome_of(make_stored(records=RECORDS | {SECOND: late})).skew_seconds == 9.0


def test_the_skew_is_unknown_until_every_shard_is_frozen() -> None:
    stored = make_stored(records={FIRST: RECORDS[FIRST]}, errors={SECOND: AWAY})
    assert outcome_of(stored).skew_seconds is None


def test_rows_and_bytes_are_summed_over_the_replicas() -> None:
    outcome = outcome_of(make_stored())
    assert (outcome.rows, outcome.size_bytes) == (20, 300)


@pytest.mark.parametrize(
    ("asked", "rows", "told"),
    [
        pytest.param({}, 10, True, id="rows-without-fingerprint"),
        pytest.param({}, 0, False, id="empty-table"),
        pytest.param({"schema_only": True}, 10, False, id="schema-only"),
    ],
)
def test_a_restore_that_could_not_be_verified_is_told_at_backup_time(
    asked: dict[str, Any], rows: int, *, told: bool
) -> None:
    """Weak point 18: what could not be verified counted as fine."""
    record = make_table_record(make_table(rows=rows), fingerprint=None)
    records = {FIRST: make_replica_record(0).model_copy(update={"tables": (record,)})}
    outcome = outcome_of(make_stored(records=records), request=backup_request(**asked))
    assert any("cannot be verified" in note for note in outcome.notes) is told


def test_the_manifest_lists_every_shard_and_replica_of_the_cluster() -> None:
    topology = make_topology(shards=2, replicas=2)
    made = manifest_of(make_backup_plan(), topology, make_attempt(), make_stored())
    assert made.shards == {
        str(shard): (replica_name(shard, 0), replica_name(shard, 1)) for shard in range(2)
    }


def test_the_manifest_keeps_the_confirmed_sizes() -> None:
    assert [replica.size_bytes for replica in manifest().replicas] == [100, 200]


def test_a_rerun_writes_the_very_text_that_was_noted_before() -> None:
    earlier = manifest().to_text() + " "  # the same manifest, told apart by its text
    assert text_to_commit(manifest(), noted=earlier) == earlier


def test_without_a_noted_text_the_manifest_is_written_anew() -> None:
    assert Manifest.from_text(text_to_commit(manifest()), origin="b") == manifest()


def test_a_noted_manifest_is_not_written_for_other_data() -> None:
    other = make_stored(sizes={FIRST: 100, SECOND: 201})
    changed = manifest_of(make_backup_plan(), make_topology(), make_attempt(), other)
    with pytest.raises(BackupUnusable, match="under another name"):
        text_to_commit(changed, noted=manifest().to_text())


def test_a_sibling_that_does_not_see_the_backup_is_named_with_what_that_means() -> None:
    outcome = outcome_of(make_stored(unseen=("chi-demo-main-0-1",)))
    assert any("chi-demo-main-0-1" in n and "{replica}" in n for n in outcome.notes)
