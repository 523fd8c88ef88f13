"""The plan of a backup: replicas chosen with a reason, names held to their owner."""

from typing import Any

import pytest

from tasks.domain.backup_plan import BackupPlan, doubtful_paths
from tasks.domain.errors import InvalidRequest, PreflightFailed
from tasks.domain.inspection import Inspection
from tasks.domain.journal import Event
from tasks.domain.restore_need import End
from tests.builders import (
    BACKUP,
    backup_request,
    complete_listing,
    make_backup_plan,
    make_entry,
    make_inspection,
    make_journal,
    make_listed,
    make_listing,
    make_observation,
    make_table,
    make_topology,
    replica_name,
    started,
)

TWO_REPLICAS = make_topology(shards=1, replicas=2)
BEGUN = make_journal(started(backup_request()), make_entry(Event.INTENT, "create"))
ONLY_STARTED = make_journal(started(backup_request()))


def plan_of_pair(first: dict[str, Any], second: dict[str, Any], **asked: Any) -> BackupPlan:
    """Plan one shard of two replicas."""
    observed = make_observation(make_inspection(0, 0, **first), make_inspection(0, 1, **second))
    return make_backup_plan(backup_request(**asked), topology=TWO_REPLICAS, observed=observed)


def chosen(plan: BackupPlan) -> list[str]:
    return [replica.replica for replica in plan.replicas]


def findings(**fields: Any) -> str:
    with pytest.raises(PreflightFailed) as refused:
        make_backup_plan(**fields)
    return str(refused.value)


def test_the_first_replica_of_each_shard_is_chosen() -> None:
    topology = make_topology(shards=2, replicas=2)
    seen = [make_inspection(shard, replica) for shard in range(2) for replica in range(2)]
    plan = make_backup_plan(topology=topology, observed=make_observation(*seen))
    assert chosen(plan) == [replica_name(0, 0), replica_name(1, 0)]
    assert {replica.reason for replica in plan.replicas} == {"first replica of the shard"}


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"busy_with": "create x"}, id="busy"),
        pytest.param({"sidecar_version": "2.4.0"}, id="old-sidecar"),
        pytest.param({"object_disk_tables": ("shop.orders",)}, id="object-disk"),
        pytest.param({"database_engines": {"shop": "Replicated"}}, id="database-engine"),
    ],
)
def test_a_healthy_sibling_stands_in_and_the_reason_says_why(trouble: dict[str, Any]) -> None:
    plan = plan_of_pair(trouble, {})
    assert chosen(plan) == [replica_name(0, 1)]
    assert (
        f"first healthy replica: shard 0, replica {replica_name(0, 0)}" in plan.replicas[0].reason
    )


def test_a_sibling_stands_in_for_a_replica_that_is_away_and_a_note_tells() -> None:
    observed = make_observation(
        make_inspection(0, 1), unreachable={replica_name(0, 0): "connection refused"}
    )
    plan = make_backup_plan(topology=TWO_REPLICAS, observed=observed)
    assert chosen(plan) == [replica_name(0, 1)]
    assert "connection refused" in plan.replicas[0].reason
    assert plan.notes == (f"{replica_name(0, 0)} was left out: connection refused",)


def test_every_finding_of_every_shard_is_told_at_once() -> None:
    """Weak point 8: the first shard's failure hid the others."""
    told = findings(
        observed=make_observation(
            make_inspection(0, busy_with="create x"), make_inspection(1, sidecar_version="2.4.0")
        )
    )
    assert "shard 0" in told
    assert "shard 1" in told


def test_a_shard_without_any_replica_that_answers_stops_the_backup() -> None:
    told = findings(
        observed=make_observation(make_inspection(0), unreachable={replica_name(1): "away"})
    )
    assert f"shard 1, replica {replica_name(1)}: away" in told


def test_all_replicas_are_chosen_when_asked_for() -> None:
    plan = plan_of_pair({}, {}, replica_selection="AllReplicas")
    assert chosen(plan) == [replica_name(0, 0), replica_name(0, 1)]


def test_asked_for_all_replicas_none_may_be_missing() -> None:
    told = findings(
        request=backup_request(replica_selection="AllReplicas"),
        topology=TWO_REPLICAS,
        observed=make_observation(make_inspection(0, 0), unreachable={replica_name(0, 1): "away"}),
    )
    assert replica_name(0, 1) in told


