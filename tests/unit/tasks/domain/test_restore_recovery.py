"""What a restore has still to do: nothing of others is dropped, no row is attached twice."""

from typing import Any

import pytest

from tasks.domain.errors import TargetChanged
from tasks.domain.journal import Entry, Event, Step
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_recovery import (
    demand_creatable,
    demand_not_attached,
    demand_not_recreated,
    demand_only_backup_rows,
    demand_own,
    tables_to_drop,
)
from tasks.domain.tables import Table
from tests.builders import (
    made,
    make_entry,
    make_fingerprint,
    make_journal,
    make_part,
    make_table,
    make_table_record,
    make_view,
    replica_name,
)


def make_restore(*drop: Table, **fields: Any) -> ReplicaRestore:
    """Plan to bring `shop.orders` back, dropping what stands there."""
    record = make_table_record()
    defaults: dict[str, Any] = {"create": (record,), "late": (), "fill": (record,)}
    return ReplicaRestore(shard="0", replica=replica_name(), drop=drop, **(defaults | fields))


def steps(*words: str) -> list[Entry]:
    """Make a journal of words like `drop?` (intent) and `drop` (done)."""
    return [
        make_entry(Event.INTENT if word.endswith("?") else Event.STEP, word.removesuffix("?"))
        for word in words
    ]


def standing(*tables: Table) -> dict[str, Table]:
    return {table.full_name: table for table in tables}


def test_what_was_planned_and_is_unchanged_is_dropped() -> None:
    table = make_table()
    doomed = tables_to_drop(make_restore(table), make_journal(), standing(table), overwrite=True)
    assert doomed == (table,)


def test_what_the_plan_does_not_name_stays() -> None:
    doomed = tables_to_drop(
        make_restore(), make_journal(), standing(make_table("other")), overwrite=True
    )
    assert doomed == ()


def test_what_is_gone_already_needs_no_drop() -> None:
    assert tables_to_drop(make_restore(make_table()), make_journal(), {}, overwrite=True) == ()


def test_views_are_dropped_before_the_tables_that_hold_their_rows() -> None:
    view, table = make_view("a_view", rows=0), make_table()
    doomed = tables_to_drop(
        make_restore(table, view), make_journal(), standing(table, view), overwrite=True
    )
    assert doomed == (view, table)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_table_that_appeared_after_the_plan_is_not_dropped(*, overwrite: bool) -> None:
    with pytest.raises(TargetChanged, match="made by somebody else"):
        tables_to_drop(
            make_restore(), make_journal(), standing(make_table(rows=0)), overwrite=overwrite
        )


def test_a_table_that_was_recreated_after_the_plan_is_not_dropped() -> None:
    with pytest.raises(TargetChanged, match="made by somebody else"):
        tables_to_drop(
            make_restore(make_table(modified=1)),
            make_journal(),
            standing(make_table(modified=2)),
            overwrite=True,
        )


def test_a_table_that_was_filled_after_the_plan_is_not_dropped_unasked() -> None:
    planned, filled = make_table(rows=0), make_table(rows=5)
    part, now = make_restore(planned), standing(filled)
    with pytest.raises(TargetChanged, match="has rows now"):
        tables_to_drop(part, make_journal(), now, overwrite=False)
    assert tables_to_drop(part, make_journal(), now, overwrite=True) == (filled,)


def test_after_the_drop_only_our_own_table_may_be_dropped() -> None:
    """What stands under a planned name since then is not what was planned for."""
    table = make_table()
    dropped = steps("drop")
    ours = make_journal(*dropped, made(table))
    assert tables_to_drop(make_restore(table), ours, standing(table), overwrite=True) == (table,)
    with pytest.raises(TargetChanged):
        tables_to_drop(make_restore(table), make_journal(*dropped), standing(table), overwrite=True)


@pytest.mark.parametrize("step", [Step.SCHEMA, Step.LATE])
def test_an_empty_table_left_by_a_create_of_ours_may_be_made_anew(step: Step) -> None:
    journal = make_journal(*steps("drop", f"{step}?"))
    empty, filled = make_table(rows=0), make_table(rows=5)
    assert tables_to_drop(make_restore(), journal, standing(empty), overwrite=False) == (empty,)
    with pytest.raises(TargetChanged):
        tables_to_drop(make_restore(), journal, standing(filled), overwrite=False)


