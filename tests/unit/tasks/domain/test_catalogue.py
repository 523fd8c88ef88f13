"""The catalogue: what is seen on every shard is a point; what is not seen is never guessed."""

from datetime import timedelta
from time import process_time
from typing import Any

import pytest

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.catalogue_merge import catalogue_of
from tasks.domain.fingerprint import Verdict
from tasks.domain.listing import Listed
from tasks.domain.look import Look
from tasks.domain.manifest import Manifest
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import manifest_name
from tasks.domain.proofs import Proof, standing_proof
from tasks.domain.requests import Scope
from tasks.domain.suspicion import suspects
from tests.builders import (
    BACKUP,
    NOW,
    complete_listing,
    make_fingerprint,
    make_listed,
    make_listing,
    make_manifest,
    make_replica_record,
    make_table,
    make_table_record,
    make_topology,
    replica_name,
)

MADE = 1_700_000_000
SEED = make_listed("seed")


def make_look(shard: int = 0, replica: int = 0, *rows: Listed, **fields: Any) -> Look:
    """Make what a replica lists: the backup with its manifest, unless told otherwise."""
    listing = make_listing(*rows) if rows else complete_listing()
    defaults: dict[str, Any] = {
        "shard": str(shard),
        "replica": replica_name(shard, replica),
        "listing": listing,
    }
    return Look(**(defaults | fields))


def known(
    manifest: Manifest | None = None, *, made: int = MADE
) -> dict[str, tuple[int, ManifestSummary]]:
    found = ManifestSummary.of(manifest or make_manifest())
    return {found.backup_name: (made, found)}


def silent(shard: int = 0, replica: int = 0) -> Look:
    return make_look(shard, replica, listing=None, trouble="connection refused")


def merged(*looks: Look, replicas: int = 1, **fields: Any) -> Catalogue:
    shards = len({look.shard for look in looks})
    topology = make_topology(shards=max(2, shards), replicas=replicas)
    return catalogue_of(topology, looks, **fields)


def the(catalogue: Catalogue, name: str = BACKUP) -> Backup:
    found = catalogue.find(name)
    assert found is not None
    return found


def test_a_backup_that_every_shard_lists_with_its_manifest_is_a_recovery_point() -> None:
    backup = the(merged(make_look(0, known=known()), make_look(1)))
    assert (backup.state, backup.is_point, backup.counts) == (State.COMPLETE, True, True)
    assert backup.at == NOW + timedelta(seconds=2)
    assert backup.size_bytes == 2000


def test_companions_are_no_backups_of_their_own() -> None:
    catalogue = merged(
        make_look(0), make_look(1, 0, *complete_listing().rows, make_listed("p.probe1"))
    )
    assert [backup.name for backup in catalogue.backups] == [BACKUP]


def test_a_shard_that_answers_and_does_not_list_it_makes_it_incomplete() -> None:
    backup = the(merged(make_look(0), make_look(1, 0, SEED)))
    assert (backup.state, backup.lacking) == (State.INCOMPLETE, ("1",))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(silent(1), id="does-not-answer"),
        pytest.param(make_look(1, listing=make_listing()), id="lists-nothing-at-all"),
        pytest.param(make_look(1, 0, make_listed("only", location="local")), id="only-local-rows"),
        pytest.param(make_look(1, 0, SEED, trouble="two listings differ"), id="listings-differ"),
    ],
)
def test_what_a_doubtful_replica_does_not_list_is_unknown_and_never_absent(other: Look) -> None:
    backup = the(merged(make_look(0, known=known()), other))
    assert (backup.state, backup.lacking, backup.is_point) == (State.UNKNOWN, (), False)
    assert other.replica in backup.why


def test_a_sibling_that_lists_it_is_enough_where_the_one_that_stored_it_does_not_answer() -> None:
    backup = the(merged(make_look(0, 1, known=known()), silent(0, 0), make_look(1), replicas=2))
    assert backup.state is State.COMPLETE


def test_a_replica_that_answers_must_list_what_it_stored() -> None:
    looks = [make_look(0, 0, SEED), make_look(0, 1, known=known()), make_look(1)]
    assert the(merged(*looks, replicas=2)).lacking == ("0",)


