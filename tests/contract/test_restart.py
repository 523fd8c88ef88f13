"""What the death and the restart of a sidecar leave, and what comes back by itself."""

import signal

import pytest

from deployments.sandbox.client import QueryFailed
from tests.contract.bench import Bench, Refused, fill, fill_with_noise

SLOWLY = "--env=UPLOAD_MAX_BYTES_PER_SECOND=30000"


@pytest.fixture
def created(bench: Bench) -> Bench:
    fill_with_noise(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    return bench


def test_the_history_does_not_outlive_the_process(created: Bench) -> None:
    created.restart()
    assert created.rows(of="create") == []
    assert set(created.backups("local")) == {"b1"}


def test_a_dead_sidecar_refuses_connections(created: Bench) -> None:
    created.kill()
    with pytest.raises(Refused, match="Connection refused") as refused:
        created.submit("create --tables=app.* b2")
    assert refused.value.code == 1000
    with pytest.raises(QueryFailed, match="Connection refused"):
        created.rows()


def test_the_tables_are_made_anew_at_every_start(created: Bench) -> None:
    created.sql("DROP TABLE system.backup_actions")
    created.sql("DROP TABLE system.backup_version")
    created.restart()
    columns = created.select(
        "SELECT table, groupArray(name || ' ' || type) AS columns FROM system.columns"
        " WHERE database = 'system' AND table LIKE 'backup\\_%' GROUP BY table ORDER BY table"
    )
    assert columns == [
        {
            "table": "backup_actions",
            "columns": [
                "command String",
                "start DateTime",
                "finish DateTime",
                "status String",
                "error String",
                "operation_id String",
            ],
        },
        {
            "table": "backup_list",
            "columns": [
                "name String",
                "created DateTime",
                "size UInt64",
                "data_size UInt64",
                "object_disk_size UInt64",
                "metadata_size UInt64",
                "rbac_size UInt64",
                "config_size UInt64",
                "named_collection_size UInt64",
                "compressed_size UInt64",
                "location String",
                "required String",
                "desc String",
            ],
        },
        {"table": "backup_version", "columns": ["version String"]},
    ]


def test_a_password_of_the_api_stands_in_the_tables(bench: Bench) -> None:
    with bench.sidecar_with(API_USERNAME="u", API_PASSWORD="p w"):
        assert "/backup/actions?pass=p+w&user=u" in bench.sql(
            "SHOW CREATE TABLE system.backup_actions"
        )
        assert bench.rows() == []
        with pytest.raises(QueryFailed, match="HTTP status code: 401"):
            bench.get("/backup/version")


def test_an_interrupted_upload_is_resumed_under_another_text(created: Bench) -> None:
    created.submit(f"upload {SLOWLY} --env=CHOPS_OP=1 --tables=app.* b1")
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.restart()
    resumed = "upload --tables=app.* --resumable=1 b1"
    created.wait(lambda: bool(created.rows(of=resumed)), "the upload is resumed")
    assert created.finished(resumed).outcome == "success"
    assert created.rows(of="CHOPS_OP") == []
    assert created.backups("remote")["b1"]["desc"] == "tar, regular"
    rows = created.checksum("app.t")
    created.succeed("delete local b1", "restore_remote b1")
    assert created.checksum("app.t") == rows


def test_an_interrupted_increment_keeps_its_base_when_it_is_resumed(created: Bench) -> None:
    created.succeed("upload b1")
    created.sql("INSERT INTO app.t SELECT number, randomString(1024) FROM numbers(60)")
    created.succeed("create --tables=app.* b2")
    created.submit(f"upload {SLOWLY} --diff-from-remote=b1 b2")
    created.wait(lambda: "b2" in created.backups("remote"), "the first object is there")
    created.restart()
    created.wait_until_resumed("upload --diff-from-remote=b1 --resumable=1 b2")
    assert created.backups("remote")["b2"]["required"] == "b1"


def test_a_finished_upload_comes_back_as_a_row_once(created: Bench) -> None:
    created.succeed("upload b1")
    created.restart()
    created.wait_until_resumed("upload --resumable=1 b1")
    created.restart()
    assert created.rows() == []


def test_a_deleted_remote_backup_comes_back_while_its_local_copy_is_there(
    created: Bench,
) -> None:
    created.succeed("upload b1", "delete remote b1")
    created.restart()
    created.wait_until_resumed("upload --resumable=1 b1")
    assert created.backups("remote")["b1"]["desc"] == "tar, regular"


def test_a_download_is_resumed_without_its_filters(bench: Bench) -> None:
    fill(bench, "app.t1")
    fill(bench, "app.t2")
    bench.succeed("create_remote --tables=app.* --delete-source b1")
    bench.succeed("download --tables=app.t1 b1")
    bench.restart()
    bench.wait_until_resumed("download --resumable=1 b1")
    assert set(bench.tables_of("b1")) == {"app.t1", "app.t2"}


def test_nothing_is_resumed_where_it_is_switched_off(created: Bench) -> None:
    created.succeed("upload b1", "delete remote b1")
    usual = created.local_folder / "b1" / "upload.state2"
    assert usual.exists()
    with created.sidecar_with(
        API_COMPLETE_RESUMABLE_AFTER_RESTART="false", COMPLETE_RESUMABLE_AFTER_RESTART="false"
    ):
        created.succeed("upload b1", "delete remote b1")
        created.restart()
        assert created.rows() == []
        assert created.backups("remote") == {}


def test_a_polite_end_is_resumed_as_well(created: Bench) -> None:
    created.submit(f"upload {SLOWLY} b1")
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.sidecar.stop()
    created.sidecar.start()
    created.wait_until_resumed("upload --resumable=1 b1")
    assert created.backups("remote")["b1"]["desc"] == "tar, regular"


def test_a_broken_download_cannot_be_repaired_without_its_state(created: Bench) -> None:
    created.succeed("upload b1", "delete local b1")
    created.submit("download --env=DOWNLOAD_MAX_BYTES_PER_SECOND=30000 b1")
    created.wait(lambda: "b1" in created.backups("local"), "the local folder is there")
    created.restart_forgetting_remote()
    assert created.backups("local")["b1"]["desc"] == "broken metadata.json not found"
    assert "backup is already exists" in created.fail("download b1")
    created.succeed("delete local b1", "download b1")


def test_a_reload_rewrites_every_row_to_cancelled(created: Bench) -> None:
    assert "can't find" in created.fail("upload nosuch")
    created.signal(signal.SIGHUP)
    created.wait(
        lambda: {row["status"] for row in _rows_of(created)} == {"cancel"}, "rows are rewritten"
    )
    assert {row["error"] for row in created.rows()} == {"canceled via API /restart"}


def _rows_of(bench: Bench) -> list[dict[str, str]]:
    """Rows, or none while the tables are made anew."""
    try:
        return [*bench.rows()]
    except QueryFailed:
        return []


def test_a_command_survives_the_death_of_its_server_while_it_uploads(created: Bench) -> None:
    command = "upload --env=UPLOAD_MAX_BYTES_PER_SECOND=60000 b1"
    created.submit(command)
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.node.kill()
    created.node.start()
    assert created.finished(command).outcome == "success"


def test_times_are_told_in_the_zone_of_the_sidecar(bench: Bench) -> None:
    fill(bench, "app.t")
    with bench.sidecar_with(TZ="Asia/Tokyo"):
        bench.succeed("create --tables=app.* b1")
        ahead = bench.sql(
            "SELECT dateDiff('minute', now(), start) FROM system.backup_actions LIMIT 1"
        )
        assert 530 < int(ahead) <= 540
        assert (
            530
            < int(
                bench.sql(
                    "SELECT dateDiff('minute', now(), created) FROM system.backup_list LIMIT 1"
                )
            )
            <= 540
        )
