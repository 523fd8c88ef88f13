"""What a command leaves in `system.backup_actions`, and what an INSERT answers."""

import pytest

from deployments.sandbox.client import QueryFailed
from tests.contract.bench import Bench, Refused, fill, fill_with_noise

SLOW = "--env=UPLOAD_MAX_BYTES_PER_SECOND=60000"


def test_an_asynchronous_command_is_acknowledged_before_it_has_ended(bench: Bench) -> None:
    fill_with_noise(bench, "app.t")
    bench.submit(f"create_remote {SLOW} --tables=app.* slow")
    row = bench.last(f"create_remote {SLOW} --tables=app.* slow")
    assert row.running
    assert row["finish"] == 0
    assert bench.finished(row["command"])["finish"] >= row["start"] > 0


def test_rows_come_oldest_first_and_carry_no_operation_id(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1", "create --tables=app.* b2")
    rows = bench.rows()[-2:]
    assert [row["command"].split()[-1] for row in rows] == ["b1", "b2"]
    assert [row["operation_id"] for row in rows] == ["", ""]


def test_the_same_command_twice_is_two_rows(bench: Bench) -> None:
    fill(bench, "app.t")
    before = len(bench.rows(of="create --tables=app.* b1"))
    bench.succeed("create --tables=app.* b1", "create --tables=app.* b1")
    assert len(bench.rows(of="create --tables=app.* b1")) == before + 2


def test_a_token_in_an_override_is_kept_verbatim(bench: Bench) -> None:
    fill(bench, "app.t")
    command = "create --env=CHOPS_OP=3f1c-Ä --tables=app.* b1"
    bench.succeed(command)
    assert bench.rows()[-1]["command"] == command


def test_a_secret_in_an_override_is_masked_in_the_row(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.submit("create --env=MY_PASSWORD=abc --tables=app.* b1")
    masked = "create --env=MY_PASSWORD=[MASKED] --tables=app.* b1"
    assert bench.finished(masked).outcome == "success"


def test_an_insert_that_selects_no_row_starts_nothing(bench: Bench) -> None:
    fill(bench, "app.t")
    before = len(bench.rows())
    bench.sql(
        "INSERT INTO system.backup_actions (command) SELECT 'create --tables=app.* late'"
        " WHERE toUInt32(now()) < 1"
    )
    assert len(bench.rows()) == before
    assert "late" not in bench.backups("local")


def test_a_second_command_is_refused_with_500_while_one_runs(bench: Bench) -> None:
    fill_with_noise(bench, "app.t")
    bench.submit(f"create_remote {SLOW} --tables=app.* slow")
    rows = len(bench.rows())
    for command in ("create --tables=app.* b2", "delete local slow", "clean", "list remote"):
        with pytest.raises(Refused) as refused:
            bench.submit(command)
        assert refused.value.status == 500
        assert refused.value.body == {
            "status": "error",
            "operation": command,
            "error": "another operation is currently running",
        }
    assert len(bench.rows()) == rows


def test_of_two_commands_in_one_insert_the_first_runs_and_the_second_is_refused(
    bench: Bench,
) -> None:
    fill(bench, "app.t")
    with pytest.raises(Refused) as refused:
        bench.submit("create --tables=app.* b1", "create --tables=app.* b2")
    assert refused.value.body["operation"] == "create --tables=app.* b2"
    assert bench.finished("create --tables=app.* b1").outcome == "success"
    assert set(bench.backups("local")) == {"b1"}


def test_an_unknown_word_is_refused_with_400(bench: Bench) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit("explode now")
    assert refused.value.status == 400
    assert refused.value.body == {
        "status": "error",
        "operation": "explode now",
        "error": "unknown command",
    }


@pytest.mark.parametrize("word", ["tables", "server", "print-config", "clean_broken_retention"])
def test_words_of_the_command_line_alone_are_unknown(bench: Bench, word: str) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit(word)
    assert refused.value.body["error"] == "unknown command"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        pytest.param('create "b', "EOF found when expecting closing quote", id="double-quote"),
        pytest.param("create 'b", "EOF found when expecting closing quote", id="single-quote"),
        pytest.param("create b\\", "EOF found after escape character", id="escape"),
    ],
)
def test_an_unfinished_quote_is_refused_with_400(bench: Bench, command: str, error: str) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit(command)
    assert refused.value.status == 400
    assert refused.value.body == {"status": "error", "error": error}


