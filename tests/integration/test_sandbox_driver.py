"""The driver of the product finds a ClickHouse server in a node of the sandbox."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import clickhouse_connect
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import DatabaseError

from deployments.sandbox.cluster import Cluster

pytestmark = pytest.mark.sandbox

# The eight bytes of this number hold two line ends in a row.
HOLDS_A_BLANK_LINE = 0x0A0A


async def connect(cluster: Cluster, compress: str = "lz4") -> AsyncClient:
    return await clickhouse_connect.get_async_client(
        host="127.0.0.1",
        port=cluster.members[0].node.http_port,
        autogenerate_session_id=False,
        compress=compress,
    )


@pytest.fixture
async def driver(bare_cluster: Cluster) -> AsyncIterator[AsyncClient]:
    client = await connect(bare_cluster)
    yield client
    await client.close()


async def test_parameters_arrive_as_they_were_given(driver: AsyncClient) -> None:
    given = {
        "text": "it's a\ttab, a \\ and ünïcode\n",
        "list": ["a'b", ""],
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    answer = await driver.query(
        "SELECT {text:String}, {list:Array(String)}, {when:DateTime('UTC')}", parameters=given
    )
    [(text, items, when)] = answer.result_rows
    assert (text, items, when.replace(tzinfo=UTC)) == tuple(given.values())


async def test_a_command_takes_parameters_and_settings(driver: AsyncClient) -> None:
    command = "SELECT {word:String}, getSetting('max_threads')"
    answer = await driver.command(
        command, parameters={"word": "create"}, settings={"max_threads": 3}
    )
    assert answer == ["create", "3"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        pytest.param("SELECT * FROM nowhere", 60, id="unknown-table"),
        pytest.param("SELECT * FROM no.where", 81, id="unknown-database"),
        pytest.param("SELEKT 1", 62, id="syntax"),
        pytest.param("SELECT throwIf(1)", 395, id="thrown"),
    ],
)
async def test_an_error_carries_the_servers_number(
    driver: AsyncClient, statement: str, code: int
) -> None:
    with pytest.raises(DatabaseError) as refused:
        await driver.query(statement)
    assert refused.value.code == code


async def test_queries_of_one_client_run_side_by_side(driver: AsyncClient) -> None:
    began = time.monotonic()
    await asyncio.gather(*(driver.query("SELECT sleep(0.5)") for _ in range(40)))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip"])
async def test_every_row_of_an_insert_arrives(bare_cluster: Cluster, compress: str) -> None:
    driver = await connect(bare_cluster, compress)
    rows = [[number, "x" * 50] for number in range(2 * HOLDS_A_BLANK_LINE)]
    try:
        await driver.command(
            "CREATE OR REPLACE TABLE inserted (a UInt64, s String) ENGINE = MergeTree ORDER BY a"
        )
        await driver.insert("inserted", rows, column_names=["a", "s"])
        answer = await driver.query("SELECT count(), sum(a) FROM inserted")
    finally:
        await driver.command("DROP TABLE IF EXISTS inserted SYNC")
        await driver.close()
    assert answer.result_rows == [(len(rows), sum(range(len(rows))))]


async def test_a_long_answer_is_streamed(driver: AsyncClient) -> None:
    stream = await driver.query_row_block_stream("SELECT number FROM numbers(200000)")
    async with stream as blocks:
        rows = [row async for block in blocks for row in block]
    assert len(rows) == 200_000
