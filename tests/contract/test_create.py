"""`create`: which tables and parts a local backup holds, and how it is listed."""

import pytest

from tests.contract.bench import Bench, add, fill


def test_a_local_backup_is_listed_with_all_columns(bench: Bench) -> None:
    fill(bench, "app.t")
    before = int(bench.sql("SELECT toUnixTimestamp(now())"))
    bench.succeed("create --tables=app.* b1")
    row = bench.backups("local")["b1"]
    assert list(row) == [
        "name",
        "created",
        "size",
        "data_size",
        "object_disk_size",
        "metadata_size",
        "rbac_size",
        "config_size",
        "named_collection_size",
        "compressed_size",
        "location",
        "required",
        "desc",
    ]
    assert row["desc"] == "regular"
    assert row["required"] == ""
    assert row["compressed_size"] == 0
    assert row["size"] == row["data_size"] + row["metadata_size"] > row["data_size"] > 0
    created = bench.sql("SELECT toUnixTimestamp(created) FROM system.backup_list")
    assert before - 1 <= int(created) <= before + 30


def test_local_backups_are_listed_oldest_first(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* z", "create --tables=app.* a")
    assert [row["name"] for row in bench.get("/backup/list/local")] == ["z", "a"]
    assert bench.get("/backup/list/remote") == []


def test_without_a_matching_table_there_is_no_backup(bench: Bench) -> None:
    fill(bench, "app.t")
    assert bench.fail("create --tables=nosuch.* b1") == "no tables for backup"
    assert bench.backups("local") == {}


def test_an_empty_backup_can_be_allowed(bench: Bench) -> None:
    bench.succeed("create --env=ALLOW_EMPTY_BACKUPS=true --tables=nosuch.* b1")
    assert bench.tables_of("b1") == {}


@pytest.mark.parametrize(
    ("pattern", "stored"),
    [
        pytest.param("app.t1", {"app.t1"}, id="name"),
        pytest.param("app.t1,app2.*", {"app.t1", "app2.t1"}, id="list"),
        pytest.param("app.t?", {"app.t1", "app.t2"}, id="question-mark"),
        pytest.param("app*", {"app.t1", "app.t2", "app2.t1"}, id="star-crosses-the-dot"),
        pytest.param("*.t1", {"app.t1", "app2.t1"}, id="any-database"),
    ],
)
def test_tables_are_chosen_by_pattern(bench: Bench, pattern: str, stored: set[str]) -> None:
    for table in ("app.t1", "app.t2", "app2.t1"):
        fill(bench, table)
    bench.succeed(f"create --tables={pattern} b1")
    assert set(bench.tables_of("b1")) == stored


def test_without_tables_every_database_but_the_system_s_is_stored(bench: Bench) -> None:
    fill(bench, "app.t")
    fill(bench, "app2.t")
    bench.succeed("create b1")
    assert set(bench.tables_of("b1")) == {"app.t", "app2.t"}


def test_tables_can_be_kept_out_by_an_override(bench: Bench) -> None:
    fill(bench, "app.t")
    fill(bench, "app2.t")
    bench.succeed("create --env=CLICKHOUSE_SKIP_TABLES=app2.*,system.* b1")
    assert "app.t" in bench.tables_of("b1")
    assert "app2.t" not in bench.tables_of("b1")


def test_a_local_backup_tells_its_tables_and_frozen_parts(bench: Bench) -> None:
    fill(bench, "app.t", partitions=2)
    bench.succeed("create --tables=app.* b1")
    (row,) = bench.get("/backup/tables?local_backup=b1&list_parts=1")
    total = int(bench.sql("SELECT total_bytes FROM system.tables WHERE database = 'app'"))
    assert row == {
        "database": "app",
        "table": "t",
        "total_bytes": total,
        "size": f"{total / 1024:.2f}KiB",
        "parts": 2,
        "disks": ["default"],
        "skip": False,
        "parts_list": [
            {"name": "0_1_1_0", "partition_id": "0"},
            {"name": "1_2_2_0", "partition_id": "1"},
        ],
    }
    assert "parts_list" not in bench.get("/backup/tables?local_backup=b1")[0]
    assert bench.get("/backup/tables?local_backup=b1&table=app.x") == []


def test_frozen_parts_stay_what_they_were_when_the_table_goes_on(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    add(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    bench.sql("OPTIMIZE TABLE app.t FINAL")
    add(bench, "app.t")
    parts = [part["name"] for part in bench.tables_of("b1")["app.t"]["parts_list"]]
    assert parts == ["0_1_1_0", "0_2_2_0"]
    known = bench.sql(
        "SELECT count() FROM system.parts WHERE database = 'app'"
        " AND name IN ('0_1_1_0', '0_2_2_0') AND hash_of_all_files != ''"
    )
    assert known == "2"


def test_only_the_partitions_asked_for_are_stored(bench: Bench) -> None:
    fill(bench, "app.t", partitions=4)
    bench.succeed("create --tables=app.* --partitions=1,3 b1")
    parts = bench.tables_of("b1")["app.t"]["parts_list"]
    assert [part["partition_id"] for part in parts] == ["1", "3"]


def test_partitions_can_be_asked_for_per_table(bench: Bench) -> None:
    fill(bench, "app.t1", partitions=2)
    fill(bench, "app.t2", partitions=2)
    bench.succeed("create --tables=app.* --partitions=app.t1:1 b1")
    parts = {name: row["parts"] for name, row in bench.tables_of("b1").items()}
    assert parts == {"app.t1": 1, "app.t2": 2}
    bench.succeed("create --tables=app.* --partitions=app.t1:1 --partitions=app.t2:0 b2")
    parts = {name: row["parts"] for name, row in bench.tables_of("b2").items()}
    assert parts == {"app.t1": 1, "app.t2": 1}


def test_a_schema_backup_holds_no_parts(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --schema --tables=app.* b1")
    assert bench.tables_of("b1")["app.t"]["parts"] == 0
    assert bench.backups("local")["b1"]["data_size"] == 0


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param("TABLE app.x (a UInt32) ENGINE = Log", id="log"),
        pytest.param("TABLE app.x (a UInt32) ENGINE = Memory", id="memory"),
        pytest.param("VIEW app.x AS SELECT 1 AS a", id="view"),
        pytest.param(
            "DICTIONARY app.x (a UInt32) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
            id="dictionary",
        ),
    ],
)
def test_other_engines_are_stored_as_schema_only(bench: Bench, definition: str) -> None:
    fill(bench, "app.t")
    bench.sql(f"CREATE {definition}")
    bench.succeed("create --tables=app.* b1")
    assert bench.tables_of("b1")["app.x"]["parts"] == 0


def test_the_inner_table_comes_with_its_view(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql(
        "CREATE MATERIALIZED VIEW app.mv ENGINE = SummingMergeTree ORDER BY id"
        " AS SELECT id FROM app.t"
    )
    add(bench, "app.t")
    bench.succeed("create --tables=app.mv b1")
    (inner,) = set(bench.tables_of("b1")) - {"app.mv"}
    assert inner.startswith("app..inner_id.")
    assert bench.tables_of("b1")[inner]["parts"] == 1


def test_a_second_create_of_a_name_replaces_the_first_without_a_word(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create --tables=app.* b1")
    add(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    assert bench.tables_of("b1")["app.t"]["parts"] == 2


def test_nothing_is_left_in_the_shadow_folder(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    shadow = bench.node.data_dir / "shadow"
    assert [path for path in shadow.iterdir() if path.is_dir()] == []


def test_clean_empties_the_shadow_folder(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql("ALTER TABLE app.t FREEZE WITH NAME 'left-over'")
    bench.submit("clean")
    assert not (bench.node.data_dir / "shadow" / "left-over").exists()


def test_a_local_backup_without_its_metadata_is_listed_as_broken(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    (bench.local_folder / "b1" / "metadata.json").unlink()
    row = bench.backups("local")["b1"]
    assert row["desc"] == "broken metadata.json not found"
    assert row["size"] == 0


def test_a_local_backup_with_unreadable_metadata_does_not_say_broken(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    (bench.local_folder / "b1" / "metadata.json").write_text("{")
    assert bench.backups("local")["b1"]["desc"].startswith("parse metadata.json error: ")


def test_broken_local_backups_can_be_cleaned(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1", "create --tables=app.* b2")
    (bench.local_folder / "b1" / "metadata.json").unlink()
    bench.submit("clean_local_broken")
    assert set(bench.backups("local")) == {"b2"}


def test_tables_of_an_unknown_backup_are_an_error(bench: Bench) -> None:
    with pytest.raises(Exception, match="is not found"):
        bench.tables_of("nosuch")
    with pytest.raises(Exception, match="not found on remote storage"):
        bench.tables_of("nosuch", "remote")


def test_rbac_and_named_collections_can_be_asked_for(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --rbac --named-collections --tables=app.* b1")
    assert bench.tables_of("b1")["app.t"]["parts"] == 3