def test_a_shard_that_had_no_tables_lacks_nothing() -> None:
    empty = make_replica_record(1, tables=())
    manifest = make_manifest(make_replica_record(0), empty)
    backup = the(merged(make_look(0, known=known(manifest)), make_look(1, 0, SEED)))
    assert backup.state is State.COMPLETE


def test_a_shard_that_the_cluster_has_no_more_is_a_doubt() -> None:
    record = make_replica_record(7)
    backup = the(
        merged(
            make_look(0, known=known(make_manifest(make_replica_record(0), record))), make_look(1)
        )
    )
    assert (backup.state, "shard 7" in backup.why) == (State.UNKNOWN, True)


def test_a_broken_copy_makes_it_broken() -> None:
    bad = make_listed(desc="broken (can't stat metadata.json)")
    backup = the(merged(make_look(0), make_look(1, 0, bad)))
    assert (backup.state, "can't stat" in backup.why) == (State.BROKEN, True)


def test_two_manifests_of_one_name_make_it_broken() -> None:
    other = known(make_manifest(operation_id="op-other"))
    backup = the(merged(make_look(0, known=known()), make_look(1, known=other)))
    assert (backup.state, backup.manifest) == (State.BROKEN, None)


def test_a_summary_of_a_companion_that_was_made_anew_is_not_believed() -> None:
    backup = the(merged(make_look(0, known=known(made=MADE - 1)), make_look(1)))
    assert backup.manifest is None
    assert [b.name for b in merged(make_look(0), make_look(1)).unread] == [BACKUP]


def test_a_manifest_that_cannot_be_read_is_not_read_again_and_makes_no_point() -> None:
    catalogue = merged(make_look(0), make_look(1), unreadable={BACKUP: "corrupt"})
    assert (catalogue.unread, the(catalogue).is_point) == ((), False)


def test_a_manifest_without_any_data_is_incomplete() -> None:
    lone = make_listed(manifest_name(BACKUP))
    backup = the(merged(make_look(0, 0, lone, known=known()), make_look(1, 0, SEED)))
    assert (backup.state, backup.lacking) == (State.INCOMPLETE, ("0", "1"))


CHAIN = [
    pytest.param([make_listed("base")], State.COMPLETE, "", id="whole"),
    pytest.param([SEED], State.BROKEN, "base is not listed remotely", id="base-missing"),
    pytest.param(
        [make_listed("base", desc="broken x")], State.BROKEN, "base is listed as", id="base-broken"
    ),
    pytest.param([make_listed("base", required=BACKUP)], State.BROKEN, "comes back", id="circle"),
    pytest.param(
        [make_listed("base", required="x")], State.BROKEN, "x is not listed", id="base-lacks-base"
    ),
]


@pytest.mark.parametrize(("others", "state", "why"), CHAIN)
def test_an_increment_is_worth_what_its_chain_on_the_same_shard_is(
    others: list[Listed], state: State, why: str
) -> None:
    increment = make_listed(required="base")
    looks = [
        make_look(0, 0, increment, *others),
        make_look(1, 0, make_listed(), make_listed("base")),
    ]
    found = the(merged(*looks))
    assert (found.state, why in found.why) == (state, True)


def test_a_base_that_a_doubtful_listing_lacks_is_unknown() -> None:
    increment = make_listed(required="base")
    doubtful = make_look(0, 0, increment, trouble="two of its listings differ")
    found = the(merged(doubtful, make_look(1, 0, make_listed())))
    assert (found.state, "differ" in found.why) == (State.UNKNOWN, True)


def test_a_base_on_a_sibling_s_own_path_is_of_no_use() -> None:
    looks = [
        make_look(0, 0, make_listed(required="base")),
        make_look(0, 1, make_listed("base")),
        make_look(1, 0, make_listed()),
    ]
    assert the(merged(*looks, replicas=2)).state is State.BROKEN