@pytest.mark.parametrize("command", ["", "   ", "# only a comment"])
def test_an_empty_command_drops_the_connection_and_nothing_else(bench: Bench, command: str) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit(command)
    assert refused.value.code == 1000
    assert "No message received" in str(refused.value)
    assert bench.sidecar.alive


def test_a_line_that_is_no_json_is_refused_with_400(bench: Bench) -> None:
    with pytest.raises(QueryFailed) as failed:
        bench.sql(
            f"INSERT INTO FUNCTION url('{bench.address}/backup/actions', 'TSV', 'line String')"
            " VALUES ('nonsense')"
        )
    assert "HTTP status code: 400" in str(failed.value)
    assert '"operation":"nonsense"' in str(failed.value).replace("\\", "")


def test_an_asynchronous_command_tells_its_error_in_the_row_only(bench: Bench) -> None:
    assert "can't find local backup: backup 'nosuch' is not found" in bench.fail("upload nosuch")


def test_a_synchronous_command_tells_its_error_in_the_row_and_to_the_insert(
    bench: Bench,
) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit("delete local nosuch")
    error = "'nosuch' is not found on local storage"
    assert refused.value.status == 500
    assert error in refused.value.body["error"]
    assert bench.rows()[-1]["status"] == "error"
    assert error in bench.rows()[-1]["error"]


def test_a_synchronous_command_has_ended_when_its_insert_returns(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* b1")
    bench.submit("delete local b1")
    assert bench.rows()[-1].outcome == "success"
    assert bench.backups("local") == {}


def test_actions_can_be_filtered_and_limited_by_the_address(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* f1", "create --tables=app.* f2")
    assert "can't find" in bench.fail("upload f3")
    assert [row["command"] for row in bench.get("/backup/actions?filter=upload%20f3")] == [
        "upload f3"
    ]
    newest = bench.get("/backup/actions?filter=--tables=app.*&last=1")
    assert [row["command"] for row in newest] == ["create --tables=app.* f2"]
    assert sorted(newest[0]) == ["command", "finish", "start", "status"]


def test_a_limit_that_is_no_number_is_an_error(bench: Bench) -> None:
    with pytest.raises(QueryFailed, match="HTTP status code: 500"):
        bench.get("/backup/actions?last=many")


def test_status_is_the_newest_row_and_health_is_told(bench: Bench) -> None:
    fill(bench, "app.t")
    bench.succeed("create --tables=app.* s1")
    assert [row["command"] for row in bench.get("/backup/status")] == ["create --tables=app.* s1"]
    assert bench.get("/health") == [{"status": "OK"}]
    assert list(bench.get("/backup/version")[0]) == ["version"]


def test_a_listing_leaves_no_row_when_it_is_told_to_be_skipped(bench: Bench) -> None:
    before = len(bench.rows())
    assert bench.backups("local") == {}
    bench.submit("list all")
    assert len(bench.rows()) == before


def test_a_listing_leaves_a_row_unless_it_is_told_to_be_skipped(bench: Bench) -> None:
    with bench.sidecar_with(API_BACKUP_ACTIONS_SKIP_COMMANDS=""):
        assert bench.backups("local") == {}
        assert [row.outcome for row in bench.rows(of="list")] == ["success"]


def test_clean_is_stored_without_what_follows_it(bench: Bench) -> None:
    bench.submit("clean --everything please")
    assert bench.rows()[-1]["command"] == "clean"
    assert bench.rows()[-1].outcome == "success"
