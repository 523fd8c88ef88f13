"""The lock: who holds it is named to everybody else, and a holder stops before a taker begins."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tasks.clickhouse.lock import Holder, Lock, demand_unheld, read_holder, release_by_hand
from tasks.domain.errors import ClusterBusy, LockLost
from tests.builders import OPERATION
from tests.fakes import ScriptedServer

TOLD = {"operation_id": OPERATION, "operation": "backup", "instance": "i", "lease_seconds": 60}
ROW = {"released": 0, "renewals": 3, "silent_seconds": 5}


def make_holder(**fields: Any) -> Holder:
    defaults: dict[str, Any] = {**TOLD, **ROW, "generation": 1, "released": False}
    return Holder(**(defaults | fields))


def server_held(*generations: str, told: str | None = None, **row: Any) -> ScriptedServer:
    """Make a server whose newest generation is held as told."""
    answers: dict[str, list[Mapping[str, Any]]] = {
        "LIKE 'lock_%'": [{"name": name} for name in generations or ("lock_1",)],
        "default_expression": [{"told": told or f"'{json.dumps(TOLD)}'"}],
        "countIf": [ROW | row],
    }
    return ScriptedServer(answers)


@pytest.mark.parametrize(
    ("fields", "alive"),
    [
        pytest.param({}, True, id="renewed"),
        pytest.param({"silent_seconds": 60}, True, id="just-in-time"),
        pytest.param({"silent_seconds": 61}, False, id="silent-for-longer-than-its-lease"),
        pytest.param({"released": True}, False, id="released"),
    ],
)
def test_a_holder_is_alive_while_it_may_still_act(fields: dict[str, Any], *, alive: bool) -> None:
    assert make_holder(**fields).is_alive is alive


async def test_nobody_holds_a_lock_that_was_never_taken() -> None:
    server = ScriptedServer({"LIKE 'lock_%'": []})
    assert await read_holder(server) is None


async def test_the_holder_stands_in_the_newest_generation() -> None:
    """Generations count as numbers, and tables of somebody else do not count."""
    server = server_held("lock_9", "lock_10", "lock_", "lock_x", "lock_99_old", "locks_77")
    holder = await read_holder(server)
    assert holder == make_holder(generation=10)


async def test_another_operation_at_work_is_named() -> None:
    """Weak point 22: nothing kept backups, restores and bootstraps apart."""
    with pytest.raises(ClusterBusy, match=f"backup operation {OPERATION} is at work"):
        await demand_unheld(server_held(), operation_id="op-2")


async def test_a_dead_operation_is_named_with_both_ways_out() -> None:
    with pytest.raises(ClusterBusy) as refused:
        await demand_unheld(server_held(silent_seconds=300), operation_id="op-2")
    told = str(refused.value)
    assert "silent for 300 s: its process looks dead" in told
    assert f"operation_id={OPERATION}" in told
    assert f"unlock --operation-id {OPERATION}" in told


@pytest.mark.parametrize(
    ("released", "operation_id"),
    [pytest.param(1, "op-2", id="released"), pytest.param(0, OPERATION, id="its-own")],
)
async def test_a_lock_that_is_free_or_ones_own_refuses_nobody(
    released: int, operation_id: str
) -> None:
    await demand_unheld(server_held(released=released), operation_id=operation_id)


@pytest.mark.parametrize(
    ("released", "operation_id", "done"),
    [
        pytest.param(0, OPERATION, True, id="of-that-operation"),
        pytest.param(0, "op-2", False, id="of-another-operation"),
        pytest.param(1, OPERATION, False, id="released-already"),
    ],
)
async def test_only_the_lock_of_the_named_operation_is_released_by_hand(
    released: int, operation_id: str, *, done: bool
) -> None:
    server = server_held(released=released)
    assert await release_by_hand(server, operation_id=operation_id) is done
    assert server.inserted == ([("chops.lock_1", {"event": "released"})] if done else [])


async def test_a_holder_may_act_for_half_a_lease_after_a_renewal() -> None:
    lock = Lock(server_held(), make_holder())
    await lock.check()
    assert 29 < lock.remaining_seconds <= 30
    lock._renewed -= 30
    assert lock.remaining_seconds == 0
    with pytest.raises(LockLost, match=f"operation {OPERATION} lost the lock"):
        await lock.check()


async def test_a_holder_that_comes_too_late_does_not_renew() -> None:
    server = server_held()
    lock = Lock(server, make_holder())
    lock._renewed -= 30
    with pytest.raises(LockLost):
        await lock.renew()
    assert server.inserted == []


async def test_a_holder_with_a_successor_is_lost_for_good() -> None:
    server = server_held("lock_1", "lock_2")
    lock = Lock(server, make_holder(generation=1))
    with pytest.raises(LockLost, match="generation 1"):
        await lock.renew()
    assert lock.remaining_seconds > 0
    with pytest.raises(LockLost):
        await lock.check()


async def test_a_renewal_is_a_row_of_ones_own_generation() -> None:
    server = server_held("lock_1", "lock_2")
    lock = Lock(server, make_holder(generation=2))
    lock._renewed -= 20
    await lock.renew()
    assert server.inserted == [("chops.lock_2", {"event": "renewed"})]
    assert lock.remaining_seconds > 29


async def test_a_lost_lock_is_not_renewed_any_more() -> None:
    lock = Lock(server_held("lock_2"), make_holder(generation=1, lease_seconds=0))
    await asyncio.wait_for(lock.keep_renewing(), timeout=5)
    with pytest.raises(LockLost):
        await lock.check()
