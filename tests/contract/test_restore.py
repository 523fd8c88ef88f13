"""`restore`: schema, data, names, and how little it looks at what is there."""

import pytest

from tests.contract.bench import Bench, add, fill


@pytest.fixture
def backed_up(bench: Bench) -> Bench:
    """`app.t` with 300 rows in three partitions, and the local backup `b1` of it."""
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    return bench


def identity(bench: Bench, table: str) -> str:
    database, name = table.split(".")
    return bench.sql(
        f"SELECT uuid FROM system.tables WHERE database = '{database}' AND name = '{name}'"
    )


def test_a_dropped_database_comes_back_with_the_same_rows_and_part_hashes(
    backed_up: Bench,
) -> None:
    rows, hashes = backed_up.checksum("app.t"), backed_up.hashes("app.t")
    backed_up.sql("DROP DATABASE app SYNC")
    backed_up.succeed("restore b1")
    assert backed_up.checksum("app.t") == rows
    assert backed_up.hashes("app.t") == hashes


def test_a_round_trip_through_the_bucket_keeps_the_part_hashes(backed_up: Bench) -> None:
    add(backed_up, "app.t")
    hashes = backed_up.hashes("app.t")
    backed_up.succeed("create_remote --tables=app.* --delete-source b2")
    backed_up.sql("DROP DATABASE app SYNC")
    backed_up.succeed("restore_remote b2")
    assert backed_up.hashes("app.t") == hashes


