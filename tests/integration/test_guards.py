"""What cannot be done is refused in one sentence, before anything is sent or destroyed."""

from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ParameterBindError, ParameterTypeError

from tasks.domain.errors import (
    BackupNotFound,
    BackupUnusable,
    InvalidRequest,
    PreflightFailed,
    TargetNotEmpty,
)
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

INJECTIONS = [
    pytest.param("nightly; rm -rf /", id="shell"),
    pytest.param("x') --", id="sql"),
    pytest.param("$(id)", id="substitution"),
    pytest.param("-rf", id="flag"),
    pytest.param("a/../b", id="path"),
    pytest.param("two words", id="blank"),
    pytest.param("x.manifest", id="companion"),
    pytest.param("previous", id="reserved"),
    pytest.param("n" * 200, id="too-long"),
]


@pytest.mark.parametrize("name", INJECTIONS)
async def test_a_name_that_a_shell_or_sql_could_read_is_never_sent(
    one_shard: Bench, name: str
) -> None:
    one_shard.fill_shop(rows=10)
    with one_shard.refusal(InvalidRequest, "backup name"):
        await one_shard.backup(name)
    with one_shard.refusal(InvalidRequest, "backup name"):
        await one_shard.restore(name, overwrite=True)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        pytest.param({"tables": ["shop.orders;x"]}, ["'shop.orders;x'"], id="pattern"),
        pytest.param({"tables": ["orders"]}, ["'orders'", "database.table"], id="no-database"),
        pytest.param({"tables": ["system.*"]}, ["system.*", "never"], id="system"),
        pytest.param({"tables": ["chops.*"]}, ["chops.*", "never"], id="reserved-database"),
        pytest.param({"partitions": ["('2026', 1)"]}, ["partition id", "tuple"], id="tuple"),
        pytest.param({"schema_only": True, "partitions": ["1"]}, ["contradict"], id="both"),
        pytest.param({"replica_selection": "Any"}, ["replica_selection"], id="selection"),
        pytest.param({"operation_id": "a b"}, ["operation id", "'a b'"], id="operation-id"),
        pytest.param({"installation": "prod"}, ["'prod'", "'demo'"], id="installation"),
        pytest.param({"inventory": ""}, ["inventory", "default/demo"], id="no-inventory"),
        pytest.param({"inventory": "/nowhere.yaml"}, ["/nowhere.yaml"], id="no-such-file"),
        pytest.param({"tables": ["nothing.*"]}, ["nothing.*", "no table"], id="no-match"),
    ],
)
async def test_a_malformed_backup_is_refused(
    one_shard: Bench, form: dict[str, Any], words: list[str]
) -> None:
    one_shard.fill_shop(rows=10)
    with one_shard.refusal((InvalidRequest, PreflightFailed, ParameterTypeError), *words):
        await one_shard.backup("malformed", **form)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        pytest.param({"accept_loss": ["shop.*"]}, ["accept_loss", "overwrite"], id="no-overwrite"),
        pytest.param({"overwrite": True, "accept_loss": ["x"]}, ["'x'"], id="loss-pattern"),
    ],
)
async def test_a_malformed_restore_is_refused(
    one_shard: Bench, form: dict[str, Any], words: list[str]
) -> None:
    with one_shard.refusal(InvalidRequest, *words):
        await one_shard.restore("malformed", **form)


async def test_an_unknown_parameter_or_option_is_refused_by_name(one_shard: Bench) -> None:
    with one_shard.refusal(ParameterBindError, "overwritten"):
        await one_shard.restore("x", overwritten=True)
    before = one_shard.sent()
    with pytest.raises(ParameterTypeError, match="lease_secs"):
        await one_shard.backup("x", options={"lease_secs": 3})
    assert one_shard.sent() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("installation: demo\n", ["cluster", "shards"], id="incomplete"),
        pytest.param("{", ["YAML"], id="no-yaml"),
        pytest.param(
            "{installation: demo, cluster: main, password: x, shards: []}",
            ["password", "shards"],
            id="secret-inside",
        ),
    ],
)
async def test_a_malformed_inventory_is_refused_by_file_and_field(
    one_shard: Bench, tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(text)
    with pytest.raises(InvalidRequest) as caught:
        await one_shard.backup("x", inventory=str(path))
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


async def test_a_server_that_stands_twice_under_two_addresses_is_noticed(one_shard: Bench) -> None:
    one_shard.fill_shop()
    inventory = one_shard.cluster.inventory.model_dump(mode="json")
    (shard,) = inventory["shards"]
    (replica,) = shard["replicas"]
    again = {**replica, "name": "chi-demo-main-1-0", "host": "localhost"}
    inventory["shards"].append({"name": "1", "replicas": [again]})
    sent = one_shard.commands(0)
    with pytest.raises(PreflightFailed, match="chi-demo-main-0-0 and chi-demo-main-1-0 are one"):
        await one_shard.backup("twice", inventory=inventory)
    assert one_shard.commands(0) == sent


async def test_a_name_that_another_operation_took_is_refused(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup("taken")
    with one_shard.refusal(PreflightFailed, "taken", "shard 0"):
        await one_shard.backup("taken")


async def test_a_name_that_a_stranger_took_on_one_shard_is_refused_on_all(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=10)
    three_shards.tell(1, "create --tables=shop.* strangers")
    with three_shards.refusal(PreflightFailed, "strangers", "shard 1"):
        await three_shards.backup("strangers")
    assert three_shards.commands(0, of="create")[-1:] != ["strangers"]


async def test_a_backup_that_is_not_there_is_named(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    with three_shards.refusal(BackupNotFound, "nosuch"):
        await three_shards.restore("nosuch", overwrite=True)


async def test_a_backup_missing_on_one_shard_destroys_nothing_on_the_others(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("partly-gone")
    for name in ("partly-gone.manifest", "partly-gone"):
        three_shards.tell(2, f"delete remote {name}")
    with three_shards.refusal(PreflightFailed, "partly-gone", "shard 2", after_asking=True):
        await three_shards.restore("partly-gone", overwrite=True)


async def test_a_backup_whose_data_is_gone_on_one_shard_destroys_nothing(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("data-gone")
    three_shards.tell(1, "delete remote data-gone")
    with three_shards.refusal(PreflightFailed, "data-gone", "shard 1", after_asking=True):
        await three_shards.restore("data-gone", overwrite=True)


async def test_a_backup_of_another_tool_has_no_manifest_and_is_told_so(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=10)
    one_shard.tell(0, "create --tables=shop.* foreign")
    one_shard.tell(0, "upload foreign")
    with one_shard.refusal(BackupUnusable, "foreign", "no manifest"):
        await one_shard.restore("foreign", overwrite=True)


async def test_tables_with_rows_are_not_overwritten_unasked(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("unasked")
    for number in (0, 1):
        three_shards.nodes[number].query("DROP DATABASE shop SYNC")
    with three_shards.refusal(TargetNotEmpty, "shop.orders", "10 rows", after_asking=True):
        await three_shards.restore("unasked")
    assert three_shards.tables("shop") == ["", "", "orders"]


async def test_rows_are_never_doubled_by_a_second_restore(one_shard: Bench) -> None:
    one_shard.fill_shop()
    before = one_shard.contents("shop.orders")
    await one_shard.backup("twice")
    one_shard.drop("shop")
    await one_shard.restore("twice")
    with one_shard.refusal(TargetNotEmpty, "shop.orders", after_asking=True):
        await one_shard.restore("twice")
    assert one_shard.contents("shop.orders") == before
