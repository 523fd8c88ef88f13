"""Restoring some of a backup: which tables and partitions are meant, and what is left alone."""

from typing import Any

import pytest

from tasks.domain.errors import InvalidRequest, PreflightFailed, TargetChanged, TargetNotEmpty
from tasks.domain.fingerprint import Fingerprint, Part, Verdict
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import Manifest
from tasks.domain.restore_choice import chosen_of
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_recovery import demand_same, unsaved_parts
from tasks.domain.restore_result import attached_since, rows_compared
from tasks.domain.tables import Table
from tests.builders import (
    OPERATION,
    hash_of,
    inner_of,
    made,
    make_entry,
    make_fingerprint,
    make_journal,
    make_manifest,
    make_observation,
    make_part,
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

MONTHS = make_fingerprint("202601_1_1_0", "202602_2_2_0", "202602_3_3_0")
VIEW = make_view("sums", uuid="uuid-of-view")
MINE = make_part("202602_7_7_0", rows=5)


def backup_of(*tables: Any) -> Manifest:
    records = tuple(
        make_table_record(table, fingerprint=MONTHS if table.engine == "MergeTree" else None)
        for table in tables
    )
    return make_manifest(make_replica_record(0).model_copy(update={"tables": records}))


def planned(*standing: Any, manifest: Manifest | None = None, **asked: Any) -> RestorePlan:
    """Plan one shard of one replica, whose tables hold one row of February that is not saved."""
    journal = asked.pop("journal", make_journal())
    parts = {table.full_name: (MINE,) for table in standing}
    target = make_target(0, 0, *standing, parts=parts, journal=journal)
    return make_restore_plan(
        restore_request(**asked),
        manifest=manifest or backup_of(make_table("orders"), make_table("names")),
        topology=make_topology(shards=1),
        observed=make_observation(target),
    )


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        pytest.param((), {"orders", "sums", ".inner_id.uuid-of-view"}, id="all"),
        pytest.param(("shop.orders",), {"orders"}, id="one"),
        pytest.param(("shop.sum?",), {"sums", ".inner_id.uuid-of-view"}, id="with-inner-table"),
        pytest.param(("shop.o*", "other.*", "shop.s*"), None, id="one-pattern-means-nothing"),
    ],
)
def test_tables_are_chosen_by_pattern_and_a_pattern_must_mean_something(
    patterns: tuple[str, ...], expected: set[str] | None
) -> None:
    manifest = backup_of(make_table("orders"), VIEW, inner_of(VIEW))
    if expected is None:
        with pytest.raises(InvalidRequest, match="other"):
            chosen_of(manifest, restore_request(tables=patterns))
        return
    chosen = chosen_of(manifest, restore_request(tables=patterns))
    assert {table.name for table in chosen.replicas[0].tables} == expected


@pytest.mark.parametrize(
    ("partitions", "expected"),
    [
        pytest.param(("202602",), {"orders": 2, "names": 2}, id="of-every-table"),
        pytest.param(("shop.orders:202602",), {"orders": 2}, id="of-one-table"),
        pytest.param(("202601", "shop.names:202602"), {"orders": 1, "names": 3}, id="both"),
    ],
)
def test_of_each_table_only_the_partitions_that_were_asked_for_are_left(
    partitions: tuple[str, ...], expected: dict[str, int]
) -> None:
    manifest = backup_of(make_table("orders"), make_table("names"), make_view())
    chosen = chosen_of(manifest, restore_request(partitions=partitions))
    found = {t.name: t.fingerprint.count for t in chosen.replicas[0].tables if t.fingerprint}
    assert found == expected


@pytest.mark.parametrize("asked", ["202603", "shop.names:202603", "shop.other:202601"])
def test_a_partition_that_the_backup_does_not_hold_is_refused(asked: str) -> None:
    manifest = backup_of(make_table("orders"))
    with pytest.raises(InvalidRequest, match=asked):
        chosen_of(manifest, restore_request(partitions=["202601", asked]))


def test_partitions_of_rows_that_nobody_counted_are_refused() -> None:
    record = make_table_record(fingerprint=None)
    manifest = make_manifest(make_replica_record(0).model_copy(update={"tables": (record,)}))
    with pytest.raises(InvalidRequest, match="restored whole"):
        chosen_of(manifest, restore_request(data_only=True))


