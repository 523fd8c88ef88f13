"""`upload`, `create_remote`, increments, and what the remote listing says meanwhile."""

from tests.contract.bench import Bench, add, add_noise, fill, fill_with_noise

SLOWLY = "--env=UPLOAD_MAX_BYTES_PER_SECOND=60000"


def remote_parts(bench: Bench, backup: str, table: str = "t") -> set[str]:
    """Parts whose archives lie in the bucket under this name."""
    folder = bench.remote_folder / backup / "shadow" / "app" / table
    return {path.stem.removeprefix("default_") for path in folder.glob("*.tar")}


def test_an_uploaded_backup_is_listed_remotely_and_stays_local(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1", "upload b1")
    row = bench.backups("remote")["b1"]
    assert row["created"] == bench.backups("local")["b1"]["created"]
    assert row["desc"] == "tar, regular"
    assert row["size"] == row["compressed_size"] + row["metadata_size"]
    assert row["compressed_size"] > 0
    assert bench.tables_of("b1", "remote") == bench.tables_of("b1")


def test_only_the_tables_asked_for_are_uploaded(bench: Bench) -> None:
    fill(bench, "app.t1")
    fill(bench, "app.t2")
    bench.succeed("create --tables=app.* b1", "upload --tables=app.t1 b1")
    assert set(bench.tables_of("b1", "remote")) == {"app.t1"}


def test_a_star_in_an_upload_does_cross_the_dot(bench: Bench) -> None:
    fill(bench, "app.t1")
    fill(bench, "app2.t2")
    bench.succeed("create --tables=app* b1", "upload --tables=app* b1")
    assert set(bench.tables_of("b1", "remote")) == {"app.t1", "app2.t2"}


def test_the_source_can_be_deleted_with_the_upload(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    assert bench.backups("local") == {}
    assert remote_parts(bench, "b1") == {"0_1_1_0", "1_2_2_0", "2_3_3_0"}


def test_a_created_increment_stores_new_parts_only(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc")
    assert bench.backups("remote")["inc"]["required"] == "full"
    assert bench.backups("local")["inc"]["required"] == "full"
    assert bench.tables_of("inc", "remote")["app.t"]["parts"] == 2
    assert remote_parts(bench, "inc") == {"0_2_2_0"}


def test_an_uploaded_increment_names_its_base_remotely_only(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create --tables=app.* full", "upload full")
    add(bench, "app.t")
    bench.succeed("create --tables=app.* inc", "upload --diff-from-remote=full inc")
    assert bench.backups("local")["inc"]["required"] == ""
    assert bench.backups("remote")["inc"]["required"] == "full"
    assert remote_parts(bench, "inc") == {"0_2_2_0"}
    assert bench.tables_of("inc", "remote") == bench.tables_of("inc")


def test_what_an_increment_sent_is_told_apart_from_its_size(bench: Bench) -> None:
    """With nothing to send, the listed size is that of all that was frozen."""
    fill_with_noise(bench, "app.t", partitions=1, kilobytes=300)
    bench.succeed("create --tables=app.* full", "upload full")
    bench.succeed("create --tables=app.* same", "upload --diff-from-remote=full same")
    add_noise(bench, "app.t", rows=1)
    bench.succeed("create --tables=app.* more", "upload --diff-from-remote=same more")
    same, more = (bench.backups("remote")[name] for name in ("same", "more"))
    assert remote_parts(bench, "same") == set()
    assert same["compressed_size"] == 0
    assert same["size"] == same["data_size"] + same["metadata_size"]
    assert 0 < more["compressed_size"] < more["data_size"] / 4
    assert more["size"] == more["compressed_size"] + more["metadata_size"]


def test_an_increment_is_resumed_as_one_after_a_restart(bench: Bench) -> None:
    fill_with_noise(bench, "app.t", partitions=1)
    bench.succeed("create --tables=app.* full", "upload full", "delete local full")
    add_noise(bench, "app.t", rows=200)
    bench.succeed("create --tables=app.* inc")
    bench.submit(f"upload {SLOWLY} --diff-from-remote=full inc")
    bench.wait(lambda: "inc" in bench.backups("remote"), "the first object is there")
    bench.restart()
    bench.wait_until_resumed("upload --diff-from-remote=full --resumable=1 inc")
    assert bench.backups("remote")["inc"]["required"] == "full"
    assert bench.tables_of("inc", "remote")["app.t"]["parts"] == 2


def test_an_increment_can_be_built_on_a_local_base(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create --tables=app.* full", "upload full")
    add(bench, "app.t")
    bench.succeed("create --tables=app.* inc", "upload --diff-from=full inc")
    assert bench.backups("remote")["inc"]["required"] == "full"
    assert remote_parts(bench, "inc") == {"0_2_2_0"}


def test_parts_of_equal_name_and_other_content_are_stored_again(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    bench.sql("DROP TABLE app.t SYNC")
    fill(bench, "app.t", partitions=1, rows=77)
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc")
    assert remote_parts(bench, "inc") == {"0_1_1_0"}


def test_a_base_that_is_not_listed_fails_the_upload(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* inc")
    error = bench.fail("upload --diff-from-remote=nosuch inc")
    assert error.endswith(
        "b.getTablesDiffFromRemote return error: nosuch not found on remote storage"
    )


def test_a_broken_base_is_accepted_and_all_parts_are_uploaded(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* full")
    (bench.remote_folder / "full" / "metadata.json").unlink()
    bench.restart_forgetting_remote()
    bench.succeed("create --tables=app.* inc", "upload --diff-from-remote=full inc")
    assert bench.backups("remote")["inc"]["required"] == "full"
    assert remote_parts(bench, "inc") == {"0_1_1_0", "1_2_2_0", "2_3_3_0"}


def test_a_backup_is_no_base_of_itself(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    error = bench.fail("upload --diff-from-remote=b1 b1")
    assert "you cannot upload diff from the same backup" in error


def test_only_one_kind_of_base_can_be_named(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    error = bench.fail("upload --diff-from-remote=a --diff-from=b b1")
    assert "choose setup only `--diff-from-remote` or `--diff-from`, not both" in error


def test_an_upload_is_absent_then_broken_then_listed(bench: Bench) -> None:
    fill_with_noise(bench, "app.t", partitions=2, kilobytes=90)
    bench.succeed("create --tables=app.* b1")
    bench.submit(f"upload {SLOWLY} b1")
    assert bench.backups("remote") == {}
    bench.wait(lambda: "b1" in bench.backups("remote"), "the first object is there")
    row = bench.backups("remote")["b1"]
    assert row["desc"] == "broken (can't stat metadata.json)"
    assert row["size"] == 0
    assert bench.get("/backup/list/remote")[0]["created"] == "0001-01-01 00:00:00"
    assert bench.backups("local")["b1"]["desc"] == "regular"
    assert bench.finished(f"upload {SLOWLY} b1").outcome == "success"
    assert bench.backups("remote")["b1"]["desc"] == "tar, regular"


def test_uploading_onto_an_existing_name_keeps_the_old_content(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* b1")
    first = bench.backups("remote")["b1"]["data_size"]
    add(bench, "app.t", rows=5000)
    bench.succeed("create_remote --tables=app.* b1")
    bench.restart_forgetting_remote()
    assert bench.backups("remote")["b1"]["data_size"] > first
    assert bench.tables_of("b1", "remote")["app.t"]["parts"] == 1


def test_a_second_upload_of_a_name_is_no_error(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1", "upload b1", "upload b1")


def test_broken_remote_backups_can_be_cleaned(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "create_remote --tables=app.* b2")
    (bench.remote_folder / "b1" / "metadata.json").unlink()
    bench.restart_forgetting_remote()
    bench.submit("clean_remote_broken")
    assert set(bench.backups("remote")) == {"b2"}


def test_a_damaged_metadata_file_is_told_apart(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1")
    (bench.remote_folder / "b1" / "metadata.json").write_text("{")
    bench.restart_forgetting_remote()
    assert bench.backups("remote")["b1"]["desc"] == "broken (bad metadata.json)"


def test_an_increment_can_be_made_whole(bench: Bench) -> None:
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc", "rebase inc")
    assert bench.backups("remote")["inc"]["required"] == ""
    assert remote_parts(bench, "inc") == {"0_1_1_0", "0_2_2_0"}
    assert "nothing to rebase" in bench.fail("rebase full")
