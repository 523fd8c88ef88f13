"""`download`: what arrives, what is refused, and what a second one does."""

import pytest

from tests.contract.bench import Bench, add, fill, fill_with_noise


@pytest.fixture
def stored(bench: Bench) -> Bench:
    """Two tables in the backup `b1`, which is remote only."""
    fill(bench, "app.t1")
    fill(bench, "app.t2")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    return bench


@pytest.fixture
def chained(bench: Bench) -> Bench:
    """`full` and the increment `inc`, both remote only."""
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc")
    bench.succeed("delete local inc", "delete local full")
    return bench


def local_parts(bench: Bench, backup: str, table: str) -> set[str]:
    folder = bench.local_folder / backup / "shadow" / "app" / table / "default"
    return {path.name for path in folder.glob("*")}


def test_a_downloaded_backup_is_listed_locally(stored: Bench) -> None:
    stored.succeed("download b1")
    row = stored.backups("local")["b1"]
    assert row["desc"] == "regular"
    assert row["compressed_size"] == 0
    assert row["data_size"] > 0
    assert row["created"] == stored.backups("remote")["b1"]["created"]
    assert local_parts(stored, "b1", "t1") == {"0_1_1_0", "1_2_2_0", "2_3_3_0"}


def test_what_is_not_there_cannot_be_downloaded(stored: Bench) -> None:
    assert stored.fail("download nosuch") == "'nosuch' is not found on remote storage"
    error = stored.fail("restore_remote nosuch")
    assert error == "RestoreFromRemote Download: 'nosuch' is not found on remote storage"
    assert stored.backups("local") == {}


def test_a_broken_backup_counts_as_empty(stored: Bench) -> None:
    (stored.remote_folder / "b1" / "metadata.json").unlink()
    stored.restart_forgetting_remote()
    assert stored.fail("download b1") == "'b1' is empty backup"


def test_only_the_tables_asked_for_arrive(stored: Bench) -> None:
    stored.succeed("download --tables=app.t1 b1")
    assert set(stored.tables_of("b1")) == {"app.t1"}
    assert local_parts(stored, "b1", "t2") == set()


def test_only_the_partitions_asked_for_arrive(stored: Bench) -> None:
    stored.succeed("download --tables=app.t1 --partitions=1 b1")
    assert local_parts(stored, "b1", "t1") == {"1_2_2_0"}


def test_a_schema_download_brings_no_parts(stored: Bench) -> None:
    stored.succeed("download --schema b1")
    assert stored.tables_of("b1")["app.t1"]["parts"] == 0
    assert stored.backups("local")["b1"]["data_size"] == 0


def test_a_download_over_a_schema_download_brings_the_parts(stored: Bench) -> None:
    stored.succeed("download --schema b1", "download b1")
    assert local_parts(stored, "b1", "t1") == {"0_1_1_0", "1_2_2_0", "2_3_3_0"}
    assert stored.tables_of("b1")["app.t1"]["parts"] == 3


def test_a_second_download_is_no_error(stored: Bench) -> None:
    stored.succeed("download b1", "download b1")


def test_a_local_backup_that_was_not_downloaded_is_not_overwritten(stored: Bench) -> None:
    stored.succeed("create --tables=app.t1 b1")
    error = stored.fail("download b1")
    assert error.startswith("backup is already exists: local backup 'b1' exists but resumable")
    assert "run `clickhouse-backup delete local b1`" in error


def test_restore_remote_takes_a_local_backup_as_it_is(stored: Bench) -> None:
    stored.succeed("create --tables=app.t1 b1")
    stored.sql("DROP DATABASE app SYNC")
    stored.succeed("restore_remote b1")
    assert stored.sql("SELECT name FROM system.tables WHERE database = 'app'") == "t1"


def test_an_increment_arrives_complete_and_leaves_no_base_behind(chained: Bench) -> None:
    chained.succeed("download inc")
    assert local_parts(chained, "inc", "t") == {"0_1_1_0", "0_2_2_0"}
    assert set(chained.backups("local")) == {"inc"}
    assert chained.backups("local")["inc"]["required"] == "full"


def test_after_an_increment_arrived_other_empty_local_folders_are_gone(chained: Bench) -> None:
    (chained.local_folder / "unfinished").mkdir(parents=True)
    chained.succeed("download inc")
    assert set(chained.backups("local")) == {"inc"}


def test_a_chain_of_three_arrives_complete(chained: Bench) -> None:
    add(chained, "app.t")
    chained.succeed("create_remote --tables=app.* --diff-from-remote=inc --delete-source inc2")
    chained.succeed("download inc2")
    assert local_parts(chained, "inc2", "t") == {"0_1_1_0", "0_2_2_0", "0_3_3_0"}


def test_a_missing_base_fails_the_download_of_its_increment(chained: Bench) -> None:
    chained.submit("delete --force remote full")
    error = chained.fail("download inc")
    assert error.endswith("ReadBackupMetadataRemote: full not found on remote storage")
    assert chained.backups("local")["inc"]["desc"] == "broken metadata.json not found"
    assert chained.backups("remote")["inc"]["desc"] == "tar, regular"


def test_a_broken_base_fails_the_download_of_its_increment(chained: Bench) -> None:
    (chained.remote_folder / "full" / "metadata.json").unlink()
    chained.restart_forgetting_remote()
    error = chained.fail("download inc")
    assert error.endswith(
        "ReadBackupMetadataRemote: full is broken (can't stat metadata.json) on remote storage"
    )


def test_a_missing_archive_fails_the_download(stored: Bench) -> None:
    next((stored.remote_folder / "b1" / "shadow").rglob("*.tar")).unlink()
    assert "key not found" in stored.fail("download b1").lower().replace(
        "nosuchkey", "key not found"
    )


def test_an_archive_that_was_cut_off_fails_the_download(stored: Bench) -> None:
    archive = next((stored.remote_folder / "b1" / "shadow").rglob("*.tar"))
    archive.write_bytes(archive.read_bytes()[:700])
    assert stored.fail("download b1")


def test_missing_table_metadata_fails_the_download(stored: Bench) -> None:
    (stored.remote_folder / "b1" / "metadata" / "app" / "t1.json").unlink()
    error = stored.fail("download b1")
    assert error.endswith(
        "remote metadata file b1/metadata/app/t1.json not found on remote storage, backup is broken"
    )


def test_an_unfinished_download_is_listed_as_broken(bench: Bench) -> None:
    fill_with_noise(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    command = "download --env=DOWNLOAD_MAX_BYTES_PER_SECOND=60000 b1"
    bench.submit(command)
    bench.wait(lambda: "b1" in bench.backups("local"), "the local folder is there")
    assert bench.backups("local")["b1"]["desc"] == "broken metadata.json not found"
    assert bench.finished(command).outcome == "success"
    assert bench.backups("local")["b1"]["desc"] == "regular"