def test_of_several_that_stored_rows_of_their_own_a_silent_one_leaves_doubt() -> None:
    both = make_manifest(
        make_replica_record(0, 0), make_replica_record(0, 1), make_replica_record(1)
    )
    looks = [make_look(0, 0, known=known(both)), silent(0, 1), make_look(1)]
    assert the(merged(*looks, replicas=2)).state is State.UNKNOWN


def test_a_base_knows_who_needs_it() -> None:
    looks = [make_look(0, 0, make_listed(required="base"), make_listed("base")), make_look(1)]
    assert the(merged(*looks), "base").children == {BACKUP}


def test_copies_that_replicas_list_of_one_path_are_counted_once() -> None:
    looks = [make_look(0, 0), make_look(0, 1), make_look(1)]
    assert the(merged(*looks, replicas=2)).size_bytes == 2000


def proof(operation_id: str = "op-of-backup", **fields: Any) -> Proof:
    defaults: dict[str, Any] = {
        "verification_id": "op-v", "backup_name": BACKUP, "backup_operation_id": operation_id,
        "level": "restore", "verdict": Verdict.PASSED, "at": NOW, "seconds": {"0": 3.0, "1": 5.0},
    }  # fmt: skip
    return Proof(**(defaults | fields))


def test_a_proof_counts_for_the_very_backup_that_it_was_about() -> None:
    other = proof("op-before", verification_id="op-w")
    looks = [make_look(0, known=known(), proofs=(proof(), other)), make_look(1, proofs=(proof(),))]
    backup = the(merged(*looks))
    assert backup.proofs == (proof(),)
    assert backup.proof is not None
    assert backup.proof.seconds_to_restore == 5.0


def point(
    name: str, *, hours: int, tables: tuple[str, ...] = ("orders",), **fields: Any
) -> Manifest:
    """Make a manifest frozen some hours from now, its tables full of rows."""
    at = NOW + timedelta(hours=hours)
    made = [make_table(table) for table in tables]
    record = make_replica_record(0, tables=made, frozen_from=at, frozen_until=at)
    return make_manifest(record, backup_name=name, operation_id=f"op-{name}", **fields)


def empty(name: str, *, hours: int) -> Manifest:
    at = NOW + timedelta(hours=hours)
    table = make_table_record(
        make_table(rows=0), fingerprint=make_fingerprint().model_copy(update={"partitions": {}})
    )
    record = make_replica_record(0, frozen_from=at, frozen_until=at).model_copy(
        update={"tables": (table,)}
    )
    return make_manifest(record, backup_name=name, operation_id=f"op-{name}")


def suspects_among(*manifests: Manifest) -> set[str]:
    rows = [row for m in manifests for row in complete_listing(m.backup_name).rows]
    noted = {name: found for m in manifests for name, found in known(m).items()}
    catalogue = catalogue_of(make_topology(shards=1), [make_look(0, 0, *rows, known=noted)])
    return {backup.name for backup in catalogue.backups if backup.suspect}


def test_points_without_a_row_stay_suspect_as_long_as_one_before_them_had_rows() -> None:
    points = [point("a", hours=0), empty("b", hours=1), empty("c", hours=2), point("d", hours=3)]
    assert suspects_among(*points) == {"b", "c"}
    assert suspects_among(empty("b", hours=1), point("d", hours=3)) == set()


def test_points_of_a_shard_that_lost_its_rows_stay_suspect_though_another_one_has_some() -> None:
    def both(name: str, hours: int, *, lost: bool) -> Manifest:
        at = NOW + timedelta(hours=hours)
        empty_print = make_fingerprint().model_copy(update={"partitions": {}})
        gone = make_table_record(make_table(rows=0), fingerprint=empty_print)
        second = make_replica_record(1, frozen_from=at, frozen_until=at)
        if lost:
            second = second.model_copy(update={"tables": (gone,)})
        first = make_replica_record(0, frozen_from=at, frozen_until=at)
        return make_manifest(first, second, backup_name=name, operation_id=f"op-{name}")

    points = [both("a", 0, lost=False), both("b", 1, lost=True), both("c", 2, lost=True)]
    why = suspects([ManifestSummary.of(manifest) for manifest in points], shards=("0", "1"))
    assert set(why) == {"b", "c"}
    assert "shard 1" in why["c"]


