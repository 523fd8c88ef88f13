"""Undoing a restore: what its copies hold comes back, what it made goes, and copies expire."""

from typing import Any

import pytest

from tasks.domain.errors import BackupNotFound, InvalidRequest, PreflightFailed, TargetNotEmpty
from tasks.domain.journal import Event, Step
from tasks.domain.names import safety_name
from tasks.domain.restore_guard import demand_allowed
from tasks.domain.restore_need import End
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_planning import plan_restore
from tasks.domain.undo import (
    Kept,
    demand_copies,
    is_expired,
    is_needed,
    manifest_of_copies,
)
from tests.builders import (
    make_entry,
    make_journal,
    make_listed,
    make_listing,
    make_observation,
    make_replica_record,
    make_table,
    make_target,
    make_topology,
    replica_name,
    restore_request,
    started,
)

COPY = safety_name("mistake")
HELD = make_listing(make_listed(COPY, location="local"))
ONE_SHARD = make_topology(shards=1)
MADE = make_table("fresh", modified=7)


def kept(*tables: Any, made: Any = ()) -> Kept:
    return Kept(
        record=make_replica_record(0, tables=tables),
        made={table.full_name: table.identity for table in made},
    )


def undo(found: Kept, *standing: Any, listing: Any = HELD, **asked: Any) -> RestorePlan:
    """Plan the undo on one replica where `standing` stands now."""
    request = restore_request(**({"backup": COPY, "overwrite": True} | asked))
    replica = replica_name(0)
    manifest = manifest_of_copies(COPY, {replica: found}, ONE_SHARD)
    observed = make_observation(make_target(0, 0, *standing, listing=listing))
    plan = plan_restore(
        request,
        manifest,
        ONE_SHARD,
        observed,
        operation_id="op-undo",
        undone={replica: found.strays},
    )
    demand_allowed(plan, observed, operation_id="op-undo")
    return plan


def test_what_the_copy_holds_is_replaced_and_refilled() -> None:
    plan = undo(kept(make_table()), make_table(rows=99))
    (part,) = plan.replicas
    assert [table.name for table in part.drop] == ["orders"]
    assert [table.name for table in part.fill] == ["orders"]
    assert plan.lost == ()


def test_tables_that_the_restore_made_where_none_stood_are_dropped() -> None:
    (part,) = undo(kept(make_table(), made=[make_table(), MADE]), MADE).replicas
    assert [table.name for table in part.drop] == ["fresh"]
    assert part.strays == {"shop.fresh"}


def test_a_restore_that_only_made_tables_is_undone_by_dropping_them() -> None:
    (part,) = undo(kept(made=[MADE]), MADE, listing=make_listing()).replicas
    assert ([table.name for table in part.drop], part.create) == (["fresh"], ())


def test_a_table_that_is_not_as_the_restore_made_it_stays_and_is_told() -> None:
    plan = undo(kept(make_table(), made=[MADE]), make_table("fresh", modified=8))
    assert plan.replicas[0].drop == ()
    assert "shop.fresh" in plan.notes[0]


def test_rows_written_since_the_restore_go_only_into_another_safety_copy() -> None:
    with pytest.raises(TargetNotEmpty, match=r"shop\.fresh"):
        undo(kept(make_table(), made=[MADE]), MADE, options={"keep_safety_copy": False})


def test_a_copy_that_is_gone_from_one_server_stops_the_undo_before_anything_is_dropped() -> None:
    with pytest.raises(PreflightFailed, match="does not list"):
        undo(kept(make_table()), listing=make_listing())


def test_an_undo_needs_no_row_of_the_bucket() -> None:
    demand_copies(COPY, make_observation(make_target(0, listing=HELD)))
    with pytest.raises(BackupNotFound, match="expired"):
        demand_copies(COPY, make_observation(make_target(0)))


def test_a_cluster_is_undone_whole_or_not_at_all() -> None:
    with pytest.raises(PreflightFailed, match=f"{replica_name(1)} has no record"):
        manifest_of_copies(
            COPY,
            {replica_name(0): kept(make_table()), replica_name(1): Kept(record=None)},
            make_topology(),
        )


def test_the_name_of_a_safety_copy_says_which_restore_is_undone() -> None:
    assert restore_request(backup=COPY).undoes == "mistake"
    assert restore_request().undoes is None
    with pytest.raises(InvalidRequest):
        restore_request(backup="pre-restore-no such thing")


TAKEN = make_entry(Event.STEP, Step.SAFETY, at=1000, payload='{"keep_hours": 2}')
BEGUN = make_entry(Event.STARTED, payload="{}")
OVER = make_entry(Event.FINISHED)


@pytest.mark.parametrize(
    ("entries", "now", "expired"),
    [
        pytest.param([BEGUN, TAKEN, OVER], 1000 + 7200, True, id="over"),
        pytest.param([BEGUN, TAKEN, OVER], 1000 + 7199, False, id="not-yet"),
        pytest.param([BEGUN, TAKEN], 10**9, False, id="operation-not-ended"),
        pytest.param([BEGUN, TAKEN, OVER, BEGUN], 10**9, False, id="taken-up-again"),
        pytest.param([BEGUN, OVER], 10**9, False, id="never-taken"),
        pytest.param([], 10**9, False, id="of-a-stranger"),
        pytest.param(
            [
                BEGUN,
                TAKEN,
                make_entry(Event.STEP, Step.SAFETY, at=9000, payload='{"keep_hours": 2}'),
                OVER,
            ],
            1000 + 7200,
            False,
            id="taken-anew",
        ),
    ],
)
def test_a_copy_expires_when_its_restore_is_over_and_its_time_too(
    entries: list[Any], now: int, *, expired: bool
) -> None:
    assert is_expired(make_journal(*entries), now=now) is expired


@pytest.mark.parametrize(
    ("ends", "needed"),
    [
        pytest.param([], True, id="under-way-or-dead"),
        pytest.param([End.HALF_RESTORED], True, id="given-up-half-way"),
        pytest.param([End.HALF_RESTORED, End.RESTORED], False, id="finished-since"),
        pytest.param([End.UNTOUCHED], False, id="refused"),
    ],
)
@pytest.mark.parametrize("source", [COPY, "another"], ids=["of-this-copy", "of-another-backup"])
def test_a_copy_is_needed_until_the_undo_that_reads_it_is_whole(
    source: str, ends: list[End], *, needed: bool
) -> None:
    undoing = {"operation_id": "op-undo", "operation": "restore"}
    begun = started(restore_request(), name=source, **undoing)
    ended = (make_entry(Event.FINISHED, payload=end.value, **undoing) for end in ends)
    assert is_needed(COPY, make_journal(begun, *ended)) == (needed and source == COPY)
