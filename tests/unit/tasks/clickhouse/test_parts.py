"""Parts: asked for at the sidecar's own address, which is used and never told."""

from typing import Any

import pytest

from tasks.clickhouse.parts import read_fingerprints, read_frozen, read_parts
from tasks.domain.errors import BackupError, ClusterUnavailable, NotAllowed
from tasks.domain.fingerprint import Fingerprint, Part, Verdict, compare
from tests.builders import BACKUP, make_part
from tests.fakes import ScriptedServer

PLAIN = "URL('http://127.0.0.1:7171/backup/actions', 'JSONEachRow')"
FROZEN_ROW = {"database": "shop", "table": "orders", "parts": 1, "names": ["202601_1_1_0"]}


def part_row(part: Part, **fields: Any) -> dict[str, Any]:
    return {
        "database": "shop",
        "table": "orders",
        "name": part.name,
        "partition_id": part.partition_id,
        "rows": part.rows,
        "bytes_on_disk": part.size_bytes,
        "hash_of_all_files": part.hash,
        "active": int(part.active),
    } | fields


def make_server(
    *parts: Part, engine: str | None = PLAIN, frozen: Any = (FROZEN_ROW,)
) -> ScriptedServer:
    return ScriptedServer(
        {
            "engine_full": [] if engine is None else [{"engine_full": engine}],
            "FROM url(": frozen,
            "system.parts": [part_row(part) for part in parts],
        }
    )


@pytest.mark.parametrize(
    ("engine", "address"),
    [
        pytest.param(PLAIN, "http://127.0.0.1:7171/backup/tables?", id="plain"),
        pytest.param(
            "URL('https://sidecar:7171/backup/actions', 'JSONEachRow')",
            "https://sidecar:7171/backup/tables?",
            id="encrypted",
        ),
        pytest.param(
            "URL('http://h:7171/backup/actions?user=u&pass=p%27', 'JSONEachRow')",
            "http://h:7171/backup/tables?user=u&pass=p%27&",
            id="credentials",
        ),
        pytest.param(
            "URL(\\'http://h:7171/backup/actions?user=u\\', \\'JSONEachRow\\')",
            "http://h:7171/backup/tables?user=u&",
            id="escaped",
        ),
        pytest.param(
            "URL('http://h:7171/proxy/backup/actions', 'JSONEachRow')",
            "http://h:7171/proxy/backup/tables?",
            id="behind-a-proxy",
        ),
    ],
)
async def test_the_address_is_taken_from_the_integration_table(engine: str, address: str) -> None:
    server = make_server(engine=engine)
    await read_frozen(server, BACKUP)
    assert server.asked[-1]["address"] == f"{address}local_backup={BACKUP}&list_parts=1"


async def test_a_remote_copy_is_asked_for_at_the_same_place() -> None:
    server = make_server()
    await read_frozen(server, BACKUP, location="remote")
    assert server.asked[-1]["address"].endswith(f"remote_backup={BACKUP}&list_parts=1")


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param(None, id="no-table"),
        pytest.param("MergeTree ORDER BY command", id="another-engine"),
        pytest.param("URL('http://u:hunter2@h/else?pass=hunter2')", id="another-address"),
    ],
)
async def test_a_server_without_a_sidecar_is_told_without_any_address(engine: str | None) -> None:
    with pytest.raises(ClusterUnavailable, match=r"no table system\.backup_actions") as told:
        await read_frozen(make_server(engine=engine), BACKUP)
    assert "hunter2" not in str(told.value)


async def test_frozen_parts_are_known_by_table() -> None:
    assert await read_frozen(make_server(), BACKUP) == {"shop.orders": frozenset({"202601_1_1_0"})}


@pytest.mark.parametrize(
    "frozen",
    [
        pytest.param(NotAllowed("no grant for url()"), id="not-allowed"),
        pytest.param([FROZEN_ROW | {"parts": None}], id="old-sidecar"),
    ],
)
async def test_where_nobody_may_ask_nobody_can_tell(frozen: Any) -> None:
    server = make_server(make_part(), frozen=frozen)
    assert await read_frozen(server, BACKUP) is None
    assert await read_fingerprints(server, BACKUP, ["shop.orders"]) == {"shop.orders": None}


async def test_a_server_that_is_away_is_not_a_doubt_but_an_error() -> None:
    away: BackupError = ClusterUnavailable("away")
    with pytest.raises(ClusterUnavailable):
        await read_frozen(make_server(frozen=away), BACKUP)


async def test_parts_are_read_active_or_not() -> None:
    parts = make_part(), make_part("202601_2_2_0", active=False)
    assert await read_parts(make_server(*parts), ["shop.orders"]) == {"shop.orders": parts}


async def test_a_fingerprint_is_of_the_frozen_parts_alone() -> None:
    younger = make_part("202601_2_2_0")
    prints = await read_fingerprints(make_server(make_part(), younger), BACKUP, ["shop.orders"])
    assert prints == {"shop.orders": Fingerprint.of([make_part()])}


async def test_a_frozen_part_that_the_server_forgot_makes_a_doubt() -> None:
    other = make_part("202601_2_2_0")
    assert await read_fingerprints(make_server(other), BACKUP, ["shop.orders"]) == {
        "shop.orders": None
    }


async def test_a_table_that_was_not_frozen_has_no_fingerprint() -> None:
    assert await read_fingerprints(make_server(), BACKUP, ["shop.new"]) == {"shop.new": None}


async def test_an_empty_table_has_the_fingerprint_of_nothing() -> None:
    server = make_server(frozen=[FROZEN_ROW | {"parts": 0, "names": []}])
    prints = await read_fingerprints(server, BACKUP, ["shop.orders"])
    expected = prints["shop.orders"]
    assert expected is not None
    assert compare(expected, ()).verdict is Verdict.PASSED
