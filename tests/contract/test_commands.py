"""How the words of a command are read: flags, names, overrides."""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest

from tests.contract.bench import Bench, Refused, fill

PROBE = "download --env=REMOTE_STORAGE=none chops-nosuch"


@pytest.fixture
def filled(bench: Bench) -> Bench:
    fill(bench, "app.t")
    fill(bench, "app.other")
    return bench


def test_an_unknown_flag_before_the_name_fails_the_command(bench: Bench) -> None:
    assert bench.fail("create --nosuchflag b1") == "flag provided but not defined: -nosuchflag"


def test_an_unknown_flag_behind_the_name_is_lost_in_silence(filled: Bench) -> None:
    filled.succeed("create --tables=app.t b1 --nosuchflag")
    assert set(filled.tables_of("b1")) == {"app.t"}


def test_a_flag_without_its_value_fails_the_command(bench: Bench) -> None:
    assert bench.fail("create --tables") == "flag needs an argument: -tables"


def test_a_switch_takes_the_name_along_and_what_follows_is_lost(filled: Bench) -> None:
    filled.succeed("create --schema b1 --tables=app.t")
    assert {"app.t", "app.other"} <= set(filled.tables_of("b1"))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("create --schema --tables=app.t b1", id="name-last"),
        pytest.param("create b1 --tables=app.t --schema", id="name-first"),
        pytest.param("create --tables app.t --schema=true b1", id="value-apart"),
        pytest.param("create -t app.t -s b1", id="short"),
    ],
)
def test_flags_count_before_and_behind_the_name(filled: Bench, command: str) -> None:
    filled.succeed(command)
    assert {name: row["parts"] for name, row in filled.tables_of("b1").items()} == {"app.t": 0}


def test_a_second_name_is_ignored(filled: Bench) -> None:
    filled.succeed("create --tables=app.t b1 b2")
    assert set(filled.backups("local")) == {"b1"}


def test_a_switch_with_a_bad_value_fails_the_command(bench: Bench) -> None:
    error = bench.fail("create --schema=maybe b1")
    assert error.startswith('invalid boolean value "maybe" for -schema')


@pytest.mark.parametrize("word", ["create", "upload", "download", "restore", "create_remote"])
def test_help_does_nothing_and_succeeds(filled: Bench, word: str) -> None:
    filled.succeed(f"{word} --help b1")
    assert filled.backups("local") == {}


@pytest.mark.parametrize("word", ["create", "upload", "download", "restore"])
def test_a_command_without_a_name_fails(filled: Bench, word: str) -> None:
    assert "backupName is required" in filled.fail(word)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param('"weird..name x"', "weirdnamex", id="blanks-and-dots"),
        pytest.param("with.dot-and_more", "with.dot-and_more", id="harmless"),
    ],
)
def test_odd_characters_vanish_from_a_name(filled: Bench, given: str, stored: str) -> None:
    filled.succeed(f"create --tables=app.t {given}")
    assert set(filled.backups("local")) == {stored}


def test_a_slash_in_a_name_fails_the_command(filled: Bench) -> None:
    error = filled.fail("create --tables=app.t a/b")
    assert "no such file or directory" in error.lower()


def test_a_sidecar_that_obeys_overrides_says_so(bench: Bench) -> None:
    assert "shall not be" in bench.fail(PROBE)
    assert "none" in bench.fail(PROBE)


def test_a_sidecar_that_ignores_overrides_says_so(filled: Bench) -> None:
    config = filled.home / "config.yml"
    config.write_text(json.dumps(_everything_in_a_file(filled.sidecar.program.environment)))
    ignoring = {"CLICKHOUSE_BACKUP_CONFIG": str(config), "DOUBLE_IGNORE_OVERRIDES": "true"}
    with filled.sidecar_with(**ignoring):
        assert "'chops-nosuch' is not found on remote storage" in filled.fail(PROBE)
        assert filled.rows()[-1]["command"] == PROBE


def _everything_in_a_file(given: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Write the real one's configuration: this switch makes it ignore its environment, too."""

    def section(prefix: str, *names: str) -> dict[str, object]:
        found = {name: given.get(f"{prefix}{name.upper()}", "") for name in names}
        return {name: value for name, value in found.items() if value}

    switches = {"force_path_style": True, "disable_ssl": True}
    keys = ("bucket", "endpoint", "access_key", "secret_key", "region", "path")
    return {
        "general": {"remote_storage": "s3", "disable_environment_override": True},
        "clickhouse": section("CLICKHOUSE_", "host", "username", "password")
        | {"port": int(given.get("CLICKHOUSE_PORT", "0"))},
        "s3": section("S3_", *keys) | switches,
        "api": {"listen": given["API_LISTEN"], "create_integration_tables": True},
    }


def test_an_override_lasts_for_its_command_only(filled: Bench) -> None:
    assert "shall not be" in filled.fail("upload --env=REMOTE_STORAGE=none b1")
    filled.succeed("create --tables=app.t b1", "upload b1")


@pytest.mark.parametrize(
    "override", ["CHOPS_OP", "NOEQUALS", "LOG_LEVEL=zzz", "RESTORE_SCHEMA_ON_CLUSTER="]
)
def test_unknown_and_empty_overrides_are_harmless(filled: Bench, override: str) -> None:
    filled.succeed(f"create --env={override} --tables=app.t b1")


def test_a_name_that_a_living_process_works_on_is_refused_in_the_row(filled: Bench) -> None:
    pid = filled.node.pid
    taken = filled.home / "tmp" / "clickhouse-backup.b1.pid"
    taken.write_text(f"{pid}|upload|2026-01-01T00:00:00Z")
    error = filled.fail("create --tables=app.t b1")
    taken.unlink()
    assert error.startswith(
        "another clickhouse-backup `upload` command is already running 2026-01-01T00:00:00Z"
        f" (pid={pid}, pidPath={taken}, cmdLine="
    )


def test_a_pid_file_of_a_dead_process_is_no_obstacle(filled: Bench) -> None:
    taken = filled.home / "tmp" / "clickhouse-backup.b1.pid"
    taken.write_text("4194303|upload|2026-01-01T00:00:00Z")
    filled.succeed("create --tables=app.t b1")
    assert not taken.exists()


@pytest.mark.parametrize(
    "command",
    [
        "delete",
        "delete local",
        "delete remote",
        "delete nonsense x",
        "delete local --force x",
        "delete remote --force x",
    ],
)
def test_a_malformed_delete_ends_the_process_before_it_answers(bench: Bench, command: str) -> None:
    with pytest.raises(Refused) as refused:
        bench.submit(command)
    assert refused.value.code == 1000
    bench.wait(lambda: not bench.sidecar.alive, "the sidecar is gone")


@pytest.mark.parametrize(
    "command",
    [
        "rebase",
        "rebalance",
        "create --env=S3_COMPRESSION_FORMAT=zzz b1",
        "create --env=CLICKHOUSE_TIMEOUT=abc b1",
        "create --env=UPLOAD_CONCURRENCY=abc b1",
        "create --env=BACKUPS_TO_KEEP_REMOTE=some b1",
        "create --env=BACKUPS_TO_KEEP_REMOTE= b1",
        "create --env=ALLOW_EMPTY_BACKUPS=maybe b1",
        "create --env=REMOTE_STORAGE=tape b1",
    ],
)
def test_bad_settings_end_the_process(bench: Bench, command: str) -> None:
    with suppress(Refused):  # the answer may be on its way when the process ends
        bench.submit(command)
    bench.wait(lambda: not bench.sidecar.alive, "the sidecar is gone")
