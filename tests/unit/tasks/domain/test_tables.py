"""Tables: the class of every engine, and which tables a request means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.errors import InvalidRequest
from tasks.domain.tables import (
    Table,
    TableClass,
    checked_patterns,
    classify,
    database_patterns,
    inner_names,
    is_user_database,
    scratch_database,
    selected,
    table_patterns,
)
from tests.builders import inner_of, make_table, make_view
from tests.unit.tasks.domain.hostile import UNSPEAKABLE

MERGE_TREES = ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing")
STREAMS = (
    "Kafka",
    "RabbitMQ",
    "NATS",
    "S3Queue",
    "AzureQueue",
    "FileLog",
    "MaterializedPostgreSQL",
)
OWN_FILES = ("Log", "TinyLog", "StripeLog", "File", "EmbeddedRocksDB")
IN_MEMORY = ("Memory", "Set", "Join")
LINKS = ("Distributed", "Merge", "MySQL", "PostgreSQL", "S3", "URL", "Null", "View", "Dictionary")


@pytest.mark.parametrize("kind", [*MERGE_TREES, "Graphite", "Coalescing"])
def test_a_merge_tree_is_local_and_a_replicated_one_replicated(kind: str) -> None:
    assert classify(f"{kind}MergeTree") is TableClass.LOCAL
    assert classify(f"Replicated{kind}MergeTree") is TableClass.REPLICATED
    assert classify(f"Shared{kind}MergeTree") is TableClass.REPLICATED


@pytest.mark.parametrize(
    "engine", [*STREAMS, "MaterializedView", "WindowView", "LiveView", "Buffer"]
)
def test_what_fills_itself_or_others_is_active(engine: str) -> None:
    assert classify(engine) is TableClass.ACTIVE


@pytest.mark.parametrize("engine", [*OWN_FILES, *IN_MEMORY, *LINKS, "KeeperMap", "EngineOf2030"])
def test_any_other_engine_is_schema_only(engine: str) -> None:
    assert classify(engine) is TableClass.SCHEMA_ONLY


@pytest.mark.parametrize(
    "engine", ["MergeTree", "ReplicatedMergeTree", *OWN_FILES, *IN_MEMORY, "KeeperMap"]
)
def test_dropping_such_a_table_drops_rows(engine: str) -> None:
    assert make_table(engine=engine).holds_rows


@pytest.mark.parametrize("engine", [*LINKS, *STREAMS, "MaterializedView", "Buffer"])
def test_dropping_such_a_table_drops_no_row_of_its_own(engine: str) -> None:
    assert not make_table(engine=engine).holds_rows


@pytest.mark.parametrize(
    ("table", "starts"),
    [
        *(pytest.param(make_table(engine=engine), True, id=engine) for engine in STREAMS),
        pytest.param(make_view(), False, id="view-that-waits-for-inserts"),
        pytest.param(
            make_view(definition="CREATE MATERIALIZED VIEW a.b REFRESH EVERY 1 HOUR AS SELECT 1"),
            True,
            id="view-that-refreshes",
        ),
        pytest.param(
            make_view(
                definition="CREATE MATERIALIZED VIEW a.b refresh  after 1 MINUTE AS SELECT 1"
            ),
            True,
            id="view-that-refreshes-after-another",
        ),
        pytest.param(
            make_table(definition="CREATE TABLE a.b COMMENT 'REFRESH EVERY day'"),
            False,
            id="comment-of-a-plain-table",
        ),
    ],
)
def test_only_streams_and_refreshing_views_start_by_themselves(
    table: Table, *, starts: bool
) -> None:
    assert table.starts_by_itself is starts


def test_a_recreated_table_has_another_identity_even_with_its_old_uuid() -> None:
    assert make_table(modified=1).identity != make_table(modified=2).identity


@pytest.mark.parametrize("name", ["system", "INFORMATION_SCHEMA", "information_schema", "chops"])
def test_databases_of_the_system_and_our_own_are_nobodys_backup(name: str) -> None:
    assert not is_user_database(name)


@pytest.mark.parametrize(
    "name", ["chopsticks", "chops_shop", "chops_20260101", "systems", "System", "_chops"]
)
def test_a_database_of_a_user_is_never_left_out_for_its_name(name: str) -> None:
    assert is_user_database(name)


def test_a_scratch_database_is_our_own() -> None:
    assert not is_user_database(scratch_database("0123abcd"))


@pytest.mark.parametrize("pattern", UNSPEAKABLE)
def test_a_hostile_pattern_is_refused(pattern: str) -> None:
    """Weak point 21: values of a form were pasted into shell and SQL."""
    with pytest.raises(InvalidRequest, match="table pattern"):
        checked_patterns((f"shop.{pattern}",))
    with pytest.raises(InvalidRequest, match="table pattern"):
        checked_patterns((f"{pattern}.orders",))


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("orders", id="no-database"),
        pytest.param("shop.orders,shop.b", id="comma"),
        pytest.param("shop.[ab]", id="character-class"),
        pytest.param("shop.{a,b}", id="braces"),
        pytest.param("shop.a b", id="blank"),
    ],
)
def test_a_pattern_that_a_sidecar_would_read_in_another_way_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match=r"write database\.table"):
        checked_patterns((pattern,))


def test_blanks_around_a_pattern_are_dropped() -> None:
    assert checked_patterns([" shop.orders\n"]) == ("shop.orders",)


@pytest.mark.parametrize("pattern", ["system.query_log", "chops.operations", "chops.*"])
def test_a_pattern_for_a_reserved_database_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="never backed up"):
        checked_patterns(("shop.orders", pattern))


def test_without_a_pattern_every_table_of_users_is_meant() -> None:
    ours = make_table("operations", database="chops")
    theirs = make_table(), make_table("b", database="other")
    assert selected([ours, *theirs], ()) == theirs


@pytest.mark.parametrize("pattern", ["*.*", "chop?.*", "c*.*"])
def test_no_pattern_reaches_our_own_database(pattern: str) -> None:
    assert selected([make_table("operations", database="chops")], [pattern]) == ()


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        pytest.param("shop.orders", {"orders"}, id="name"),
        pytest.param("shop.order?", {"orders", "order2"}, id="question-mark"),
        pytest.param("shop.o*", {"orders", "order2", "old.orders"}, id="asterisk"),
        pytest.param("*.orders", {"orders", "old.orders"}, id="any-database"),
        pytest.param("SHOP.ORDERS", set(), id="case-matters"),
    ],
)
def test_a_pattern_means_names_as_a_glob_does(pattern: str, meant: set[str]) -> None:
    tables = [make_table(name) for name in ("orders", "order2", "old.orders", "customers")]
    assert {table.name for table in selected(tables, [pattern])} == meant


def test_naming_a_view_means_its_inner_table_too() -> None:
    view = make_view(definition="CREATE MATERIALIZED VIEW shop.sums AS SELECT 1")
    tables = [make_table(), view, inner_of(view), make_table(".inner_id.of-another")]
    assert selected(tables, ["shop.sums"]) == (view, inner_of(view))


def test_naming_a_view_of_an_old_server_means_its_inner_table_too() -> None:
    view, inner = make_view(uuid=""), make_table(".inner.sums")
    assert selected([view, inner], ["shop.sums"]) == (view, inner)


def test_a_plain_table_owns_no_inner_table() -> None:
    assert inner_names(make_table()) == ()


def test_whole_databases_are_named_once_each() -> None:
    tables = [make_table("a"), make_table("b"), make_table("c", database="crm")]
    assert database_patterns(tables) == ("crm.*", "shop.*")


def test_chosen_tables_are_named_one_by_one() -> None:
    tables = [make_table("b"), make_table("a"), make_table("a")]
    assert table_patterns(tables) == ("shop.a", "shop.b")


@pytest.mark.parametrize(
    "name", [*UNSPEAKABLE[1:], pytest.param("a*", id="asterisk"), pytest.param("a?", id="question")]
)
def test_a_table_that_no_command_can_name_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be named"):
        table_patterns([make_table(name)])


def test_a_table_with_an_odd_name_does_not_hinder_its_whole_database() -> None:
    assert database_patterns([make_table("my orders")]) == ("shop.*",)


def test_of_too_many_tables_the_database_is_named_where_it_holds_no_other_one() -> None:
    many = [make_table(f"orders_{number:06}") for number in range(5000)]
    other = make_table("a", database="crm")
    assert table_patterns([*many, other]) == ("crm.*", "shop.*")
    kept_out = make_table("b", database="crm")
    assert table_patterns([*many, other], apart_from=[kept_out]) == ("shop.*", "crm.a")
    with pytest.raises(InvalidRequest, match="5000 names are too many"):
        table_patterns(many, apart_from=[make_table("late")])


@given(st.sets(st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=6))
def test_a_named_table_matches_its_own_pattern_and_no_other_table(names: set[str]) -> None:
    tables = [make_table(name) for name in names]
    for table in tables:
        patterns = table_patterns([table])
        assert selected(tables, patterns) == (table,)