def test_what_is_not_chosen_is_neither_dropped_nor_created_nor_meant_by_a_command() -> None:
    part = planned(
        make_table("orders"), make_table("names"), tables=["shop.names"], overwrite=True
    ).of(replica_name(0))
    assert [table.name for table in part.drop] == ["names"]
    assert [table.name for table in part.create] == ["names"]
    assert part.schema_patterns == ("shop.names",)
    assert [table.name for table in part.spared] == ["orders"]


def test_a_standing_table_keeps_standing_and_a_missing_one_is_created() -> None:
    part = planned(make_table("orders"), partitions=["202602"], overwrite=True).of(replica_name(0))
    assert part.drop == ()
    assert [table.name for table in part.create] == ["names"]
    assert [swap.table.name for swap in part.swap] == ["orders"]
    assert part.data_partitions == ("shop.orders:202602", "shop.names:202602")
    assert any("partition 202602 of shop.orders (5 rows go)" in x for x in part.told(figures=True))


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        pytest.param({"partitions": ["202602"]}, True, id="rows-in-it"),
        pytest.param({"partitions": ["202602"], "overwrite": True}, False, id="overwritten"),
        pytest.param({"partitions": ["202601"]}, False, id="empty"),
        pytest.param({"data_only": True}, True, id="data-only"),
        pytest.param(
            {
                "partitions": ["202602"],
                "journal": make_journal(
                    made(make_table("orders")), make_entry(Event.INTENT, Step.DATA)
                ),
            },
            False,
            id="our-own-from-an-earlier-attempt",
        ),
    ],
)
def test_a_partition_with_rows_is_replaced_only_on_purpose(
    asked: dict[str, Any], *, refused: bool
) -> None:
    manifest = backup_of(make_table("orders"))
    if not refused:
        assert planned(make_table("orders"), manifest=manifest, **asked).replicas[0].swap
        return
    with pytest.raises(TargetNotEmpty, match="202602 of shop"):
        planned(make_table("orders"), manifest=manifest, **asked)


@pytest.mark.parametrize(
    ("standing", "asked", "told"),
    [
        pytest.param(
            make_table("orders", definition="CREATE TABLE shop.orders (other String)"),
            {"partitions": ["202601"]},
            "another definition",
            id="altered",
        ),
        pytest.param(make_table("else"), {"data_only": True}, "does not stand", id="missing"),
    ],
)
def test_rows_are_not_brought_into_a_table_that_cannot_take_them(
    standing: Any, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(PreflightFailed, match=told):
        planned(standing, manifest=backup_of(make_table("orders")), **asked)


def test_the_digest_pins_the_very_tables_whose_partitions_are_replaced() -> None:
    asked: dict[str, Any] = {"partitions": ["202602"], "overwrite": True}
    one, other = (
        planned(make_table("orders", uuid=uuid), **asked).digest for uuid in ("one", "other")
    )
    assert one != other


def test_a_table_that_was_changed_since_it_was_planned_is_not_touched() -> None:
    part = planned(make_table("orders"), partitions=["202602"], overwrite=True).of(replica_name(0))
    demand_same(part, {"shop.orders": make_table("orders")}, {})
    for standing in ({}, {"shop.orders": make_table("orders", modified=7)}):
        with pytest.raises(TargetChanged, match="changed by somebody else"):
            demand_same(part, standing, {})


def test_rows_that_came_to_an_empty_partition_since_it_was_planned_stop_the_restore() -> None:
    part = planned(make_table("orders"), partitions=["202601"]).of(replica_name(0))
    standing = {"shop.orders": make_table("orders")}
    demand_same(part, standing, {"shop.orders": (MINE,)})
    with pytest.raises(TargetChanged, match="were empty when it was planned"):
        demand_same(part, standing, {"shop.orders": (make_part("202601_9_9_0"),)})


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        pytest.param([], Verdict.PASSED, id="replaced"),
        pytest.param([make_part("202601_9_9_0")], Verdict.PASSED, id="others-elsewhere"),
        pytest.param([make_part("202602_2_2_0")], Verdict.FAILED, id="old-rows-left-active"),
    ],
)
def test_replaced_parts_are_compared_without_those_that_went_and_those_of_other_partitions(
    after: list[Part], verdict: Verdict
) -> None:
    part = planned(make_table("orders"), partitions=["shop.orders:202602"], overwrite=True)
    restored = part.of(replica_name(0))
    old = make_part("202602_2_2_0")
    attached = [
        make_part(f"202602_{n + 5}_{n + 5}_0", hash=hash_of(f"202602_{n}_{n}_0")) for n in (2, 3)
    ]
    gone = [] if old in after else [old.vanished()]
    seen = attached_since(
        restored, {"shop.orders": (old,)}, {"shop.orders": (*attached, *gone, *after)}
    )
    assert [compared.verdict for compared in rows_compared(restored, seen)] == [verdict]


