"""Commands: one shape for all, every table named, nothing hostile in them."""

import re
import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clickhouse import commands
from tasks.clickhouse.commands import Command, CreateFlags, Token
from tasks.domain.actions import Action, ActionStatus
from tasks.domain.errors import InvalidRequest
from tests.builders import BACKUP, OPERATION
from tests.unit.tasks.domain.hostile import ODD_NAMES, UNSPEAKABLE

TOKEN = Token(OPERATION, "abcd1234")
TABLES = ("shop.orders", "crm.*")
NO_FLAGS = CreateFlags()


def make_create(
    name: str = BACKUP,
    *,
    token: Token = TOKEN,
    tables: tuple[str, ...] = TABLES,
    flags: CreateFlags = NO_FLAGS,
) -> Command:
    return commands.create(name, token, tables=tables, flags=flags)


EVERY = [
    pytest.param(make_create(), id="create"),
    pytest.param(commands.upload(BACKUP, TOKEN, tables=TABLES, limit=None), id="upload"),
    pytest.param(
        commands.download(BACKUP, TOKEN, tables=TABLES, schema_only=False, limit=None),
        id="download",
    ),
    pytest.param(commands.restore_schema(BACKUP, TOKEN, tables=TABLES), id="restore-schema"),
    pytest.param(commands.restore_data(BACKUP, TOKEN, tables=TABLES), id="restore-data"),
]
every_command = pytest.mark.parametrize("command", EVERY)


@every_command
def test_the_name_stands_last_and_every_flag_has_its_value_attached(command: Command) -> None:
    verb, *flags, name = command.text.split(" ")
    assert (verb, name) == (command.verb, BACKUP)
    assert all(re.fullmatch(r"--[a-z-]+(=[^ ]*)?", flag) for flag in flags)


@every_command
def test_a_command_names_its_tables(command: Command) -> None:
    assert "--tables=shop.orders,crm.*" in command.text.split(" ")


@every_command
def test_a_sidecars_own_retention_is_switched_off(command: Command) -> None:
    """Weak point 3: two retentions pruned with different views."""
    words = command.text.split(" ")
    assert "--env=BACKUPS_TO_KEEP_REMOTE=0" in words
    assert "--env=BACKUPS_TO_KEEP_LOCAL=0" in words


@every_command
def test_no_schema_is_restored_on_the_whole_cluster_from_one_node(command: Command) -> None:
    """Weak point 5: ON CLUSTER was issued once per shard."""
    assert "--env=RESTORE_SCHEMA_ON_CLUSTER=" in command.text.split(" ")


@every_command
def test_an_empty_backup_is_a_failure(command: Command) -> None:
    assert "--env=ALLOW_EMPTY_BACKUPS=false" in command.text.split(" ")


@every_command
def test_no_part_is_left_out_because_it_cannot_be_read(command: Command) -> None:
    assert "--env=MAX_BROKEN_PART_RATIO=0" in command.text.split(" ")


def test_rows_are_attached_part_by_part_so_that_no_live_replica_is_dropped_for_them() -> None:
    command = commands.restore_data(
        BACKUP, TOKEN, tables=TABLES, database_mapping={"shop": "b", "crm": "a"}
    )
    words = command.text.split(" ")
    assert "--env=CLICKHOUSE_RESTORE_AS_ATTACH=false" in words
    assert "--restore-database-mapping=crm:a,shop:b" in words


@every_command
def test_a_command_is_recognised_by_its_operation(command: Command) -> None:
    action = Action(command=command.text, status=ActionStatus.SUCCESS)
    assert action.belongs_to(OPERATION)
    assert (action.verb, action.name) == (command.verb, command.name)


@every_command
def test_nothing_is_removed_that_was_not_asked_for(command: Command) -> None:
    """Weak point 5: `--rm` drops whole databases."""
    assert not {"--rm", "--drop", "--delete-source"} & set(command.text.split(" "))


@every_command
def test_a_shell_splitter_reads_a_command_as_blanks_do(command: Command) -> None:
    assert shlex.split(command.text) == command.text.split(" ")


def test_two_attempts_are_told_apart() -> None:
    assert make_create().text != make_create(token=Token(OPERATION, "other")).text


@pytest.mark.parametrize("name", [*UNSPEAKABLE, *ODD_NAMES[:5]])
def test_a_hostile_name_is_refused(name: str) -> None:
    """Weak point 21: values were pasted into shell and SQL."""
    with pytest.raises(InvalidRequest, match="cannot be the name of a backup"):
        make_create(name)
    with pytest.raises(InvalidRequest, match="cannot be the name of a backup"):
        commands.delete("local", name)


@pytest.mark.parametrize("hostile", UNSPEAKABLE[1:])
@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda value: make_create(tables=(f"shop.{value}",)), id="table"),
        pytest.param(
            lambda value: make_create(flags=CreateFlags(partitions=(value,))), id="partition"
        ),
        pytest.param(lambda value: make_create(token=Token(value, "1")), id="operation"),
        pytest.param(
            lambda value: commands.restore_data(
                BACKUP, TOKEN, tables=TABLES, database_mapping={"shop": value}
            ),
            id="mapping",
        ),
    ],
)
def test_a_hostile_value_is_refused(build: Callable[[str], Command], hostile: str) -> None:
    """Weak point 21: values were pasted into shell and SQL."""
    with pytest.raises(InvalidRequest, match="cannot stand in a sidecar's command"):
        build(hostile)


