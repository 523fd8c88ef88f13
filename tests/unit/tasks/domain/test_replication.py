"""Where a Replicated table lives: told from its definition, or said that nobody can tell."""

from typing import Any

import pytest

from tasks.domain.replication import KeeperEntry, keeper_entry
from tests.builders import make_table

MACROS = {"shard": "7", "replica": "chi-7-0", "cluster": "main"}


def replicated(arguments: str, **fields: Any) -> Any:
    definition = f"CREATE TABLE shop.orders (a UInt8) ENGINE = Replicated{arguments} ORDER BY a"
    return make_table(**({"engine": "ReplicatedMergeTree", "definition": definition} | fields))


@pytest.mark.parametrize(
    ("arguments", "path", "replica"),
    [
        pytest.param("MergeTree('/t/{shard}/o', '{replica}')", "/t/7/o", "chi-7-0", id="macros"),
        pytest.param("MergeTree('/t/7/o','r1', 8192)", "/t/7/o", "r1", id="literal"),
        pytest.param(
            "ReplacingMergeTree('/t/{cluster}/{database}/{table}/', '{replica}', ver)",
            "/t/main/shop/orders",
            "chi-7-0",
            id="names-of-the-table",
        ),
        pytest.param(
            "MergeTree('/t/{uuid}/{shard}', '{replica}')", "/t/u-1/7", "chi-7-0", id="uuid"
        ),
    ],
)
def test_a_path_is_expanded_as_the_server_does(arguments: str, path: str, replica: str) -> None:
    assert keeper_entry(replicated(arguments, uuid="u-1"), MACROS) == KeeperEntry(path, replica)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(make_table(), id="not-replicated"),
        pytest.param(replicated("MergeTree"), id="defaults-of-the-server"),
        pytest.param(replicated("MergeTree('/t/{layer}/o', '{replica}')"), id="unknown-macro"),
        pytest.param(replicated("MergeTree('other:/t/o', '{replica}')"), id="another-keeper"),
        pytest.param(replicated("MergeTree('/t/{uuid}', '{replica}')", uuid=""), id="no-uuid"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(table: Any) -> None:
    assert keeper_entry(table, MACROS) is None
