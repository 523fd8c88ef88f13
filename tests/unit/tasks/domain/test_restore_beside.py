"""Restoring beside what stands: plain tables elsewhere, and the statements that use them."""

from typing import Any

import pytest

from tasks.domain.errors import InvalidRequest, PreflightFailed
from tasks.domain.journal import Event, Step
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.tables import Table
from tests.builders import (
    made,
    make_entry,
    make_journal,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_target,
    make_topology,
    make_view,
    replica_name,
    restore_request,
)

PATH = "ReplicatedReplacingMergeTree('/tables/{shard}/orders', '{replica}', version)"
REPLICATED = make_table(
    engine="ReplicatedReplacingMergeTree",
    definition=f"CREATE TABLE shop.orders (id UInt64, version UInt8) ENGINE = {PATH} ORDER BY id",
)
LOCAL = make_table(
    "names", definition="CREATE TABLE shop.names (id UInt64) ENGINE = MergeTree ORDER BY id"
)


def planned(*standing: Table, backup: Any = (REPLICATED, LOCAL), **asked: Any) -> RestorePlan:
    """Plan one shard of two replicas; the first one holds the copy, and `standing`."""
    journal = asked.pop("journal", make_journal())
    return make_restore_plan(
        restore_request(mode="beside", **asked),
        manifest=make_manifest(make_replica_record(0, tables=backup)),
        topology=make_topology(shards=1, replicas=2),
        observed=make_observation(
            make_target(0, 0, *standing, journal=journal), make_target(0, 1, REPLICATED)
        ),
    )


def test_rows_go_into_plain_tables_of_another_database_and_nothing_else_changes() -> None:
    plan = planned(REPLICATED, LOCAL, backup=(REPLICATED, LOCAL, make_view()))
    here, sibling = plan.replicas
    (database,) = {table.database for table in here.create}
    assert database.startswith("shop_restored_")
    assert {(table.name, table.engine) for table in here.create} == {
        ("orders", "ReplacingMergeTree"),
        ("names", "MergeTree"),
    }
    assert not any("/tables/" in table.definition for table in here.create)
    assert (here.drop, here.late, here.follow, here.functions) == ((), (), (), ())
    assert not here.replicates
    assert here.databases == {"shop": database}
    assert here.data_patterns == here.needed_patterns == ("shop.names", "shop.orders")
    assert sibling.restored == ()


def test_a_plan_beside_is_the_same_each_time_and_the_database_may_be_named() -> None:
    assert planned().digest == planned().digest
    named = planned(database_mapping=["shop:shop_of_march"]).of(replica_name(0))
    assert named.databases == {"shop": "shop_of_march"}


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        pytest.param(["other:elsewhere"], "other", id="not-in-the-backup"),
        pytest.param(["shop:both"], "one", id="two-become-one"),
    ],
)
def test_a_mapping_must_fit_the_backup(pairs: list[str], told: str) -> None:
    tables = (LOCAL, make_table(database="both_restored"))
    if told == "one":
        mark = planned(backup=tables).of(replica_name(0)).databases["both_restored"]
        pairs = [f"shop:{mark}"]
    with pytest.raises(InvalidRequest, match=told):
        planned(backup=tables, database_mapping=pairs)


def test_a_table_that_stands_in_its_place_refuses_it_unless_an_earlier_attempt_made_it() -> None:
    theirs = make_table(database="march", name="names", rows=0)
    asked: dict[str, Any] = {"database_mapping": ["shop:march"]}
    with pytest.raises(PreflightFailed, match="names stands already"):
        planned(theirs, **asked)
    for journal in (
        make_journal(made(theirs)),
        make_journal(make_entry(Event.INTENT, Step.SCHEMA)),
    ):
        assert planned(theirs, journal=journal, **asked).of(replica_name(0)).create


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        pytest.param(
            LOCAL,
            ["EXCHANGE TABLES `shop`.`names` AND `march`.`names`", "REPLACE PARTITION ID '202601'"],
            id="local",
        ),
        pytest.param(None, ["RENAME TABLE `march`.`names` TO `shop`.`names`"], id="gone"),
    ],
)
def test_it_is_told_how_the_rows_come_to_their_table(
    standing: Table | None, expected: list[str]
) -> None:
    plan = planned(
        *([standing] if standing else []), backup=(LOCAL,), database_mapping=["shop:march"]
    )
    assert all(words in plan.moves[0] for words in expected)
    assert "DROP DATABASE `march`" in plan.moves[-1]


def test_a_replicated_table_is_neither_exchanged_nor_renamed_into() -> None:
    ways = planned(REPLICATED, backup=(REPLICATED,)).moves[0]
    assert "EXCHANGE" not in ways
    assert "REPLACE PARTITION" in ways
    assert "mode='missing'" in planned(backup=(REPLICATED,)).moves[0]


def test_some_partitions_come_back_beside_and_no_table_is_exchanged_for_them() -> None:
    plan = planned(LOCAL, backup=(LOCAL,), partitions=["202601"])
    part = plan.of(replica_name(0))
    assert part.data_partitions == ("shop.names:202601",)
    assert part.swap == ()
    assert [table.name for table in part.create] == ["names"]
    assert "EXCHANGE" not in plan.moves[0]
    assert "REPLACE PARTITION ID '202601'" in plan.moves[0]