def test_a_rerun_stays_on_the_replica_where_the_operation_began() -> None:
    """Another replica's data would pass for that which already lies in the bucket."""
    plan = plan_of_pair(
        {"journal": ONLY_STARTED}, {"journal": BEGUN, "listing": complete_listing()}
    )
    assert chosen(plan) == [replica_name(0, 1)]
    assert plan.replicas[0].reason == "an earlier attempt began here"


def test_a_rerun_waits_for_the_replica_where_the_operation_began() -> None:
    with pytest.raises(PreflightFailed, match="at work for somebody else"):
        plan_of_pair({}, {"journal": BEGUN, "busy_with": "create x"})


def test_a_rerun_does_not_pass_off_a_siblings_upload_as_its_own() -> None:
    observed = make_observation(
        make_inspection(0, 0, journal=ONLY_STARTED, listing=complete_listing()),
        unreachable={replica_name(0, 1): "away"},
    )
    assert "is taken" in findings(topology=TWO_REPLICAS, observed=observed)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(make_listed(), id="remote"),
        pytest.param(make_listed(location="local"), id="local"),
        pytest.param(make_listed(desc="broken: no metadata"), id="broken"),
    ],
)
def test_a_name_that_anybody_took_is_refused(row: Any) -> None:
    """Weak point 12: the same command was sent again under the same name."""
    observed = make_observation(make_inspection(0), make_inspection(1, listing=make_listing(row)))
    assert f"shard 1, replica {replica_name(1)}: the name {BACKUP} is taken" in findings(
        observed=observed
    )


def test_the_name_of_another_backup_is_not_taken() -> None:
    listing = make_listing(make_listed(f"{BACKUP}-2"))
    assert make_backup_plan(
        observed=make_observation(make_inspection(0, listing=listing)),
        topology=make_topology(shards=1),
    )


def test_a_rerun_finds_its_own_name_free() -> None:
    own: dict[str, Any] = {"journal": BEGUN, "listing": complete_listing()}
    observed = make_observation(make_inspection(0, **own), make_inspection(1, **own))
    assert len(chosen(make_backup_plan(observed=observed))) == 2


def test_a_sibling_may_list_what_the_chosen_replica_uploaded_before() -> None:
    plan = plan_of_pair(
        {"journal": BEGUN, "listing": complete_listing()}, {"listing": complete_listing()}
    )
    assert chosen(plan) == [replica_name(0, 0)]


def test_the_same_name_begun_by_another_operation_is_taken() -> None:
    foreign = make_journal(make_entry(Event.INTENT, "create", operation_id="op-2"))
    observed = make_observation(make_inspection(0, journal=foreign, listing=complete_listing()))
    assert "is taken" in findings(observed=observed, topology=make_topology(shards=1))


def test_whole_databases_are_named_so_that_new_tables_come_along() -> None:
    assert make_backup_plan().of(replica_name(0)).patterns == ("shop.*",)


def test_chosen_tables_are_named_one_by_one() -> None:
    tables = (make_table(), make_table("customers"))
    observed = make_observation(
        make_inspection(0, tables=tables), make_inspection(1, tables=tables)
    )
    plan = make_backup_plan(backup_request(tables=["shop.c*"]), observed=observed)
    assert {replica.patterns for replica in plan.replicas} == {("shop.customers",)}


def test_our_own_database_is_in_no_backup() -> None:
    tables = (make_table(), make_table("operations", database="chops"))
    plan = make_backup_plan(
        observed=make_observation(make_inspection(0, tables=tables)),
        topology=make_topology(shards=1),
    )
    assert plan.replicas[0].patterns == ("shop.*",)
    assert plan.replicas[0].tables == (make_table(),)


def test_a_shard_may_be_empty_where_another_is_not() -> None:
    plan = make_backup_plan(
        observed=make_observation(make_inspection(0), make_inspection(1, tables=()))
    )
    assert plan.of(replica_name(1)).patterns == ()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param({}, "there is no table to back up", id="all"),
        pytest.param({"tables": ["shop.x*"]}, "no table on any shard matches shop.x*", id="some"),
    ],
)
def test_a_backup_of_nothing_is_refused(asked: dict[str, Any], told: str) -> None:
    observed = make_observation(make_inspection(0, tables=()), make_inspection(1, tables=()))
    assert told in findings(request=backup_request(**asked), observed=observed)


