"""Definitions for a drill: columns stay as they are, and nothing replicates or keeps its name."""

import json

import pytest

from tasks.domain.errors import BackupUnusable
from tasks.domain.journal import Event, Step
from tasks.domain.scratch_tables import drilled_databases, scratch_definition
from tests.builders import make_entry, make_journal, make_table, make_table_record

COLUMNS = "(`id` UInt64, `day` Date)"


def rewritten(definition: str) -> str:
    return scratch_definition(make_table_record(make_table(definition=definition)))


@pytest.mark.parametrize(
    ("engine", "plain"),
    [
        pytest.param("MergeTree", "MergeTree", id="plain"),
        pytest.param("ReplacingMergeTree(version)", "ReplacingMergeTree(version)", id="arguments"),
        pytest.param("ReplicatedMergeTree", "MergeTree", id="no-arguments"),
        pytest.param("ReplicatedMergeTree()", "MergeTree()", id="empty-arguments"),
        pytest.param(
            "ReplicatedMergeTree('/tables/{shard}/shop/orders', '{replica}')",
            "MergeTree()",
            id="path-and-replica",
        ),
        pytest.param(
            "ReplicatedReplacingMergeTree('/tables/a,b)', '{replica}', version)",
            "ReplacingMergeTree(version)",
            id="path-replica-and-column",
        ),
        pytest.param(
            "ReplicatedSummingMergeTree('/t', 'r', (a, b))",
            "SummingMergeTree((a, b))",
            id="tuple-of-columns",
        ),
        pytest.param(
            "ReplicatedReplacingMergeTree(version)", "ReplacingMergeTree(version)", id="no-path"
        ),
        pytest.param(
            "ReplicatedMergeTree('/t', 'r', day, (id, day), 8192)",
            "MergeTree(day, (id, day), 8192)",
            id="old-syntax",
        ),
    ],
)
def test_an_engine_keeps_all_but_its_place_in_the_coordination_service(
    engine: str, plain: str
) -> None:
    rest = " PARTITION BY day ORDER BY id SETTINGS index_granularity = 8192"
    text = rewritten(f"CREATE TABLE shop.orders {COLUMNS} ENGINE = {engine}{rest}")
    assert text == f"{COLUMNS} ENGINE = {plain}{rest}"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("shop.orders", id="bare"),
        pytest.param("shop.`.inner_id.0-1`", id="inner"),
        pytest.param("`a (b`.`c \\` (d`", id="quoted"),
        pytest.param("shop.orders UUID '2dac6362-7666-4e26-988e-7c11b8e0f29d'", id="uuid"),
    ],
)
def test_name_and_uuid_are_left_behind(head: str) -> None:
    text = rewritten(f"CREATE TABLE {head} {COLUMNS} ENGINE = MergeTree ORDER BY id")
    assert text == f"{COLUMNS} ENGINE = MergeTree ORDER BY id"


def test_words_in_columns_defaults_and_comments_are_no_engine() -> None:
    columns = (
        "(`ENGINE` String DEFAULT 'ENGINE = \\'ReplicatedMergeTree(', "
        "`x` String COMMENT ') ENGINE = Log', CONSTRAINT c CHECK (x = 'ENGINE'))"
    )
    text = f"{columns} ENGINE = MergeTree ORDER BY tuple() COMMENT 'ENGINE = ReplicatedMergeTree'"
    assert rewritten(f"CREATE TABLE shop.orders {text}") == text


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param("", id="none"),
        pytest.param("CREATE TABLE shop.orders ENGINE = MergeTree", id="no-columns"),
        pytest.param(f"CREATE TABLE shop.orders {COLUMNS}", id="no-engine"),
    ],
)
def test_a_definition_that_cannot_be_read_is_told(definition: str) -> None:
    with pytest.raises(BackupUnusable, match=r"shop\.orders"):
        rewritten(definition)


def test_only_databases_that_are_scratch_by_name_are_known_as_those_of_a_drill() -> None:
    noted = [["chops_scratch_0123abcd", "shop"], ["chops_scratch_ffffffff"]]
    entries = [
        make_entry(Event.INTENT, Step.DRILL, payload=json.dumps(databases)) for databases in noted
    ]
    other = make_entry(Event.INTENT, Step.DOWNLOAD)
    found = drilled_databases(make_journal(other, *entries))
    assert found == {"chops_scratch_0123abcd", "chops_scratch_ffffffff"}
