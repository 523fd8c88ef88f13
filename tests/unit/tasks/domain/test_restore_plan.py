"""The plan of a restore: what is dropped, created and filled where, and what forbids it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.errors import (
    InvalidRequest,
    PreflightFailed,
    TargetNotEmpty,
)
from tasks.domain.journal import Event, Step
from tasks.domain.requests import Scope
from tasks.domain.restore_plan import ReplicaRestore
from tests.builders import (
    OPERATION,
    complete_listing,
    inner_of,
    made,
    make_entry,
    make_journal,
    make_listed,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_table_record,
    make_target,
    make_topology,
    make_view,
    replica_name,
    restore_request,
)

ONE_SHARD = make_topology(shards=1)


def part_of(*standing: Any, tables: Any = None, **asked: Any) -> ReplicaRestore:
    """Plan one shard of one replica where `standing` stands and `tables` are in the backup."""
    plan = make_restore_plan(
        restore_request(**asked),
        manifest=make_manifest(make_replica_record(0, tables=tables)),
        topology=ONE_SHARD,
        observed=make_observation(make_target(0, 0, *standing)),
    )
    return plan.of(replica_name(0))


def names(tables: Any) -> list[str]:
    return [table.name for table in tables]


def test_an_empty_target_gets_everything_and_loses_nothing() -> None:
    plan = make_restore_plan()
    assert plan.lost == ()
    for part in plan.replicas:
        assert (part.drop, names(part.create), names(part.fill)) == ((), ["orders"], ["orders"])


@pytest.mark.parametrize(
    ("scope", "schema_only"),
    [(Scope.SCHEMA, False), (Scope.FULL, True), (Scope.SCHEMA, True)],
)
def test_definitions_alone_attach_nothing(scope: Scope, *, schema_only: bool) -> None:
    request = restore_request(schema_only=schema_only)
    plan = make_restore_plan(request, manifest=make_manifest().model_copy(update={"scope": scope}))
    assert [part.fill for part in plan.replicas] == [(), ()]


def test_only_merge_trees_are_filled() -> None:
    tables = [make_table(), make_table("d", engine="Distributed"), make_table("l", engine="Log")]
    assert names(part_of(tables=tables).fill) == ["orders"]


def test_what_starts_by_itself_is_created_apart() -> None:
    part = part_of(tables=[make_table(), make_table("queue", engine="Kafka")])
    assert (names(part.create), names(part.late)) == (["orders"], ["queue"])


def test_tables_that_the_backup_does_not_hold_are_left_alone() -> None:
    assert part_of(make_table("others")).drop == ()


def test_replacing_a_view_drops_its_inner_table_too() -> None:
    view = make_view(uuid="today")
    part = part_of(view, inner_of(view, rows=0), tables=[make_view(uuid="then")])
    assert part.drop == (view, inner_of(view, rows=0))


def test_rows_of_an_inner_table_are_not_lost_with_its_view() -> None:
    view = make_view(uuid="today")
    with pytest.raises(TargetNotEmpty, match=r"shop\.\.inner_id\.today"):
        part_of(view, inner_of(view), tables=[make_view(uuid="then")], overwrite=True)


def test_a_view_of_another_definition_is_not_replaced_unasked() -> None:
    other = make_view(definition="CREATE MATERIALIZED VIEW shop.sums TO shop.x AS SELECT 2")
    with pytest.raises(TargetNotEmpty, match="of another definition"):
        part_of(other, tables=[make_view()])
    assert part_of(other, tables=[make_view()], overwrite=True).drop == (other,)


def test_a_definition_is_compared_with_that_of_the_same_shard() -> None:
    views = [make_view(source=f"shop.orders_{shard}") for shard in range(2)]
    manifest = make_manifest(*(make_replica_record(n, tables=[views[n]]) for n in range(2)))
    observed = make_observation(*(make_target(n, 0, views[n]) for n in range(2)))
    assert make_restore_plan(manifest=manifest, observed=observed).lost == ()


def test_a_function_of_another_definition_is_not_replaced_unasked() -> None:
    record = make_replica_record(0, functions={"tax": "x -> x * 2"})
    fields: dict[str, Any] = {"manifest": make_manifest(record), "topology": ONE_SHARD}
    other = make_observation(make_target(0, functions={"tax": "x -> x * 3"}))
    with pytest.raises(TargetNotEmpty, match="SQL function tax"):
        make_restore_plan(observed=other, **fields)
    same = make_observation(make_target(0, functions={"tax": "x -> x * 2", "more": "x -> 1"}))
    assert make_restore_plan(observed=same, **fields)


def test_every_table_in_the_way_is_named_at_once() -> None:
    tables = [make_table("a"), make_table("b")]
    with pytest.raises(TargetNotEmpty) as refused:
        part_of(*tables, tables=tables)
    assert "shop.a" in str(refused.value)
    assert "shop.b" in str(refused.value)


def test_tables_that_an_earlier_attempt_made_are_its_own() -> None:
    """Neither refused as strangers nor dropped as planned: rows were attached to them once."""
    table = make_table(rows=5)
    target = make_target(0, 0, table, journal=make_journal(made(table)))
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0)),
        topology=ONE_SHARD,
        observed=make_observation(target),
    )
    assert plan.replicas[0].drop == ()


def test_a_table_that_somebody_recreated_is_not_our_own_any_more() -> None:
    ours, theirs = make_table(modified=1), make_table(modified=2)
    target = make_target(0, 0, theirs, journal=make_journal(made(ours)))
    with pytest.raises(TargetNotEmpty):
        make_restore_plan(
            manifest=make_manifest(make_replica_record(0)),
            topology=ONE_SHARD,
            observed=make_observation(target),
        )


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        pytest.param({"busy_with": "create x"}, "its sidecar is at work: create x", id="busy"),
        pytest.param({"free_bytes": 104}, "100 bytes are needed on disk, 104 are free", id="disk"),
        pytest.param(
            {"listing": make_listing(make_listed(desc="broken: x"))}, "as whole", id="broken"
        ),
        pytest.param({"listing": make_listing()}, "does not list", id="not-listed"),
    ],
)
def test_a_target_that_is_not_fit_is_refused(trouble: dict[str, Any], told: str) -> None:
    with pytest.raises(PreflightFailed, match=told):
        make_restore_plan(observed=make_observation(make_target(0), make_target(1, **trouble)))


@pytest.mark.parametrize("free_bytes", [None, 105])
def test_a_disk_with_room_or_of_unknown_room_is_fit(free_bytes: int | None) -> None:
    observed = make_observation(make_target(0, free_bytes=free_bytes), make_target(1))
    assert make_restore_plan(observed=observed)


def test_the_room_that_an_earlier_attempt_took_is_not_asked_for_again() -> None:
    journal = make_journal(make_entry(Event.STEP, Step.DOWNLOAD))
    observed = make_observation(make_target(0, free_bytes=0, journal=journal), make_target(1))
    assert make_restore_plan(observed=observed)


def test_a_backup_without_any_table_is_refused() -> None:
    manifest = make_manifest(*(make_replica_record(shard, tables=[]) for shard in range(2)))
    with pytest.raises(PreflightFailed, match="holds no table"):
        make_restore_plan(manifest=manifest)


def test_the_digest_is_the_same_whenever_the_same_is_done() -> None:
    assert make_restore_plan().digest == make_restore_plan(operation_id="op-2").digest
    fewer_bytes = make_observation(make_target(0, free_bytes=10**6), make_target(1))
    assert make_restore_plan(observed=fewer_bytes).digest == make_restore_plan().digest


@given(st.permutations(["a", "b", "c"]))
def test_the_digest_changes_with_anything_that_is_dropped(order: list[str]) -> None:
    tables = [make_table(name, rows=0) for name in order]
    manifest = make_manifest(make_replica_record(0, tables=tables))
    digests = {
        make_restore_plan(
            manifest=manifest,
            topology=ONE_SHARD,
            observed=make_observation(make_target(0, 0, *tables[:n])),
        ).digest
        for n in range(4)
    }
    assert len(digests) == 4


def test_an_approved_plan_is_held_to() -> None:
    digest = make_restore_plan().digest
    assert make_restore_plan(restore_request(approved_plan=digest)).digest == digest
    changed = make_observation(make_target(0, 0, make_table(rows=0)), make_target(1))
    with pytest.raises(InvalidRequest, match="not the approved one"):
        make_restore_plan(restore_request(approved_plan=digest), observed=changed)


def test_a_rerun_of_an_approved_restore_goes_on_though_less_is_left_to_do() -> None:
    table = make_table(rows=0)
    digest = make_restore_plan(
        observed=make_observation(make_target(0, 0, table), make_target(1))
    ).digest
    begun = make_journal(
        make_entry(Event.STEP, Step.PLAN, payload=digest),
        make_entry(Event.INTENT, Step.DROP),
        made(table),
    )
    rest = make_observation(make_target(0, 0, table, journal=begun), make_target(1))
    plan = make_restore_plan(restore_request(approved_plan=digest), observed=rest)
    assert plan.of(replica_name(0)).drop == ()
    with pytest.raises(InvalidRequest, match="not the approved one"):
        make_restore_plan(restore_request(approved_plan=plan.digest), observed=rest)


def test_before_the_first_drop_a_rerun_is_held_to_what_stands_then() -> None:
    digest = make_restore_plan().digest
    begun = make_journal(make_entry(Event.STEP, Step.PLAN, payload=digest))
    appeared = make_target(0, 0, make_table(rows=0), journal=begun)
    with pytest.raises(InvalidRequest, match="not the approved one"):
        make_restore_plan(
            restore_request(approved_plan=digest),
            observed=make_observation(appeared, make_target(1)),
        )


def test_the_lines_tell_losses_first() -> None:
    log = make_table("l", engine="Log")
    plan = make_restore_plan(
        restore_request(overwrite=True, accept_loss=["shop.l"]),
        manifest=make_manifest(make_replica_record(0, tables=[make_table(), log])),
        topology=ONE_SHARD,
        observed=make_observation(make_target(0, 0, log)),
    )
    place = f"shard 0, {replica_name(0)}:"
    assert plan.lines == (
        f"lost for good: shop.l on {replica_name(0)} (10 rows)",
        f"{place} drop shop.l (10 rows)",
        f"{place} create shop.orders",
        f"{place} create shop.l",
        f"{place} attach the rows of shop.orders (10 rows)",
    )


def test_a_table_whose_size_is_unknown_asks_for_no_room() -> None:
    record = make_replica_record(0).model_copy(
        update={"tables": (make_table_record(fingerprint=None),)}
    )
    target = make_target(0, free_bytes=0, listing=complete_listing())
    assert make_restore_plan(
        manifest=make_manifest(record), topology=ONE_SHARD, observed=make_observation(target)
    )


def test_the_operation_of_somebody_else_makes_no_table_our_own() -> None:
    table = make_table()
    foreign = make_journal(made(table, operation_id=f"{OPERATION}2"))
    observed = make_observation(make_target(0, 0, table, journal=foreign), make_target(1))
    with pytest.raises(TargetNotEmpty):
        make_restore_plan(observed=observed)


def test_a_plan_that_was_approved_for_one_table_is_not_that_of_another_of_its_name() -> None:
    looked_at, other = make_table(), make_table(uuid="of-another-table")
    digests = {
        make_restore_plan(
            restore_request(overwrite=True),
            manifest=make_manifest(make_replica_record(0)),
            topology=ONE_SHARD,
            observed=make_observation(make_target(0, 0, table)),
        ).digest
        for table in (looked_at, other)
    }
    assert len(digests) == 2


def test_a_function_that_is_replaced_stands_in_the_plan() -> None:
    record = make_replica_record(0).model_copy(update={"functions": {"tax": "x -> x * 2"}})
    plan = make_restore_plan(
        restore_request(overwrite=True),
        manifest=make_manifest(record),
        topology=ONE_SHARD,
        observed=make_observation(make_target(0, functions={"tax": "x -> x * 3"})),
    )
    assert f"shard 0, {replica_name(0)}: replace SQL function tax" in plan.lines


def test_a_replica_that_was_filled_before_is_left_alone_though_its_tables_were_altered() -> None:
    altered = make_table(modified=1_800_000_000)
    done = (make_entry(Event.STEP, step) for step in (Step.SCHEMA, Step.DATA))
    filled = make_journal(made(make_table()), *done)
    plan = make_restore_plan(
        manifest=make_manifest(make_replica_record(0)),
        topology=ONE_SHARD,
        observed=make_observation(make_target(0, 0, altered, journal=filled)),
    )
    assert plan.replicas[0].drop == ()
