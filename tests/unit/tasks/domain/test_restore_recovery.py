"""What a restore still has to do on a replica, after an interruption at any step."""

from dataclasses import replace

import pytest

from tasks.domain.errors import TargetChanged
from tasks.domain.journal import Entry, Event, Journal, Step
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_recovery import (
    Need,
    demand_creatable,
    demand_only_backup_rows,
    demand_own,
    need_of,
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
)

ORDERS = make_table("orders", rows=10)
OURS = replace(ORDERS, modified=ORDERS.modified + 60, rows=0)
THEIRS = replace(ORDERS, modified=ORDERS.modified + 90, rows=3)


def intent(step: Step) -> Entry:
    return make_entry(Event.INTENT, step)


def ended(step: Step) -> Entry:
    return make_entry(Event.STEP, step)


# what a restore writes down, in its order; each prefix is one place where it can be interrupted
STORY = (
    intent(Step.DOWNLOAD),
    ended(Step.DOWNLOAD),
    intent(Step.DROP),
    ended(Step.DROP),
    intent(Step.SCHEMA),
    made(OURS),
    ended(Step.SCHEMA),
    intent(Step.DATA),
    ended(Step.DATA),
    intent(Step.LATE),
    ended(Step.LATE),
)
NEEDS = (*[Need.REPLACE] * 7, Need.ATTACH, Need.REMAKE, *[Need.FINISH] * 2, Need.NOTHING)
interrupted = pytest.mark.parametrize(
    ("journal", "need"),
    [
        pytest.param(make_journal(*STORY[:n]), need, id=f"after-{n}-rows")
        for n, need in enumerate(NEEDS)
    ],
)


def make_part_of(*drop: Table) -> ReplicaRestore:
    record = make_table_record(ORDERS)
    return ReplicaRestore(
        shard="0",
        replica="chi-demo-main-0-0",
        drop=drop,
        create=(record,),
        late=(),
        fill=(record,),
    )


def standing(*tables: Table) -> dict[str, Table]:
    return {table.full_name: table for table in tables}


@interrupted
def test_every_interruption_has_one_way_on(journal: Journal, need: Need) -> None:
    assert need_of(journal) is need


@interrupted
def test_rows_are_attached_again_only_into_tables_that_are_made_anew(
    journal: Journal, need: Need
) -> None:
    attached_before = journal.last(Event.INTENT, Step.DATA) is not None
    if attached_before:
        assert need in {Need.REMAKE, Need.FINISH, Need.NOTHING}


def test_what_was_planned_and_is_unchanged_is_dropped() -> None:
    doomed = tables_to_drop(make_part_of(ORDERS), make_journal(), standing(ORDERS), overwrite=True)
    assert doomed == (ORDERS,)


def test_what_is_gone_already_is_not_dropped() -> None:
    assert tables_to_drop(make_part_of(ORDERS), make_journal(), {}, overwrite=True) == ()


def test_our_own_half_filled_table_is_dropped_before_it_is_filled_again() -> None:
    half = replace(OURS, rows=4)
    journal = make_journal(*STORY[:8])
    assert tables_to_drop(make_part_of(), journal, standing(half), overwrite=False) == (half,)


@pytest.mark.parametrize("overwrite", [pytest.param(o, id=f"overwrite-{o}") for o in (True, False)])
@pytest.mark.parametrize(
    "journal",
    [
        pytest.param(make_journal(), id="first-attempt"),
        pytest.param(make_journal(*STORY[:4]), id="after-the-drop"),
        pytest.param(make_journal(*STORY[:5]), id="create-left-open"),
        pytest.param(make_journal(*STORY[:8]), id="attach-left-open"),
    ],
)
def test_a_table_that_somebody_else_made_is_never_dropped(
    journal: Journal, *, overwrite: bool
) -> None:
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        tables_to_drop(make_part_of(ORDERS), journal, standing(THEIRS), overwrite=overwrite)


def test_a_table_that_was_empty_when_planned_and_has_rows_now_is_not_dropped() -> None:
    empty = replace(ORDERS, rows=0)
    with pytest.raises(TargetChanged, match="has rows now"):
        tables_to_drop(make_part_of(empty), make_journal(), standing(ORDERS), overwrite=False)