@pytest.mark.parametrize("patterns", [[], ["shop.*"]])
def test_a_table_that_no_restore_could_name_is_refused_at_backup_time(patterns: list[str]) -> None:
    observed = make_observation(make_inspection(0, tables=(make_table("my orders"),)))
    topology = make_topology(shards=1)
    with pytest.raises(InvalidRequest, match=r"shop\.my orders cannot be named"):
        make_backup_plan(backup_request(tables=patterns), observed=observed, topology=topology)


def test_a_backup_of_a_half_restored_replica_tells_so() -> None:
    half = make_entry(Event.FINISHED, operation_id="op-r", payload=End.HALF_RESTORED.value)
    seen = make_inspection(0, journal=make_journal(half))
    observed, topology = make_observation(seen), make_topology(shards=1)
    (note,) = make_backup_plan(observed=observed, topology=topology).notes
    assert f"{seen.place}: restore operation op-r ended half way" in note


def test_a_pattern_that_means_nothing_is_told() -> None:
    plan = make_backup_plan(backup_request(tables=["shop.orders", "shop.absent"]))
    assert plan.notes == ("no table matches shop.absent",)


@pytest.mark.parametrize(
    ("engine", "rows", "uncovered"),
    [
        pytest.param("MergeTree", 7, True, id="local-with-rows"),
        pytest.param("MergeTree", 0, False, id="local-and-empty"),
        pytest.param("ReplicatedMergeTree", 7, False, id="replicated"),
        pytest.param("Distributed", 7, False, id="link"),
    ],
)
def test_rows_that_only_an_unchosen_replica_holds_are_named(
    engine: str, rows: int, *, uncovered: bool
) -> None:
    """Weak point 1: only one replica's local data was kept, and nothing reported it."""
    plan = plan_of_pair(
        {"tables": (make_table(engine=engine),)},
        {"tables": (make_table(engine=engine, rows=rows),)},
    )
    expected = (f"shop.orders on {replica_name(0, 1)}: {rows} rows",) if uncovered else ()
    assert plan.uncovered == expected


def test_with_all_replicas_nothing_is_uncovered() -> None:
    assert plan_of_pair({}, {}, replica_selection="AllReplicas").uncovered == ()


def test_a_sentence_says_what_comes_from_where_and_why() -> None:
    sentence = make_backup_plan().replicas[0].sentence
    assert sentence == f"shard 0: 1 tables from {replica_name(0)} (first replica of the shard)"


OLD, NEW = make_listed("monday"), make_listed("tuesday")


@pytest.mark.parametrize(
    ("first", "second", "doubtful"),
    [
        pytest.param([], [], True, id="both-empty"),
        pytest.param([], [OLD], True, id="one-empty"),
        pytest.param([OLD], [OLD], True, id="equal"),
        pytest.param([OLD, NEW], [OLD], True, id="one-row-behind"),
        pytest.param([OLD], [NEW], False, id="nothing-in-common"),
        pytest.param(
            [OLD], [make_listed("monday", size_bytes=1)], False, id="same-name-other-size"
        ),
        pytest.param(
            [make_listed("monday", location="local")],
            [make_listed("monday", location="local"), OLD],
            True,
            id="local-rows-prove-nothing",
        ),
    ],
)
def test_replicas_that_may_share_a_remote_path_are_doubted(
    first: list[Any], second: list[Any], *, doubtful: bool
) -> None:
    """Weak point 1: replicas of a shard overwrote each other's upload."""
    pair: list[Inspection] = [
        make_inspection(0, listing=make_listing(*first)),
        make_inspection(1, listing=make_listing(*second)),
    ]
    expected = (replica_name(0), replica_name(1)) if doubtful else ()
    assert doubtful_paths(pair) == expected


def test_one_replica_alone_shares_with_nobody() -> None:
    assert doubtful_paths([make_inspection(0)]) == ()


def test_partitions_of_a_table_that_is_not_there_are_refused() -> None:
    """A sidecar would ignore the name and take every partition of the others."""
    with pytest.raises(PreflightFailed, match=r"shop\.absent, which is not among the tables"):
        make_backup_plan(backup_request(partitions=["shop.absent:202601"]))
