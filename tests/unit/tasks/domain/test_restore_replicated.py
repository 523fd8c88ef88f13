"""Rows of Replicated tables: attached on one replica, once, wherever its siblings stand."""

from typing import Any

import pytest

from tasks.domain.errors import ActionFailed, PreflightFailed, TargetNotEmpty
from tasks.domain.journal import Event, Step
from tasks.domain.restore_need import Need
from tasks.domain.restore_plan import RestorePlan
from tests.builders import (
    make_entry,
    make_fingerprint,
    make_inspection,
    make_journal,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_table_record,
    make_target,
    make_topology,
    replica_name,
    restore_request,
)

PAIR = make_topology(shards=1, replicas=2)
FIRST, SECOND = replica_name(0, 0), replica_name(0, 1)


def replicated(name: str = "orders", path: str = "/t/{shard}/o", **fields: Any) -> Any:
    engine = "ReplicatedMergeTree"
    definition = f"CREATE TABLE shop.{name} (id UInt64) ENGINE = {engine}('{path}', '{{replica}}')"
    return make_table(name, **({"engine": engine, "definition": definition} | fields))


def pair(*records: Any, first: Any = (), second: Any = (), **asked: Any) -> RestorePlan:
    """Plan one shard of two replicas; `first` and `second` are their fields."""
    return make_restore_plan(
        restore_request(**asked),
        manifest=make_manifest(*records),
        topology=PAIR,
        observed=make_observation(
            make_target(0, 0, **dict(first)), make_target(0, 1, **dict(second))
        ),
    )


def attached(plan: RestorePlan) -> dict[str, list[str]]:
    return {part.replica: [table.name for table in part.fill] for part in plan.replicas}


def followed(plan: RestorePlan) -> dict[str, list[tuple[str, str]]]:
    return {
        part.replica: [(f.record.name, f.source) for f in part.follow] for part in plan.replicas
    }


def record_of(number: int, *tables: Any, parts: int = 1, **fields: Any) -> Any:
    prints = make_fingerprint(*(f"202601_{n}_{n}_0" for n in range(parts)))
    stored = tuple(
        make_table_record(t, fingerprint=prints if t.engine.endswith("MergeTree") else None)
        for t in tables
    )
    return make_replica_record(0, number, **fields).model_copy(update={"tables": stored})


MIXED = (replicated(), make_table("seen"))


def test_one_replica_attaches_and_its_sibling_follows() -> None:
    plan = pair(record_of(0, *MIXED))
    assert attached(plan) == {FIRST: ["orders", "seen"], SECOND: []}
    assert followed(plan) == {FIRST: [], SECOND: [("orders", FIRST)]}
    assert [table.name for table in plan.of(SECOND).create] == ["orders", "seen"]


def test_with_a_backup_of_every_replica_only_local_rows_go_to_each() -> None:
    plan = pair(record_of(0, *MIXED), record_of(1, *MIXED))
    assert attached(plan) == {FIRST: ["orders", "seen"], SECOND: ["seen"]}


def test_the_copy_with_the_most_replicated_rows_is_attached() -> None:
    plan = pair(record_of(0, replicated()), record_of(1, replicated(), parts=2))
    assert attached(plan) == {FIRST: [], SECOND: ["orders"]}
    assert f"attached on {SECOND}" in plan.choices[0]
    assert "the most replicated rows, 20" in plan.choices[0]


def test_a_table_that_only_one_copy_holds_is_attached_from_there() -> None:
    plan = pair(
        record_of(0, replicated(), parts=2),
        record_of(1, replicated(), replicated("more", "/t/{shard}/m")),
    )
    assert attached(plan) == {FIRST: ["orders"], SECOND: ["more"]}


def test_tables_of_one_name_that_do_not_replicate_each_other_both_get_their_rows() -> None:
    apart = replicated(path="/t/{shard}/{replica}/o")
    assert attached(pair(record_of(0, apart), record_of(1, apart))) == {
        FIRST: ["orders"],
        SECOND: ["orders"],
    }