def test_rows_that_nobody_fingerprinted_are_told_by_the_server_s_count() -> None:
    def unprinted(name: str, rows: int) -> ManifestSummary:
        table = make_table_record(make_table(rows=rows), fingerprint=None)
        record = make_replica_record(0).model_copy(update={"tables": (table,)})
        return ManifestSummary.of(make_manifest(record, backup_name=name))

    points = [unprinted("a", 10), unprinted("b", 0)]
    assert set(suspects(points, shards=("0",))) == {"b"}


def test_a_point_that_left_a_shard_out_is_suspect_and_one_from_before_it_grew_is_not() -> None:
    def of_shards(name: str, *shards: int) -> ManifestSummary:
        records = [make_replica_record(shard) for shard in shards]
        return ManifestSummary.of(make_manifest(*records, backup_name=name))

    small, grown, half = of_shards("small", 0), of_shards("grown", 0, 1), of_shards("half", 0)
    assert set(suspects([small, grown, half], shards=("0", "1"))) == {"half"}
    assert set(suspects([grown, half], shards=("0",))) == {"half"}  # once, when it shrank
    assert set(suspects([grown, half, of_shards("later", 0)], shards=("0",))) == {"half"}


def test_a_point_that_was_taken_in_doubt_is_suspect() -> None:
    assert suspects_among(point("a", hours=0, doubts=("half restored",))) == {"a"}


def test_the_first_point_without_a_table_that_held_rows_is_suspect() -> None:
    two = point("a", hours=0, tables=("orders", "events"))
    assert suspects_among(two, point("b", hours=1), point("c", hours=2)) == {"b"}


def test_partial_points_are_neither_suspect_nor_a_measure() -> None:
    part = point("a", hours=0, tables=("orders", "events"), scope=Scope.PARTIAL)
    assert suspects_among(part, point("b", hours=1)) == set()


def test_two_listings_that_differ_show_what_is_in_either_and_leave_doubt() -> None:
    before = make_look(0, 0, SEED)
    found = before.confirmed_by(make_look(0))
    assert found.remote("seed")
    assert found.remote(BACKUP)
    assert found.doubt
    assert before.confirmed_by(before).doubt == ""


def test_a_replica_that_answered_once_only_leaves_doubt() -> None:
    assert make_look(0).confirmed_by(silent(0)).doubt
    assert silent(0).confirmed_by(make_look(0)).doubt == ""


def test_a_backup_of_another_installation_is_a_point_that_does_not_count() -> None:
    theirs = known(make_manifest(installation="other"))
    backup = the(merged(make_look(0, known=theirs), make_look(1)))
    assert (backup.is_point, backup.ours, backup.counts) == (True, False, False)


@pytest.mark.parametrize(
    ("tries", "standing"),
    [
        pytest.param([("restore", "failed"), ("listing", "passed")], 0, id="look-hides-no-failure"),
        pytest.param([("restore", "failed"), ("restore", "passed")], 1, id="drill-mends-a-drill"),
        pytest.param([("restore", "passed"), ("listing", "passed")], 0, id="the-most-counts"),
        pytest.param([("restore", "passed"), ("listing", "failed")], 1, id="a-later-failure"),
        pytest.param([("restore", "could not tell")], None, id="a-doubt-proves-nothing"),
    ],
)
def test_a_failure_stands_until_a_try_that_goes_as_far_passes(
    tries: list[tuple[str, str]], standing: int | None
) -> None:
    proofs = [proof(level=level, verdict=verdict) for level, verdict in tries]
    assert standing_proof(proofs) == (None if standing is None else proofs[standing])


def seconds_to_merge(backups: int) -> float:
    rows = [row for number in range(backups) for row in complete_listing(f"b{number}").rows]
    looks = [make_look(shard, 0, *rows) for shard in range(10)]
    begun = process_time()
    assert len(merged(*looks).backups) == backups
    return process_time() - begun


def test_four_times_as_many_backups_are_not_merged_sixteen_times_as_slowly() -> None:
    assert seconds_to_merge(1200) < 9 * seconds_to_merge(300)
