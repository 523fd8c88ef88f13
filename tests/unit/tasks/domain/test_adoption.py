"""Adoption: only what is whole and seen on every shard, and no claim that nobody can check."""

from collections.abc import Mapping

import pytest

from tasks.domain.adoption import Frozen, adopted, demand_adoptable
from tasks.domain.catalogue import Catalogue, Copy
from tasks.domain.catalogue_merge import catalogue_of
from tasks.domain.errors import BackupNotFound, BackupUnusable
from tasks.domain.look import Look
from tasks.domain.manifest import Manifest
from tasks.domain.requests import Scope
from tests.builders import (
    BACKUP,
    OPERATION,
    complete_listing,
    make_inspection,
    make_listed,
    make_listing,
    make_observation,
    make_table,
    make_topology,
    replica_name,
)

ORDERS: Frozen = {"shop.orders": frozenset({"all_1_1_0"})}


def listed_by_hand(*, shards: int = 2) -> Catalogue:
    listing = make_listing(make_listed(), make_listed("seed"))
    looks = [
        Look(shard=str(shard), replica=replica_name(shard), listing=listing)
        for shard in range(shards)
    ]
    return catalogue_of(make_topology(), looks)


def copies() -> tuple[Copy, ...]:
    return demand_adoptable(listed_by_hand(), BACKUP, make_observation())


def taken(frozen: Mapping[str, Frozen | None] | None = None) -> Manifest:
    found = frozen or {replica_name(0): ORDERS, replica_name(1): ORDERS}
    observed = make_observation()
    return adopted(BACKUP, copies(), found, observed, make_topology(), operation_id=OPERATION)


def test_a_whole_backup_by_hand_gets_a_record_of_each_shard_without_rows() -> None:
    manifest = taken()
    assert [record.shard for record in manifest.replicas] == ["0", "1"]
    assert (manifest.adopted, manifest.scope, manifest.rows) == (True, Scope.FULL, 0)
    assert {t.rows for record in manifest.replicas for t in record.tables} == {None}


def test_a_shard_that_does_not_answer_any_more_is_not_left_out() -> None:
    one = make_observation(make_inspection(0), unreachable={replica_name(1): "refused"})
    with pytest.raises(BackupUnusable, match=r"shard 1 is silent.*refused"):
        demand_adoptable(listed_by_hand(), BACKUP, one)


def test_a_copy_without_a_part_kept_definitions_only() -> None:
    bare: Frozen = {"shop.orders": frozenset()}
    assert taken({replica_name(0): bare, replica_name(1): bare}).scope is Scope.SCHEMA


def test_a_copy_that_lacks_a_standing_table_is_partial() -> None:
    more = [make_inspection(n, tables=(make_table(), make_table("events"))) for n in range(2)]
    manifest = adopted(
        BACKUP,
        copies(),
        {replica_name(0): ORDERS, replica_name(1): ORDERS},
        make_observation(*more),
        make_topology(),
        operation_id=OPERATION,
    )
    assert manifest.scope is Scope.PARTIAL


@pytest.mark.parametrize(
    ("frozen", "why"),
    [
        pytest.param(None, "cannot tell which tables", id="sidecar-cannot-tell"),
        pytest.param({"shop.gone": frozenset({"x"})}, "stand no more.*shop.gone", id="table-gone"),
    ],
)
def test_what_nobody_can_tell_is_not_adopted(frozen: Frozen | None, why: str) -> None:
    with pytest.raises(BackupUnusable, match=why):
        taken({replica_name(0): frozen, replica_name(1): ORDERS})


def test_what_is_missing_or_has_a_manifest_is_not_adopted() -> None:
    with pytest.raises(BackupNotFound):
        demand_adoptable(listed_by_hand(), "nosuch", make_observation())
    ours = Look(shard="0", replica=replica_name(0), listing=complete_listing())
    with pytest.raises(BackupUnusable, match="manifest already"):
        demand_adoptable(catalogue_of(make_topology(), [ours]), BACKUP, make_observation())
    with pytest.raises(BackupUnusable, match=r"incomplete|unknown"):
        demand_adoptable(listed_by_hand(shards=1), BACKUP, make_observation())


def test_what_is_our_own_is_never_part_of_a_backup() -> None:
    """A hand-made backup of everything holds the journal: a restore of it would drop it."""
    everything = {**ORDERS, "chops.operations": frozenset({"all_1_1_0"})}
    manifest = taken({replica_name(0): everything, replica_name(1): everything})
    assert {t.full_name for r in manifest.replicas for t in r.tables} == {"shop.orders"}
