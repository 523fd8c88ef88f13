"""The table door reads its own tables and nobody else's."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.clickhouse.lock import TableDoor
from tasks.domain.errors import ClusterBusy
from tasks.domain.lock import Holder
from tests.builders import OPERATION
from tests.fakes import ScriptedServer

TOLD = {"operation_id": OPERATION, "operation": "backup", "instance": "i", "lease_seconds": 60}
ROW = {"released": 0, "sign": 3, "silent_seconds": 5, "made": 1_700_000_000}


def server_with(*tables: str, told: str = f"'{json.dumps(TOLD)}'") -> ScriptedServer:
    answers: dict[str, Sequence[Mapping[str, Any]]] = {
        "LIKE 'lock_%'": [{"name": name} for name in tables],
        "default_expression": [{"told": told}],
        "countIf": [ROW],
    }
    return ScriptedServer(answers)


async def test_nobody_holds_a_lock_that_was_never_taken() -> None:
    assert await TableDoor(server_with()).newest() is None


async def test_the_holder_stands_in_the_newest_generation() -> None:
    """Generations count as numbers, and tables of somebody else do not count."""
    door = TableDoor(server_with("lock_9", "lock_10", "lock_", "lock_x", "lock_99_old", "locks_77"))
    assert await door.newest() == Holder(
        generation=10,
        operation_id=OPERATION,
        operation="backup",
        instance="i",
        lease_seconds=60,
        since=datetime.fromtimestamp(1_700_000_000, UTC),
        sign="3",
        silent_seconds=5,
    )


@pytest.mark.parametrize("told", ["", "'a note'", "'[1]'", '\'{"operation": "backup"}\''])
async def test_a_table_that_names_no_holder_is_told_not_taken_for_a_free_lock(told: str) -> None:
    with pytest.raises(ClusterBusy, match=r"chops\.lock_4 .* no lock of ours"):
        await TableDoor(server_with("lock_3", "lock_4", told=told)).newest()