def test_a_sibling_that_does_not_replicate_has_rows_to_lose() -> None:
    apart = replicated(path="/t/{shard}/{replica}/o")
    with pytest.raises(TargetNotEmpty, match=rf"shop\.orders on {SECOND}"):
        pair(record_of(0, apart), second={"tables": (apart,)}, overwrite=True)


def test_rows_that_replication_brings_back_are_not_lost() -> None:
    standing = {"tables": (replicated(),)}
    plan = pair(record_of(0, replicated()), first=standing, second=standing, overwrite=True)
    assert plan.lost == ()
    assert [len(part.drop) for part in plan.replicas] == [1, 1]


def test_local_rows_under_the_name_of_a_replicated_table_are_not_brought_back_by_it() -> None:
    with pytest.raises(TargetNotEmpty, match=rf"shop\.orders on {SECOND}"):
        pair(record_of(0, replicated()), second={"tables": (make_table(),)}, overwrite=True)


def test_replicated_rows_find_a_home_in_a_cluster_of_other_names() -> None:
    plan = pair(record_of(0, replicated(), name="chi-prod-main-0-0"))
    assert attached(plan) == {FIRST: ["orders"], SECOND: []}
    assert "stands in for chi-prod-main-0-0" in plan.choices[0]


def test_the_plan_says_which_replica_gets_rows_and_why() -> None:
    lines = pair(record_of(0, replicated())).lines
    assert lines[0] == (
        f"shard 0: replicated rows are attached on {FIRST}: before-upgrade was taken from it"
    )
    assert f"shard 0, {SECOND}: get the rows of shop.orders from {FIRST} (10 rows)" in lines


def test_a_replica_on_a_path_of_its_own_is_told_apart_from_a_missing_backup() -> None:
    with pytest.raises(PreflightFailed, match=rf"{FIRST} does: .*\{{replica\}}.*AllReplicas"):
        make_restore_plan(
            manifest=make_manifest(record_of(0, replicated())),
            topology=PAIR,
            observed=make_observation(make_target(0, 0), make_inspection(0, 1, tables=())),
        )


def global_table(*targets: Any) -> RestorePlan:
    """Plan two shards that share one replicated table."""
    shared = replicated(path="/t/all/o")
    records = [
        make_replica_record(shard).model_copy(update={"tables": (make_table_record(shared),)})
        for shard in range(2)
    ]
    return make_restore_plan(manifest=make_manifest(*records), observed=make_observation(*targets))


def test_a_table_that_all_shards_share_is_attached_once() -> None:
    plan = global_table(make_target(0), make_target(1))
    assert attached(plan) == {replica_name(0): ["orders"], replica_name(1): []}


def test_shards_that_share_a_table_go_on_together_or_not_at_all() -> None:
    plan = global_table(make_target(0), make_target(1))
    assert plan.unhurt({replica_name(1): ActionFailed("no")}) == []


def done(*steps: Step, half: Step | None = None) -> Any:
    entries = [make_entry(Event.STEP, step) for step in steps]
    return make_journal(*entries, *([make_entry(Event.INTENT, half)] if half else []))


def test_an_attach_of_unknown_fate_makes_every_replica_of_its_shard_make_its_tables_anew() -> None:
    plan = pair(
        record_of(0, replicated()),
        first={"journal": done(Step.DROP, Step.SCHEMA, half=Step.DATA)},
        second={"journal": done(Step.DROP, Step.SCHEMA, Step.DATA)},
    )
    assert [part.need for part in plan.replicas] == [Need.REMAKE, Need.REMAKE]


def test_a_siblings_own_half_attach_leaves_the_source_alone() -> None:
    plan = pair(
        record_of(0, *MIXED),
        record_of(1, *MIXED),
        first={"journal": done(Step.DROP, Step.SCHEMA, Step.DATA)},
        second={"journal": done(Step.DROP, Step.SCHEMA, half=Step.DATA)},
    )
    assert [part.need for part in plan.replicas] == [Need.FINISH, Need.REMAKE]
