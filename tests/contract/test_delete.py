"""`delete`, what a chain forbids, and the sidecar's own retention."""

import pytest

from tests.contract.bench import Bench, Refused, add, fill

KEEP_ALL = "--env=BACKUPS_TO_KEEP_REMOTE=0 --env=BACKUPS_TO_KEEP_LOCAL=0"


@pytest.fixture
def chained(bench: Bench) -> Bench:
    """`full` and the increment `inc`, local and remote."""
    fill(bench, "app.t", partitions=1)
    bench.succeed("create_remote --tables=app.* full")
    add(bench, "app.t")
    bench.succeed("create_remote --tables=app.* --diff-from-remote=full inc")
    return bench


def test_a_local_delete_leaves_the_remote_backup_and_the_other_way_round(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "delete local b1")
    assert bench.backups("local") == {}
    assert set(bench.backups("remote")) == {"b1"}
    bench.succeed("create --tables=app.* b2", "delete remote b1")
    assert set(bench.backups("local")) == {"b2"}
    assert bench.backups("remote") == {}


@pytest.mark.parametrize("location", ["local", "remote"])
def test_what_is_not_there_cannot_be_deleted(bench: Bench, location: str) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    with pytest.raises(Refused) as refused:
        bench.submit(f"delete {location} nosuch")
    assert refused.value.body["error"] == f"'nosuch' is not found on {location} storage"


def test_a_required_remote_backup_is_not_deleted(chained: Bench) -> None:
    with pytest.raises(Refused) as refused:
        chained.submit("delete remote full")
    assert refused.value.status == 500
    assert refused.value.body == {
        "status": "error",
        "operation": "delete remote full",
        "error": "'full' is required by remote backup(s) inc, deleting it breaks the incremental"
        " backups chain, delete the dependent backup(s) first, run `rebase` for them,"
        " set `general.rebase_during_delete: true` or use `--force`",
    }
    assert set(chained.backups("remote")) == {"full", "inc"}


def test_a_required_local_backup_is_not_deleted(chained: Bench) -> None:
    with pytest.raises(Refused) as refused:
        chained.submit("delete local full")
    assert refused.value.body["error"] == (
        "'full' is required by local backup(s) inc, deleting it breaks the incremental backups"
        " chain, delete the dependent backup(s) first or use `--force`"
    )


def test_children_first_a_chain_can_be_deleted(chained: Bench) -> None:
    chained.succeed("delete remote inc", "delete remote full")
    chained.succeed("delete local inc", "delete local full")
    assert chained.select("SELECT * FROM system.backup_list") == []


def test_force_before_the_location_deletes_a_required_backup(chained: Bench) -> None:
    chained.succeed("delete --force remote full")
    row = chained.backups("remote")["inc"]
    assert row["required"] == "full"
    assert row["desc"] == "tar, regular"


def test_a_deleted_backup_leaves_nothing_in_the_bucket(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "delete remote b1")
    assert not (bench.remote_folder / "b1").exists()


def test_what_an_interrupted_upload_left_is_deleted_like_a_whole_backup(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "create_remote --tables=app.* b2")
    (bench.remote_folder / "b1" / "metadata.json").unlink()
    bench.restart_forgetting_remote()
    assert bench.backups("remote")["b1"]["desc"].startswith("broken")
    bench.succeed("delete remote b1")
    assert set(bench.backups("remote")) == {"b2"}
    assert not (bench.remote_folder / "b1").exists()


def test_own_retention_deletes_other_backups_unless_a_command_forbids_it(bench: Bench) -> None:
    fill(bench, "app.t")
    with bench.sidecar_with(BACKUPS_TO_KEEP_REMOTE="1"):
        for name in ("b1", "b2", "b1.manifest"):
            bench.succeed(f"create_remote {KEEP_ALL} --tables=app.* {name}")
        assert set(bench.backups("remote")) == {"b1", "b2", "b1.manifest"}
        bench.succeed("create_remote --tables=app.* b3")
        assert set(bench.backups("remote")) == {"b3"}


def test_own_retention_keeps_what_the_newest_requires(chained: Bench) -> None:
    with chained.sidecar_with(BACKUPS_TO_KEEP_REMOTE="1"):
        add(chained, "app.t")
        chained.succeed("create_remote --tables=app.* --diff-from-remote=inc inc2")
        assert set(chained.backups("remote")) == {"full", "inc", "inc2"}


def test_own_retention_leaves_broken_backups(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "create_remote --tables=app.* b2")
    (bench.remote_folder / "b1" / "metadata.json").unlink()
    bench.restart_forgetting_remote()
    bench.succeed("create_remote --env=BACKUPS_TO_KEEP_REMOTE=1 --tables=app.* b3")
    assert set(bench.backups("remote")) == {"b1", "b3"}


def test_own_local_retention_looks_at_no_chain(chained: Bench) -> None:
    chained.succeed("create --env=BACKUPS_TO_KEEP_LOCAL=2 --tables=app.* b3")
    assert set(chained.backups("local")) == {"inc", "b3"}


def test_a_negative_local_retention_leaves_nothing_after_an_upload(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    bench.succeed("create_remote --env=BACKUPS_TO_KEEP_LOCAL=-1 --tables=app.* b2")
    assert bench.backups("local") == {}
    assert set(bench.backups("remote")) == {"b2"}
