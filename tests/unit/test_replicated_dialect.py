"""The proxy before old servers changes words, never what a statement means."""

import pytest

from tests.replicated.dialect import Facts, reads_parts, translated

FACTS = Facts(
    disk_path="/data/", free_bytes=1, total_bytes=2, relay="http://proxy/relay", hashes={}
)


@pytest.mark.parametrize(
    ("sql", "given", "said"),
    [
        pytest.param("SELECT {a:String}", "x", "SELECT 'x'", id="text"),
        pytest.param("SELECT {a:String}", "it's", r"SELECT 'it\'s'", id="bare-quote"),
        pytest.param("SELECT {a:String}", r"it\'s", r"SELECT 'it\'s'", id="escaped-quote"),
        pytest.param("SELECT {a:String}", "\\\\", r"SELECT '\\'", id="backslash"),
        pytest.param("SELECT {a:UInt32}", "7", "SELECT 7", id="number"),
        pytest.param("SELECT {a:Array(String)}", "['x']", "SELECT ['x']", id="array"),
        pytest.param("b IN {a:Array(String)}", "['x', 'y']", "b IN ('x', 'y')", id="among"),
        pytest.param(
            "b NOT IN {a:Array(String)}",
            "[]",
            "b NOT IN (SELECT '' FROM system.one WHERE 0)",
            id="among-none",
        ),
        pytest.param("SELECT '{b:String}'", "x", "SELECT '{b:String}'", id="not-a-parameter"),
    ],
)
def test_a_parameter_becomes_a_literal_of_the_same_value(sql: str, given: str, said: str) -> None:
    assert translated(sql, {"a": given}, FACTS) == said


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        pytest.param("DROP TABLE t SYNC", "DROP TABLE t", id="sync"),
        pytest.param("DROP TABLE t SYNC SETTINGS a = 0, b = 0", "DROP TABLE t", id="settings"),
        pytest.param("SELECT 'DROP t SYNC'", "SELECT 'DROP t SYNC'", id="in-a-text"),
        pytest.param(
            "INSERT INTO system.backup_actions(command) SELECT 'x' WHERE now() < 1",
            "INSERT INTO system.backup_actions(command) SELECT 'x' WHERE now() < 1",
            id="command",
        ),
        pytest.param(
            "SELECT macro FROM system.macros", "SELECT macro FROM system.macros", id="known-table"
        ),
    ],
)
def test_only_words_that_the_old_server_does_not_know_are_left_out(sql: str, said: str) -> None:
    assert translated(sql, {}, FACTS) == said


@pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param("tables", "AS total_rows", id="rows"),
        pytest.param("parts", "AS hash_of_all_files", id="hashes"),
        pytest.param("functions", "AS create_query", id="functions"),
        pytest.param("disks", "AS free_space", id="disks"),
        pytest.param("settings", "AS readonly", id="settings"),
    ],
)
def test_a_system_table_gets_the_columns_that_it_lacks(table: str, column: str) -> None:
    said = translated(f"SELECT 1 FROM system.{table} WHERE a", {}, FACTS)
    assert said.startswith("SELECT 1 FROM (SELECT ")
    assert column in said
    assert said.endswith(") WHERE a")


def test_the_hash_of_a_part_that_nobody_looked_at_equals_no_other_one() -> None:
    facts = Facts(disk_path="", free_bytes=0, total_bytes=0, relay="", hashes={"/p/": "f00"})
    said = translated("SELECT 1 FROM system.parts", {}, facts)
    assert "transform(path, ['/p/'], ['f00'], 'unknown')" in said


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param("SELECT 1 FROM system.parts", True, id="parts"),
        pytest.param("SELECT 1 FROM a JOIN system.parts USING b", True, id="joined"),
        pytest.param("SELECT 1 FROM system.parts_columns", False, id="another-table"),
    ],
)
def test_hashes_are_looked_up_only_for_who_reads_parts(sql: str, *, expected: bool) -> None:
    assert reads_parts(sql) is expected


def test_an_address_is_read_through_the_relay_and_its_tuples_are_put_together_again() -> None:
    sql = (
        "SELECT arrayMap(p -> p.1, list) FROM url('http://s/a?b=1', 'JSONEachRow', "
        "'t String, list Array(Tuple(name String, id String))')"
    )
    assert translated(sql, {}, FACTS) == (
        "SELECT arrayMap(p -> p.1, list) FROM (SELECT t, "
        "arrayMap(field -> (field[1], field[2]), list) AS list "
        "FROM url('http://proxy/relay?of=http%3A%2F%2Fs%2Fa%3Fb%3D1', 'JSONEachRow', "
        "'t String, list Array(Array(String))'))"
    )
