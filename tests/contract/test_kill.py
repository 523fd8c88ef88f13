"""`kill`: what it stops, what it does not, and how a command is named to it."""

import contextlib
import shlex

import pytest

from deployments.sandbox.client import QueryFailed
from tasks.clickhouse import commands
from tasks.clickhouse.commands import Token
from tasks.domain.actions import Action, ActionStatus
from tests.contract.bench import Bench, Refused, fill, fill_with_noise

UPLOAD = "upload --env=UPLOAD_MAX_BYTES_PER_SECOND=30000 b1"
DOWNLOAD = "download --env=DOWNLOAD_MAX_BYTES_PER_SECOND=30000 b1"
CANCELLED = "cancel: canceled from API /backup/actions"


@pytest.fixture
def created(bench: Bench) -> Bench:
    fill_with_noise(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    return bench


def test_a_killed_upload_stops_and_frees_the_lock(created: Bench) -> None:
    created.submit(UPLOAD)
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.submit(f"kill {shlex.quote(UPLOAD)}")
    assert created.last(UPLOAD).outcome == CANCELLED
    assert created.rows()[-1].outcome == "success"
    assert created.backups("local")["b1"]["desc"] == "regular"
    assert created.backups("remote")["b1"]["desc"].startswith("broken")
    created.succeed("delete remote b1")


def test_a_killed_upload_can_be_continued(created: Bench) -> None:
    created.submit(UPLOAD)
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.submit(f"kill {shlex.quote(UPLOAD)}")
    created.succeed("upload b1")
    assert created.backups("remote")["b1"]["desc"] == "tar, regular"
    rows = created.checksum("app.t")
    created.succeed("delete local b1", "restore_remote b1")
    assert created.checksum("app.t") == rows


def test_a_killed_download_leaves_a_broken_local_backup(created: Bench) -> None:
    created.succeed("upload b1", "delete local b1")
    created.submit(DOWNLOAD)
    created.wait(lambda: "b1" in created.backups("local"), "the local folder is there")
    created.submit(f"kill {shlex.quote(DOWNLOAD)}")
    assert created.last(DOWNLOAD).outcome == CANCELLED
    assert created.backups("local")["b1"]["desc"] == "broken metadata.json not found"
    created.succeed("download b1")


def test_what_was_killed_is_over_and_can_be_deleted_at_once(created: Bench) -> None:
    """A kill answers when the work has ended: nothing that is deleted after it comes back."""
    created.submit(UPLOAD)
    created.wait(lambda: "b1" in created.backups("remote"), "the first object is there")
    created.submit(f"kill {shlex.quote(UPLOAD)}")
    created.succeed("delete local b1", "delete remote b1")
    kept = {path for path in created.remote_folder.rglob("*") if path.is_file()}
    created.succeed("create --tables=app.* b2", "delete local b2")
    assert {path for path in created.remote_folder.rglob("*") if path.is_file()} == kept
    assert created.backups("remote") == {}


def test_a_killed_create_leaves_its_name_free(bench: Bench) -> None:
    fill(bench, "app.t", partitions=60, rows=600)
    command = "create --tables=app.* b1"
    bench.submit(command)
    with contextlib.suppress(Refused):  # it may just have ended
        bench.submit(f"kill {shlex.quote(command)}")
    assert not bench.last(command).running
    if "b1" in bench.backups("local"):
        bench.succeed("delete local b1")
    bench.succeed(command)
    assert bench.backups("local")["b1"]["desc"] == "regular"


def test_a_command_of_this_product_is_killed_as_it_names_it(created: Bench) -> None:
    token = Token(operation_id="op-1", attempt="1")
    command = commands.upload("b1", token, tables=("app.*",), limit=30_000)
    created.submit(command.text)
    row = created.last(command.text)
    killing = commands.kill(Action(command=row["command"], status=ActionStatus(row["status"])))
    created.submit(killing.text)
    assert created.last(command.text).outcome == CANCELLED
    assert created.last(killing.text).outcome == "success"


def test_a_killed_create_remote_keeps_its_local_copy(bench: Bench) -> None:
    fill_with_noise(bench, "app.t")
    command = "create_remote --env=UPLOAD_MAX_BYTES_PER_SECOND=30000 --tables=app.* b1"
    bench.submit(command)
    bench.wait(lambda: "b1" in bench.backups("remote"), "the first object is there")
    bench.submit(f"kill {shlex.quote(command)}")
    assert bench.last(command).outcome == CANCELLED
    assert bench.backups("local")["b1"]["desc"] == "regular"


def test_a_command_that_is_not_running_cannot_be_killed(created: Bench) -> None:
    with pytest.raises(Refused) as refused:
        created.submit("kill 'create --tables=app.* b1'")
    error = "command `create --tables=app.* b1` not found"
    assert refused.value.status == 500
    assert refused.value.body["error"] == error
    assert created.rows()[-1].outcome == f"error: {error}"


def test_a_killed_command_is_named_as_its_row_names_it(created: Bench) -> None:
    given = "upload --env=UPLOAD_MAX_BYTES_PER_SECOND=30000 --env=A_SECRET=x b1"
    row = given.replace("=x", "=[MASKED]")
    created.submit(given)
    with pytest.raises(Refused) as refused:
        created.submit(f"kill {shlex.quote(given)}")
    assert "not found" in refused.value.body["error"]
    created.submit(f"kill {shlex.quote(row)}")
    assert created.last(row).outcome == CANCELLED


def test_a_command_with_quotes_is_killed_by_its_quoted_text(created: Bench) -> None:
    command = 'upload --env=UPLOAD_MAX_BYTES_PER_SECOND=30000 --tables="app.*" b1'
    created.submit(command)
    created.submit(f"kill {shlex.quote(command)}")
    assert created.last(command).outcome == CANCELLED


def test_kill_is_not_refused_while_a_command_runs_and_needs_no_argument(created: Bench) -> None:
    created.submit(UPLOAD)
    created.submit("kill")
    assert created.last(UPLOAD).outcome == CANCELLED


def test_kill_with_nothing_to_kill_waits_for_itself_and_blocks_nobody(created: Bench) -> None:
    with pytest.raises(QueryFailed):
        created.sql(
            "INSERT INTO system.backup_actions (command) VALUES ('kill')",
            {"http_receive_timeout": "1"},
        )
    assert created.last("kill").outcome == CANCELLED
    created.succeed("create --tables=app.* b2")


def test_a_restore_of_data_runs_on_when_it_is_killed(bench: Bench) -> None:
    fill(bench, "app.t", partitions=60, rows=600)
    bench.succeed("create --tables=app.* b1", "restore --schema b1")
    bench.submit("restore --data b1")
    bench.wait(lambda: bench.count("app.t") > 0, "the first part is attached")
    try:
        bench.submit("kill 'restore --data b1'")
    except Refused as refused:
        assert "not found" in str(refused)  # noqa: PT017 - it may just have ended
    assert bench.count("app.t") == 600


def test_a_command_that_waits_for_its_server_stays_in_progress(created: Bench) -> None:
    command = "create --env=CLICKHOUSE_HOST=127.0.0.9 --tables=app.* b2"
    created.submit(command)
    with pytest.raises(QueryFailed):
        created.sql(
            f"INSERT INTO system.backup_actions (command) VALUES ('kill ''{command}''')",
            {"http_receive_timeout": "2"},
        )
    assert created.last(command).outcome == CANCELLED
    created.kill()


def test_a_watch_makes_a_backup_at_once_and_holds_the_lock_until_it_is_killed(
    bench: Bench,
) -> None:
    fill(bench, "app.t")
    row = 'watch --watch-interval="1h" --full-interval="24h" --tables="app.*"'
    bench.submit("watch --watch-interval=1h --full-interval=24h --tables=app.* --unknown")
    bench.wait(lambda: len(bench.backups("remote")) == 1, "the first backup is there")
    (name,) = bench.backups("remote")
    assert name.startswith("shard0-full-20")
    bench.finished(f"create_remote {name}")
    with pytest.raises(Refused) as refused:
        bench.submit("create --tables=app.* b1")
    assert refused.value.body["error"] == "another operation is currently running"
    bench.submit(f"kill {shlex.quote(row)}")
    assert bench.last(row).outcome == CANCELLED
    assert bench.last(f"create_remote {name}")["operation_id"]
    assert bench.backups("local") == {}
