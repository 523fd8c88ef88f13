"""A session acts under its lease: what it writes down is a fact that nobody undoes meanwhile."""

import pytest

from tasks.clickhouse.actions import Timeouts
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import LockLost
from tasks.domain.journal import Event, Step
from tests.builders import OPERATION
from tests.fakes import FakeLeash, ScriptedServer


def session_under(lease: FakeLeash) -> tuple[ReplicaSession, ScriptedServer]:
    server = ScriptedServer({"max(sequence)": [{"highest": 4}]})
    session = ReplicaSession(
        server,
        shard="0",
        operation="backup",
        operation_id=OPERATION,
        lease=lease,
        timeouts=Timeouts(action_seconds=1, busy_seconds=1),
    )
    return session, server


async def test_a_step_is_written_down_under_the_lock() -> None:
    session, server = session_under(FakeLeash())
    await session.note(Event.STEP, Step.UPLOAD)
    ((table, row),) = server.inserted
    assert table == "chops.operations"
    assert (row["event"], row["subject"], row["operation_id"]) == ("step", "upload", OPERATION)


async def test_a_process_that_lost_its_lock_writes_nothing_down() -> None:
    session, server = session_under(FakeLeash(lost_at=0))
    with pytest.raises(LockLost):
        await session.note(Event.STEP, Step.UPLOAD)
    assert server.inserted == []