def test_overwriting_does_not_extend_to_rows_that_came_and_cannot_be_brought_back() -> None:
    log = make_table("cache", engine="Log", rows=0)
    part = replace(make_part_of(log), create=(make_table_record(log),), fill=())
    with pytest.raises(TargetChanged, match="has rows now"):
        tables_to_drop(part, make_journal(), standing(replace(log, rows=1)), overwrite=True)


def test_what_an_unfinished_create_left_is_ours_while_it_is_empty() -> None:
    journal = make_journal(*STORY[:5])
    assert tables_to_drop(make_part_of(), journal, standing(OURS), overwrite=False) == (OURS,)


def test_views_go_before_the_tables_that_feed_them() -> None:
    view = make_table("a_view", engine="View", rows=None)
    early = make_table("a", rows=1)
    doomed = tables_to_drop(
        make_part_of(early, view), make_journal(), standing(early, view), overwrite=True
    )
    assert [table.name for table in doomed] == ["a_view", "a"]


@pytest.mark.parametrize(
    ("journal", "table"),
    [
        pytest.param(make_journal(), THEIRS, id="made-by-somebody-else"),
        pytest.param(make_journal(*STORY[:5]), THEIRS, id="filled-by-somebody-else"),
        pytest.param(make_journal(*STORY[:6]), THEIRS, id="not-the-one-we-made"),
    ],
)
def test_a_create_never_replaces_a_table_of_somebody_else(journal: Journal, table: Table) -> None:
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        demand_creatable([table.full_name], journal, standing(table))


@pytest.mark.parametrize(
    ("journal", "tables"),
    [
        pytest.param(make_journal(), (), id="nothing-stands"),
        pytest.param(make_journal(*STORY[:5]), (OURS,), id="empty-left-by-unfinished-create"),
        pytest.param(make_journal(*STORY[:6]), (OURS,), id="our-own"),
    ],
)
def test_a_create_may_repeat_itself(journal: Journal, tables: tuple[Table, ...]) -> None:
    demand_creatable([ORDERS.full_name], journal, standing(*tables))
    assert need_of(journal).drops


@pytest.mark.parametrize(
    "tables", [pytest.param((), id="dropped"), pytest.param((THEIRS,), id="recreated")]
)
def test_rows_go_only_into_the_table_that_this_restore_made(tables: tuple[Table, ...]) -> None:
    with pytest.raises(TargetChanged, match="not the table that this restore made"):
        demand_own([ORDERS.full_name], make_journal(*STORY[:7]), standing(*tables))


BACKED_UP = ("202601_1_1_0", "202601_2_2_0")
FROZEN = [make_part(name) for name in BACKED_UP]
MERGED = make_part("202601_1_2_1", rows=20)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="none-attached"),
        pytest.param(FROZEN[:1], id="one-attached"),
        pytest.param(FROZEN, id="all-attached"),
        pytest.param([*(part.vanished() for part in FROZEN), MERGED], id="merged-already"),
    ],
)
def test_a_half_filled_table_with_nothing_but_the_backups_rows_may_be_made_anew(parts) -> None:
    expected = {"shop.orders": make_fingerprint(*BACKED_UP)}
    demand_only_backup_rows(expected, {"shop.orders": tuple(parts)})
    assert expected["shop.orders"].foreign_among(parts) == ()


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([*FROZEN, make_part("202601_3_3_0", hash="written")], id="inserted"),
        pytest.param(
            [*FROZEN, make_part("202601_3_3_0", hash=FROZEN[0].hash)], id="attached-twice"
        ),
    ],
)
def test_rows_that_somebody_wrote_into_a_half_filled_table_are_not_lost(parts) -> None:
    expected = {"shop.orders": make_fingerprint(*BACKED_UP)}
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        demand_only_backup_rows(expected, {"shop.orders": tuple(parts)})


def test_a_table_without_a_fingerprint_is_not_made_anew_over_rows_of_unknown_origin() -> None:
    with pytest.raises(TargetChanged, match=r"shop\.orders"):
        demand_only_backup_rows({"shop.orders": None}, {"shop.orders": tuple(FROZEN)})