def test_a_tuple_that_would_hang_a_sidecar_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        make_create(flags=CreateFlags(partitions=("('2026-02-01')",)))


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: make_create(tables=()), id="create"),
        pytest.param(lambda: commands.upload(BACKUP, TOKEN, tables=(), limit=None), id="upload"),
        pytest.param(
            lambda: commands.download(BACKUP, TOKEN, tables=(), schema_only=True, limit=None),
            id="download",
        ),
        pytest.param(lambda: commands.restore_schema(BACKUP, TOKEN, tables=()), id="schema"),
        pytest.param(lambda: commands.restore_data(BACKUP, TOKEN, tables=()), id="data"),
    ],
)
def test_a_command_for_no_table_is_never_a_command_for_all(build: Callable[[], Command]) -> None:
    with pytest.raises(InvalidRequest, match="names its tables"):
        build()


def test_a_create_keeps_what_was_asked_for_besides_rows() -> None:
    flags = CreateFlags(
        partitions=("202601", "shop.orders:all"), rbac=True, configs=True, named_collections=True
    )
    words = make_create(flags=flags).text.split(" ")
    assert words[-6:-1] == [
        "--partitions=202601",
        "--partitions=shop.orders:all",
        "--rbac",
        "--configs",
        "--named-collections",
    ]


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(commands.download, id="download"),
        pytest.param(commands.restore_data, id="data"),
    ],
)
def test_partitions_of_each_table_stand_in_a_flag_of_their_own(
    build: Callable[..., Command],
) -> None:
    partitions = ("shop.orders:1,2", "shop.names:3")
    words = build(BACKUP, TOKEN, tables=TABLES, partitions=partitions).text.split(" ")
    assert [w for w in words if "partitions" in w] == [f"--partitions={p}" for p in partitions]


def test_definitions_alone_are_asked_for_by_a_flag() -> None:
    assert make_create(flags=CreateFlags(schema_only=True)).text.endswith(f"--schema {BACKUP}")


def test_a_schema_restore_attaches_no_rows_and_a_data_restore_drops_no_table() -> None:
    schema = commands.restore_schema(BACKUP, TOKEN, tables=TABLES).text.split(" ")
    data = commands.restore_data(BACKUP, TOKEN, tables=TABLES).text.split(" ")
    assert ("--schema" in schema, "--data" in schema) == (True, False)
    assert ("--schema" in data, "--data" in data) == (False, True)


def test_a_mapping_is_written_as_source_and_target() -> None:
    command = commands.restore_data(
        BACKUP, TOKEN, tables=TABLES, database_mapping={"chops": "chops_0123abcd"}
    )
    assert "--restore-database-mapping=chops:chops_0123abcd" in command.text.split(" ")


@pytest.mark.parametrize(
    ("command", "override"),
    [
        (
            commands.upload(BACKUP, TOKEN, tables=TABLES, limit=1024),
            "--env=UPLOAD_MAX_BYTES_PER_SECOND=1024",
        ),
        (
            commands.download(BACKUP, TOKEN, tables=TABLES, schema_only=False, limit=1024),
            "--env=DOWNLOAD_MAX_BYTES_PER_SECOND=1024",
        ),
    ],
    ids=["upload", "download"],
)
def test_a_bandwidth_limit_is_an_override(command: Command, override: str) -> None:
    assert override in command.text.split(" ")


def test_an_increment_names_its_base() -> None:
    command = commands.upload(BACKUP, TOKEN, tables=TABLES, limit=None, base="nightly-1")
    assert command.text.endswith(f" --diff-from-remote=nightly-1 {BACKUP}")


def test_a_hostile_base_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        commands.upload(BACKUP, TOKEN, tables=TABLES, limit=None, base="-x y")


def test_asking_for_overrides_touches_no_storage() -> None:
    words = commands.probe_overrides("chops-nosuch", TOKEN).text.split(" ")
    assert words[0] == "download"
    assert "--env=REMOTE_STORAGE=none" in words


@pytest.mark.parametrize("where", ["", "both", "remote --force", "LOCAL"])
def test_a_delete_that_would_end_the_sidecar_is_refused(where: str) -> None:
    with pytest.raises(InvalidRequest, match="'local' or 'remote'"):
        commands.delete(where, BACKUP)


def test_a_delete_has_the_only_shape_that_a_sidecar_survives() -> None:
    assert commands.delete("remote", BACKUP).text == f"delete remote {BACKUP}"


@given(st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_built_is_one_line_of_plain_words(name: str, table: str) -> None:
    try:
        text = make_create(name, tables=(table,)).text
    except InvalidRequest:
        return
    assert shlex.split(text) == text.split(" ")
    assert text.isprintable()
    assert text.endswith(f" {name}")