def test_an_increment_is_restored_from_its_local_copy_and_the_bucket(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc")
    hashes = bench.hashes("app.t")
    bench.sql("DROP DATABASE app SYNC")
    bench.succeed("restore inc")
    assert bench.hashes("app.t") == hashes


def test_a_restore_drops_what_is_there_without_being_told_to(backed_up: Bench) -> None:
    add(backed_up, "app.t")
    backed_up.succeed("restore b1")
    assert backed_up.count("app.t") == 300


def test_a_schema_restore_empties_the_table_and_keeps_its_uuid(backed_up: Bench) -> None:
    before = identity(backed_up, "app.t")
    backed_up.succeed("restore --schema b1")
    assert backed_up.count("app.t") == 0
    assert identity(backed_up, "app.t") == before


def test_data_restored_twice_is_there_twice(backed_up: Bench) -> None:
    backed_up.succeed("restore --schema b1", "restore --data b1", "restore --data b1")
    assert backed_up.count("app.t") == 600


def test_data_restored_by_partition_replaces_these_partitions_only(backed_up: Bench) -> None:
    backed_up.succeed("restore --data b1")
    assert backed_up.count("app.t") == 600
    backed_up.succeed("restore --data --partitions=0 b1", "restore --data --partitions=0 b1")
    of_each = backed_up.sql(
        "SELECT groupArray(c) FROM (SELECT count() AS c FROM app.t GROUP BY id % 3 ORDER BY id % 3)"
    )
    assert of_each == "[100,200,200]"


def test_each_table_of_a_copy_gets_the_partitions_that_are_named_for_it(bench: Bench) -> None:
    fill(bench, "app.t1")
    fill(bench, "app.t2")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    some = "--tables=app.t1,app.t2 --partitions=app.t1:0,1 --partitions=app.t2:2"
    bench.succeed(f"download {some} b1")
    bench.sql("TRUNCATE TABLE app.t1")
    bench.succeed(f"restore --data {some} b1", f"restore --data {some} b1")
    assert bench.count("app.t1") == 200
    assert bench.count("app.t2") == 300


def test_data_of_a_missing_table_is_refused(backed_up: Bench) -> None:
    backed_up.sql("DROP TABLE app.t SYNC")
    error = backed_up.fail("restore --data b1")
    assert error.endswith(
        "'app.t' is not created. Restore schema first or create missing tables manually"
    )


def test_data_of_a_schema_download_is_nothing_and_succeeds(backed_up: Bench) -> None:
    backed_up.succeed("upload b1", "delete local b1", "download --schema b1")
    backed_up.succeed("restore --schema b1", "restore --data b1")
    assert backed_up.count("app.t") == 0
    backed_up.succeed("download b1", "restore --data b1")
    assert backed_up.count("app.t") == 300


def test_an_unknown_local_backup_cannot_be_restored(bench: Bench) -> None:
    fill(bench, "app.t")
    error = bench.fail("restore nosuch")
    assert error.startswith("read backup metadata file: open ")
    assert error.endswith("/backup/nosuch/metadata.json: no such file or directory")


def test_a_pattern_that_matches_nothing_is_an_error(backed_up: Bench) -> None:
    error = backed_up.fail("restore --tables=app.nosuch b1")
    assert error.startswith("getTablesForRestoreLocal: not found schemas by app.nosuch in b1")
    assert backed_up.count("app.t") == 300


def test_only_the_tables_asked_for_are_restored(bench: Bench) -> None:
    for table in ("app.t1", "app.t2", "app2.t1"):
        fill(bench, table)
    bench.succeed("create --tables=app*.* b1")
    for table in ("app.t1", "app.t2", "app2.t1"):
        bench.sql(f"DROP TABLE {table} SYNC")
    bench.succeed("restore --tables=app.t1,app2.* b1")
    assert bench.select(
        "SELECT database || '.' || name AS t FROM system.tables WHERE database LIKE 'app%'"
        " ORDER BY t"
    ) == [{"t": "app.t1"}, {"t": "app2.t1"}]


def test_schema_with_rm_drops_the_whole_database(backed_up: Bench) -> None:
    fill(backed_up, "app.stranger")
    backed_up.succeed("restore --schema --rm b1")
    assert backed_up.sql("SELECT name FROM system.tables WHERE database = 'app'") == "t"


def test_a_plain_restore_leaves_strangers_in_the_database(backed_up: Bench) -> None:
    fill(backed_up, "app.stranger")
    backed_up.succeed("restore b1")
    assert backed_up.count("app.stranger") == 300


def test_a_database_can_be_restored_under_another_name(backed_up: Bench) -> None:
    rows, hashes = backed_up.checksum("app.t"), backed_up.hashes("app.t")
    add(backed_up, "app.t")
    backed_up.succeed("restore --restore-database-mapping=app:app_scratch b1")
    assert backed_up.checksum("app_scratch.t") == rows
    assert backed_up.hashes("app_scratch.t") == hashes
    assert backed_up.count("app.t") == 600
    assert identity(backed_up, "app_scratch.t") != identity(backed_up, "app.t")


def test_data_can_be_restored_into_a_table_made_by_hand(backed_up: Bench) -> None:
    backed_up.sql("CREATE DATABASE app_scratch")
    backed_up.sql("CREATE TABLE app_scratch.t AS app.t")
    backed_up.succeed("restore --data --restore-database-mapping=app:app_scratch b1")
    assert backed_up.count("app_scratch.t") == 300


def test_a_table_can_be_restored_under_another_name(backed_up: Bench) -> None:
    backed_up.succeed("restore --restore-table-mapping=t:t2 b1")
    assert backed_up.count("app.t2") == 300
    assert backed_up.count("app.t") == 300


@pytest.mark.parametrize("kind", ["database", "table"])
def test_a_malformed_mapping_is_an_error(backed_up: Bench, kind: str) -> None:
    error = backed_up.fail(f"restore --restore-{kind}-mapping=app b1")
    assert f"restore-{kind}-mapping app should only have src{kind.title()}:" in error


def test_views_come_back_and_do_not_run_their_select(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql("CREATE VIEW app.v AS SELECT count() AS c FROM app.t")
    bench.sql("CREATE TABLE app.sums (k UInt8, c UInt64) ENGINE = SummingMergeTree ORDER BY k")
    bench.sql(
        "CREATE MATERIALIZED VIEW app.to_mv TO app.sums AS SELECT 1 AS k, count() AS c FROM app.t"
    )
    bench.sql(
        "CREATE MATERIALIZED VIEW app.own_mv ENGINE = SummingMergeTree ORDER BY k"
        " AS SELECT 1 AS k, count() AS c FROM app.t"
    )
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    bench.sql("DROP DATABASE app SYNC")
    bench.succeed("restore_remote b1")
    assert bench.sql("SELECT c FROM app.v") == "600"
    assert bench.sql("SELECT sum(c) FROM app.sums") == "300"
    assert bench.sql("SELECT sum(c) FROM app.own_mv") == "300"
    add(bench, "app.t")
    assert bench.sql("SELECT sum(c) FROM app.sums") == "600"
    assert bench.sql("SELECT sum(c) FROM app.own_mv") == "600"


def test_a_view_with_an_inner_table_cannot_move_to_another_database(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql(
        "CREATE MATERIALIZED VIEW app.mv ENGINE = SummingMergeTree ORDER BY id"
        " AS SELECT id FROM app.t"
    )
    bench.succeed("create --tables=app.* b1")
    error = bench.fail("restore --restore-database-mapping=app:app_scratch b1")
    assert "cannot point to itself" in error


def test_a_view_moves_with_the_tables_it_reads(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql("CREATE VIEW app.v AS SELECT count() AS c FROM app.t")
    bench.succeed("create --tables=app.* b1")
    bench.sql("TRUNCATE TABLE app.t")
    bench.succeed("restore --restore-database-mapping=app:app_scratch b1")
    assert bench.sql("SELECT c FROM app_scratch.v") == "300"


def test_tables_without_parts_come_back_empty(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.sql("CREATE TABLE app.log (a UInt32) ENGINE = Log")
    bench.sql("INSERT INTO app.log VALUES (1)")
    bench.succeed("create --tables=app.* b1", "restore b1")
    assert bench.count("app.log") == 0
    assert bench.count("app.t") == 300


def test_every_schema_restore_brings_all_functions_back(backed_up: Bench) -> None:
    backed_up.sql("CREATE FUNCTION f_tax AS x -> x * 2")
    backed_up.succeed("create --tables=app.* b2")
    backed_up.sql("CREATE OR REPLACE FUNCTION f_tax AS x -> x * 3")
    backed_up.succeed("restore --data --tables=app.t b2")
    assert backed_up.sql("SELECT f_tax(10)") == "30"
    backed_up.succeed("restore --schema --tables=app.t b2")
    assert backed_up.sql("SELECT f_tax(10)") == "20"


def test_a_schema_restore_on_a_cluster_is_refused_where_there_is_none(backed_up: Bench) -> None:
    error = backed_up.fail("restore --env=RESTORE_SCHEMA_ON_CLUSTER=demo --schema b1")
    assert "code: 701" in error
    backed_up.succeed("restore --env=RESTORE_SCHEMA_ON_CLUSTER= --schema b1")


def test_a_table_that_cannot_be_created_stays_dropped(backed_up: Bench) -> None:
    path = backed_up.local_folder / "b1" / "metadata" / "app" / "t.json"
    path.write_text(path.read_text().replace("MergeTree", "NoSuchEngine"))
    error = backed_up.fail("restore --schema b1")
    assert "can't create table `app`.`t` after 1 times" in error
    assert backed_up.sql("EXISTS TABLE app.t") == "0"


def test_a_damaged_part_fails_the_restore_of_its_table(backed_up: Bench) -> None:
    files = sorted((backed_up.local_folder / "b1" / "shadow" / "app" / "t").rglob("data.bin"))
    files[0].unlink()
    assert "ATTACH" in backed_up.fail("restore b1") or backed_up.count("app.t") < 300


def test_a_companion_with_a_dot_in_its_name_makes_a_round_trip(bench: Bench) -> None:
    bench.sql("CREATE DATABASE app")
    bench.sql("CREATE TABLE app.manifest (body String) ENGINE = MergeTree ORDER BY tuple()")
    bench.sql("INSERT INTO app.manifest VALUES ('{\"a\":1}')")
    bench.succeed("create_remote --tables=app.manifest --delete-source b1.manifest")
    bench.sql("DROP TABLE app.manifest SYNC")
    assert set(bench.backups("remote")) == {"b1.manifest"}
    bench.sql("CREATE DATABASE app_read")
    bench.sql("CREATE TABLE app_read.manifest (body String) ENGINE = MergeTree ORDER BY tuple()")
    bench.succeed(
        "download --tables=app.manifest b1.manifest",
        "restore --data --tables=app.manifest --restore-database-mapping=app:app_read b1.manifest",
        "delete local b1.manifest",
    )
    assert bench.sql("SELECT body FROM app_read.manifest") == '{"a":1}'