def test_what_lies_in_the_safety_copy_may_be_replaced_again() -> None:
    part = planned(make_table("orders"), partitions=["202602"], overwrite=True).of(replica_name(0))
    seen = {"shop.orders": (MINE, make_part("202602_8_8_0"), make_part("202601_8_8_0"))}
    saved = {"shop.orders": Fingerprint.of([MINE])}
    assert unsaved_parts(part, seen, saved)["shop.orders"] == (make_part("202602_8_8_0"),)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param({"schema_only": True, "partitions": ["1"]}, "schema_only", id="schema"),
        pytest.param({"schema_only": True, "data_only": True}, "schema_only", id="schema-data"),
        pytest.param({"data_only": True, "overwrite": True}, "overwrite", id="data-overwrite"),
        pytest.param(
            {"backup": f"pre-restore-{OPERATION}", "tables": ["a.b"]}, "undone", id="undo"
        ),
        pytest.param({"partitions": ["('2026')"]}, "partition id", id="tuple"),
        pytest.param({"mode": "missing", "overwrite": True}, "changes no table", id="missing"),
        pytest.param({"mode": "missing", "partitions": ["1"]}, "whole", id="missing-partition"),
        pytest.param({"mode": "beside", "data_only": True}, "changes no table", id="beside"),
        pytest.param({"mode": "beside", "schema_only": True}, "schema_only", id="beside-schema"),
        pytest.param({"database_mapping": ["a:b"]}, "beside", id="mapping-alone"),
        pytest.param({"mode": "beside", "database_mapping": ["a:a"]}, "other", id="same"),
        pytest.param({"mode": "beside", "database_mapping": ["a:system"]}, "own", id="system"),
        pytest.param({"mode": "beside", "database_mapping": ["a:c", "b:c"]}, "twice", id="two"),
        pytest.param({"mode": "upward"}, "mode", id="mode"),
        pytest.param({"tables": ["system.parts"]}, "never backed up", id="system"),
    ],
)
def test_contradictions_are_refused_in_a_sentence(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        restore_request(**asked)


REPLICATED = "ReplicatedMergeTree('/tables/{shard}/orders', '{replica}')"


def replicated(**fields: Any) -> Table:
    definition = f"CREATE TABLE shop.orders (id UInt64) ENGINE = {REPLICATED} ORDER BY id"
    return make_table(engine="ReplicatedMergeTree", definition=definition, **fields)


def test_only_what_does_not_stand_is_restored_and_an_inner_table_goes_with_its_view() -> None:
    manifest = backup_of(make_table("orders"), VIEW, inner_of(VIEW))
    whole = planned(make_table("orders"), manifest=manifest, mode="missing").of(replica_name(0))
    assert {table.name for table in whole.restored} == {"sums", ".inner_id.uuid-of-view"}
    assert whole.drop == ()
    made_anew = make_view("sums", uuid="another")
    part = planned(made_anew, manifest=manifest, mode="missing").of(replica_name(0))
    assert {table.name for table in part.restored} == {"orders"}


def test_a_rerun_restores_what_was_missing_at_first_though_it_stands_by_now() -> None:
    pinned = make_entry(Event.INTENT, Step.PLAN, payload='["shop.names"]')
    ours = make_table("names", rows=0)
    part = planned(
        make_table("orders"), ours, mode="missing", journal=make_journal(pinned, made(ours))
    ).of(replica_name(0))
    assert [table.name for table in part.create] == ["names"]
    assert part.drop == ()


def test_rows_that_a_sibling_still_has_are_not_attached_again() -> None:
    record = make_replica_record(0, tables=[replicated()])
    plan = make_restore_plan(
        restore_request(mode="missing"),
        manifest=make_manifest(record),
        topology=make_topology(shards=1, replicas=2),
        observed=make_observation(make_target(0, 0), make_target(0, 1, replicated())),
    )
    lost, standing = plan.replicas
    assert [table.name for table in lost.create] == ["orders"]
    assert (lost.fill, lost.follow, standing.restored) == ((), (), ())


def test_where_every_table_stands_nothing_is_missing() -> None:
    with pytest.raises(PreflightFailed, match="every table of it stands"):
        planned(make_table("orders"), make_table("names"), mode="missing")


def test_overwriting_has_two_spellings_and_one_meaning() -> None:
    assert restore_request(mode="overwrite") == restore_request(overwrite=True)
