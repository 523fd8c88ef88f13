"""Which replica of a shard stores: the healthy one that has caught up, with a reason in words."""

from typing import Any

import pytest

from tasks.domain.inspection import Inspection
from tasks.domain.journal import Event
from tasks.domain.replica_choice import Choice, choose
from tasks.domain.replication import Replication
from tests.builders import (
    backup_request,
    make_backup_plan,
    make_entry,
    make_inspection,
    make_journal,
    make_observation,
    make_table,
    make_topology,
    make_wish,
    replica_name,
)

PAIR = make_topology(shards=1, replicas=2)
TABLES = tuple(make_table(name, engine="ReplicatedMergeTree") for name in "abcde")


def replica(number: int, *tables: Any, state: dict[str, Any] | None = None) -> Inspection:
    """Make a replica on which all of `tables` are in one state."""
    standing = tables or TABLES[:1]
    states = tuple(
        Replication(
            table=table.full_name,
            path=f"/tables/0/{table.name}",
            replica_name=replica_name(0, number),
            **(state or {}),
        )
        for table in standing
        if table.engine.startswith("Replicated")
    )
    return make_inspection(0, number, tables=standing, replication=states)


def choice(*seen: Inspection) -> Choice:
    return choose(PAIR.shards[0], make_wish(), make_observation(*seen))


def number_of(made: Choice) -> int:
    (found,) = made.chosen
    return [replica_name(0, number) for number in range(2)].index(found.replica)


WORSE = [
    pytest.param({"inserts_queued": 2}, "shop.a has 2 inserts to fetch", id="fetching"),
    pytest.param({"delay_seconds": 60}, "shop.a is 60 s behind", id="late"),
    pytest.param({"readonly": True}, "shop.a is read-only", id="read-only"),
    pytest.param({"session_expired": True}, "shop.a lost its session", id="no-session"),
]


@pytest.mark.parametrize(("state", "told"), WORSE)
def test_a_replica_that_is_behind_gives_way_and_is_named(state: dict[str, Any], told: str) -> None:
    made = choice(replica(0, state=state), replica(1))
    assert number_of(made) == 1
    assert made.reason.startswith(f"first healthy replica: shard 0, replica {replica_name(0, 0)}")
    assert told in made.reason
    assert made.note == ""


@pytest.mark.parametrize(("state", "told"), WORSE)
def test_order_alone_decides_between_equals(state: dict[str, Any], told: str) -> None:
    made = choice(replica(0, state=state), replica(1, state=state))
    assert number_of(made) == 0
    assert told in made.note


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param({"inserts_queued": 9}, {"delay_seconds": 60}, id="fetching-before-late"),
        pytest.param({"delay_seconds": 60}, {"delay_seconds": 90}, id="less-late"),
        pytest.param({"delay_seconds": 900}, {"readonly": True}, id="late-before-read-only"),
    ],
)
def test_among_replicas_in_doubt_the_best_one_stores_and_a_note_says_so(
    better: dict[str, Any], worse: dict[str, Any]
) -> None:
    """A backup of what there is may be the last one: refusing it would help nobody."""
    made = choice(replica(0, state=worse), replica(1, state=better))
    assert number_of(made) == 1
    assert replica_name(0, 1) in made.note
    assert replica_name(0, 0) in made.reason


def test_a_few_seconds_of_delay_are_no_reason_to_change() -> None:
    made = choice(replica(0, state={"delay_seconds": 5}), replica(1))
    assert (number_of(made), made.reason) == (0, "first replica of the shard")


def test_a_replica_without_a_table_of_its_siblings_gives_way() -> None:
    made = choice(replica(0), replica(1, *TABLES[:2]))
    assert number_of(made) == 1
    assert "shop.b stands on its siblings only" in made.reason


def test_rows_of_tables_that_stand_on_a_sibling_only_are_uncovered() -> None:
    observed = make_observation(replica(0, *TABLES[:2]), replica(1, TABLES[0], TABLES[2]))
    plan = make_backup_plan(topology=PAIR, observed=observed)
    assert plan.uncovered == (f"shop.c on {replica_name(0, 1)}: 10 rows",)


def test_tables_of_one_name_that_do_not_replicate_each_other_are_uncovered() -> None:
    stray = Replication(table="shop.a", path="/tables/elsewhere/a", replica_name="r")
    other = make_inspection(0, 1, tables=TABLES[:1], replication=(stray,))
    plan = make_backup_plan(topology=PAIR, observed=make_observation(replica(0), other))
    assert plan.uncovered == (f"shop.a on {replica_name(0, 1)}: 10 rows",)


def test_tables_that_nobody_asked_for_decide_nothing() -> None:
    seen = make_observation(replica(0, state={"readonly": True}), replica(1))
    made = choose(PAIR.shards[0], make_wish(backup_request(tables=["shop.z*"])), seen)
    assert number_of(made) == 0


def test_an_earlier_attempt_decides_whatever_became_of_its_replica() -> None:
    begun = make_journal(make_entry(Event.INTENT, "create"))
    late = make_inspection(0, 1, tables=TABLES[:1], journal=begun)
    made = choice(replica(0), late)
    assert (number_of(made), made.reason) == (1, "an earlier attempt began here")


def test_a_reason_names_a_few_tables_only() -> None:
    made = choice(replica(0, *TABLES, state={"readonly": True}), replica(1, *TABLES))
    assert "and 2 more tables" in made.reason
    assert "shop.e" not in made.reason