@pytest.mark.parametrize(
    ("entries", "table", "creatable"),
    [
        pytest.param([], None, True, id="absent"),
        pytest.param([], make_table(rows=0), False, id="somebody-elses-and-empty"),
        pytest.param([made(make_table())], make_table(), True, id="ours"),
        pytest.param([made(make_table(modified=1))], make_table(modified=2), False, id="recreated"),
        pytest.param(steps("schema?"), make_table(rows=0), True, id="left-by-our-create"),
        pytest.param(steps("schema?"), make_table(rows=1), False, id="filled-since-our-create"),
    ],
)
def test_creating_never_drops_what_is_not_our_own(
    entries: list[Entry], table: Table | None, *, creatable: bool
) -> None:
    """A sidecar drops what stands under the name of a table that it creates."""
    now = {} if table is None else standing(table)
    if creatable:
        demand_creatable(["shop.orders"], make_journal(*entries), now)
        return
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        demand_creatable(["shop.orders"], make_journal(*entries), now)


@pytest.mark.parametrize(
    ("table", "own"),
    [
        pytest.param(make_table(modified=1), True, id="unchanged"),
        pytest.param(make_table(modified=2), False, id="recreated"),
        pytest.param(None, False, id="dropped"),
    ],
)
def test_rows_are_attached_only_to_tables_that_this_restore_made(
    table: Table | None, *, own: bool
) -> None:
    journal = make_journal(made(make_table(modified=1)))
    now = {} if table is None else standing(table)
    if own:
        demand_own(["shop.orders"], journal, now)
        return
    with pytest.raises(TargetChanged, match="is not the table that this restore made"):
        demand_own(["shop.orders"], journal, now)


@pytest.mark.parametrize(
    ("table", "same"),
    [
        pytest.param(make_table(modified=1), True, id="unchanged"),
        pytest.param(make_table(modified=2), True, id="altered"),
        pytest.param(None, True, id="gone-and-told-elsewhere"),
        pytest.param(make_table(uuid="another"), False, id="recreated"),
    ],
)
def test_only_the_very_table_that_was_compared_counts_at_the_end(
    table: Table | None, *, same: bool
) -> None:
    journal = make_journal(made(make_table(modified=1)))
    now = {} if table is None else standing(table)
    if same:
        demand_not_recreated(["shop.orders"], journal, now)
        return
    with pytest.raises(TargetChanged, match="made anew by somebody else"):
        demand_not_recreated(["shop.orders"], journal, now)


FROZEN = make_fingerprint("202601_1_1_0", "202601_2_2_0")
OF_BACKUP = make_part("202601_1_1_0")


@pytest.mark.parametrize(
    ("parts", "foreign"),
    [
        pytest.param([], False, id="empty"),
        pytest.param([OF_BACKUP], False, id="half-attached"),
        pytest.param([make_part("202601_1_2_1", hash="merged")], False, id="merged"),
        pytest.param([OF_BACKUP, make_part("202601_3_3_0")], True, id="inserted"),
        pytest.param([make_part("202609_2_3_1", rows=1)], True, id="merged-in-another-partition"),
        pytest.param([make_part("202601_1_9_2", rows=21)], True, id="merged-into-too-many-rows"),
        pytest.param(
            [OF_BACKUP, make_part("202601_3_3_0", hash=OF_BACKUP.hash)], True, id="attached-twice"
        ),
    ],
)
def test_rows_that_somebody_wrote_into_a_half_filled_table_are_not_dropped_with_it(
    parts: list[Any], *, foreign: bool
) -> None:
    seen = {"shop.orders": tuple(parts)}
    if not foreign:
        demand_only_backup_rows({"shop.orders": FROZEN}, seen)
        return
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        demand_only_backup_rows({"shop.orders": FROZEN}, seen)


@pytest.mark.parametrize(
    ("parts", "held"),
    [
        pytest.param([], False, id="empty"),
        pytest.param([make_part("202601_9_9_0")], False, id="rows-of-a-writer"),
        pytest.param([OF_BACKUP.vanished()], False, id="gone-again"),
        pytest.param([make_part("202601_5_5_0", hash=OF_BACKUP.hash)], True, id="given-back"),
    ],
)
def test_nothing_is_attached_to_a_table_that_a_sibling_gave_its_rows_back_to(
    parts: list[Any], *, held: bool
) -> None:
    record = make_table_record(fingerprint=FROZEN)
    seen = {"shop.orders": tuple(parts)}
    if not held:
        demand_not_attached([record], seen)
        return
    with pytest.raises(TargetChanged, match="would double"):
        demand_not_attached([record], seen)
