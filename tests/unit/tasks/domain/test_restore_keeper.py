"""What is registered at a table's path: found before anything is dropped, with the way out."""

from typing import Any

import pytest

from tasks.domain.errors import PreflightFailed
from tasks.domain.journal import Event, Step
from tasks.domain.replication import Replication
from tasks.domain.restore_keeper import demand_no_strangers, paths_to_ask
from tasks.domain.restore_plan import RestorePlan
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
    replica_name,
    restore_request,
)

PATH = "/tables/0/orders"
PAIR = make_topology(shards=1, replicas=2)


def replicated(name: str = "orders", *, replica: str = "{replica}", **fields: Any) -> Any:
    definition = (
        f"CREATE TABLE shop.{name} (id UInt64) "
        f"ENGINE = ReplicatedMergeTree('/tables/{{shard}}/orders', '{replica}') ORDER BY id"
    )
    return make_table(
        name, **({"engine": "ReplicatedMergeTree", "definition": definition} | fields)
    )


def target(number: int, *tables: Any, **fields: Any) -> Any:
    """Make a replica on which `tables` are registered at the path of `orders`."""
    states = tuple(
        Replication(table=table.full_name, path=PATH, replica_name=str(number)) for table in tables
    )
    return make_target(0, number, *tables, replication=states, **fields)


def planned(*targets: Any, table: Any = None, **asked: Any) -> tuple[RestorePlan, Any]:
    record = make_replica_record(0, 0, tables=[table or replicated()])
    observed = make_observation(*targets)
    plan = make_restore_plan(
        restore_request(**(asked or {"overwrite": True})),
        manifest=make_manifest(record),
        topology=PAIR,
        observed=observed,
    )
    return plan, observed


@pytest.mark.parametrize(
    ("standing", "registered"),
    [
        pytest.param([(), ()], [], id="nothing-anywhere"),
        pytest.param([(replicated(),), (replicated(),)], ["0", "1"], id="both-are-dropped"),
        pytest.param([(replicated(),), ()], ["0"], id="one-is-dropped"),
    ],
)
def test_what_the_restore_drops_is_in_nobodys_way(standing: Any, registered: list[str]) -> None:
    plan, observed = planned(*(target(n, *tables) for n, tables in enumerate(standing)))
    demand_no_strangers(plan, observed, {PATH: registered})


@pytest.mark.parametrize(
    ("standing", "registered", "told"),
    [
        pytest.param(
            [(replicated(),), ()],
            ["0", "1"],
            f"does not stand on {replica_name(0, 1)}: the replica was lost; "
            f"run `SYSTEM DROP REPLICA '1' FROM ZKPATH '{PATH}'`",
            id="lost-replica",
        ),
        pytest.param(
            [(replicated(),), (replicated(),)],
            ["0", "1", "2"],
            "no server of this cluster holds it",
            id="replica-outside-the-inventory",
        ),
        pytest.param(
            [(replicated("renamed"),), ()],
            ["0"],
            f"as shop.renamed of {replica_name(0, 0)}, which this restore leaves alone",
            id="renamed-table",
        ),
    ],
)
def test_whoever_stays_registered_is_named_before_anything_is_dropped(
    standing: Any, registered: list[str], told: str
) -> None:
    plan, observed = planned(*(target(n, *tables) for n, tables in enumerate(standing)))
    with pytest.raises(PreflightFailed) as refused:
        demand_no_strangers(plan, observed, {PATH: registered})
    assert told in str(refused.value)


def test_a_definition_that_spells_out_its_replica_is_not_given_to_two() -> None:
    plan, observed = planned(target(0), target(1), table=replicated(replica="first"))
    with pytest.raises(
        PreflightFailed, match=r"spells out the replica's name instead of \{replica"
    ):
        demand_no_strangers(plan, observed, {})


def test_each_path_is_asked_for_once() -> None:
    plan, _ = planned(target(0), target(1))
    assert paths_to_ask(plan) == {replica_name(0, 0): (PATH,)}


def test_tables_that_an_earlier_attempt_made_are_in_nobodys_way() -> None:
    table = replicated(rows=0)
    begun = (made(table), make_entry(Event.INTENT, Step.SCHEMA))
    plan, observed = planned(target(0, table, journal=make_journal(*begun)), target(1))
    demand_no_strangers(plan, observed, {PATH: ["0"]})


def test_nothing_is_asked_where_nothing_is_made_any_more() -> None:
    table = replicated()
    done = (made(table), *(make_entry(Event.STEP, s) for s in (Step.SCHEMA, Step.DATA)))
    plan, _ = planned(*(target(n, table, journal=make_journal(*done)) for n in range(2)))
    assert paths_to_ask(plan) == {}


@pytest.mark.parametrize(
    ("standing", "joins"),
    [
        pytest.param(replicated(), True, id="the-same-table"),
        pytest.param(replicated("renamed"), False, id="another-at-its-path"),
    ],
)
def test_a_table_that_is_missing_joins_its_siblings_and_nobody_else(
    standing: Any, *, joins: bool
) -> None:
    plan, observed = planned(target(0), target(1, standing), mode="missing")
    if joins:
        demand_no_strangers(plan, observed, {PATH: ["1"]})
        return
    with pytest.raises(PreflightFailed, match="renamed"):
        demand_no_strangers(plan, observed, {PATH: ["1"]})
