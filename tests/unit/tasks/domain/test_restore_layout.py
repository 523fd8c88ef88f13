"""Where a restore finds its backup, and which replica each shard's rows go back to."""

from typing import Any

import pytest

from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    BackupNotFound,
    BackupUnusable,
    PreflightFailed,
    TopologyMismatch,
)
from tasks.domain.names import manifest_name
from tasks.domain.restore_guard import demand_listed
from tests.builders import (
    BACKUP,
    make_inspection,
    make_listed,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_target,
    make_topology,
    replica_name,
    restore_request,
)

ONE_SHARD = make_topology(shards=1)


def names(tables: Any) -> list[str]:
    return [table.name for table in tables]


def test_a_backup_is_read_from_a_replica_that_lists_its_manifest() -> None:
    observed = make_observation(make_target(0), make_target(1))
    assert demand_listed(BACKUP, observed)[0] == replica_name(0)


def test_one_replica_of_each_shard_is_enough_to_list_it() -> None:
    observed = make_observation(make_inspection(0, 0), make_target(0, 1))
    assert demand_listed(BACKUP, observed)[0] == replica_name(0, 1)


@pytest.mark.parametrize(
    ("listing", "error", "told"),
    [
        pytest.param([], BackupNotFound, "no shard lists a backup named", id="nowhere"),
        pytest.param([make_listed()], BackupUnusable, "has no manifest", id="without-manifest"),
        pytest.param(
            [make_listed(location="local")], BackupUnusable, "has no manifest", id="only-local"
        ),
        pytest.param(
            [make_listed(), make_listed(manifest_name(BACKUP), desc="broken: half")],
            BackupUnusable,
            "has no manifest",
            id="broken-manifest",
        ),
        pytest.param(
            [make_listed(), make_listed(manifest_name(BACKUP), location="local")],
            BackupUnusable,
            "has no manifest",
            id="manifest-not-uploaded",
        ),
    ],
)
def test_a_backup_that_is_not_complete_is_refused_before_anything_is_dropped(
    listing: list[Any], error: type[BackupError], told: str
) -> None:
    """Weak point 6: nothing checked that the backup exists on all shards."""
    observed = make_observation(
        *(make_inspection(n, listing=make_listing(*listing)) for n in range(2))
    )
    with pytest.raises(error, match=told):
        demand_listed(BACKUP, observed)


def test_one_copy_of_the_manifest_commits_the_whole_and_a_missing_one_is_told() -> None:
    observed = make_observation(
        make_inspection(0, listing=make_listing(make_listed()), tables=()), make_target(1)
    )
    assert demand_listed(BACKUP, observed)[0] == replica_name(1)
    assert "shard 0 lacks its copy" in make_restore_plan(observed=observed).notes[0]


def test_with_every_copy_there_is_nothing_to_note() -> None:
    assert make_restore_plan().notes == ()


def test_a_restore_needs_every_replica() -> None:
    observed = make_observation(make_target(0), unreachable={replica_name(1): "away"})
    with pytest.raises(PreflightFailed, match=f"{replica_name(1)}: away"):
        demand_listed(BACKUP, observed)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_cluster_with_another_number_of_shards_is_refused(shards: int) -> None:
    """Weak point 19: validating the topology was SELECT 1."""
    observed = make_observation(*(make_target(shard) for shard in range(shards)))
    with pytest.raises(TopologyMismatch, match="was taken from shards 0, 1"):
        make_restore_plan(topology=make_topology(shards=shards), observed=observed)


def test_the_path_of_another_shard_is_recognised_by_its_macro() -> None:
    """Weak point 6: nothing checked that shard k's path belongs to shard k."""
    swapped = make_observation(make_target(0, macros={"shard": "1"}), make_target(1))
    with pytest.raises(TopologyMismatch, match="another shard's"):
        make_restore_plan(observed=swapped)


def test_a_server_without_the_macro_is_not_suspected() -> None:
    assert make_restore_plan(observed=make_observation(make_target(0, macros={}), make_target(1)))


RENAMED = make_replica_record(0, name="chi-staging-main-0-0")


def test_rows_go_to_a_replica_of_another_name_where_there_is_one_choice() -> None:
    """Without it a restore into another cluster would bring no row back, and call it passed."""
    plan = make_restore_plan(
        manifest=make_manifest(RENAMED),
        topology=ONE_SHARD,
        observed=make_observation(make_target(0)),
    )
    assert names(plan.of(replica_name(0)).fill) == ["orders"]


@pytest.mark.parametrize(
    ("records", "replicas"),
    [
        pytest.param([RENAMED], 2, id="two-places-for-one"),
        pytest.param([RENAMED, make_replica_record(0, 0)], 1, id="one-place-for-two"),
    ],
)
def test_rows_without_a_replica_to_go_to_are_never_left_out(
    records: list[Any], replicas: int
) -> None:
    targets = [make_target(0, replica) for replica in range(replicas)]
    fields: dict[str, Any] = {
        "manifest": make_manifest(*records),
        "topology": make_topology(shards=1, replicas=replicas),
        "observed": make_observation(*targets),
    }
    with pytest.raises(TopologyMismatch, match="holds the rows of chi-staging-main-0-0"):
        make_restore_plan(**fields)
    assert make_restore_plan(restore_request(schema_only=True), **fields)


def test_local_rows_go_back_to_the_replica_they_came_from() -> None:
    """Weak point 1: only the last replica's local data stayed restorable."""
    records = [make_replica_record(0, replica) for replica in range(2)]
    plan = make_restore_plan(
        manifest=make_manifest(*records),
        topology=make_topology(shards=1, replicas=2),
        observed=make_observation(make_target(0, 0), make_target(0, 1)),
    )
    assert [names(part.fill) for part in plan.replicas] == [["orders"], ["orders"]]


def test_a_sibling_without_a_backup_of_its_own_gets_definitions_only() -> None:
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0, 0)),
        topology=make_topology(shards=1, replicas=2),
        observed=make_observation(make_target(0, 0), make_target(0, 1)),
    )
    assert [names(part.create) for part in plan.replicas] == [["orders"], ["orders"]]
    assert [names(part.fill) for part in plan.replicas] == [["orders"], []]


def test_a_shard_goes_on_whole_or_not_at_all() -> None:
    """Weak point 8: one shard's failure must not stop the others."""
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0, 0), make_replica_record(1, 0)),
        topology=make_topology(shards=2, replicas=2),
        observed=make_observation(*(make_target(s, r) for s in range(2) for r in range(2))),
    )
    errors = {replica_name(0, 1): ActionFailed("no")}
    assert plan.unhurt(errors) == [replica_name(1, 0), replica_name(1, 1)]


def test_a_replica_fills_from_its_own_record_not_from_its_siblings() -> None:
    own = make_replica_record(0, 1, tables=[make_table("own")])
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0, 0), own),
        topology=make_topology(shards=1, replicas=2),
        observed=make_observation(make_target(0, 0), make_target(0, 1)),
    )
    assert names(plan.of(replica_name(0, 1)).fill) == ["own"]
