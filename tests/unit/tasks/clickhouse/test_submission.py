"""Submission: what came after its fence began nothing, and nobody takes it for done."""

import asyncio

import pytest

from tasks.clickhouse import commands
from tasks.clickhouse.actions import Sidecar, Timeouts
from tasks.clickhouse.commands import Token
from tasks.domain.errors import ActionFailed, ClusterUnavailable
from tests.builders import BACKUP, OPERATION
from tests.fakes import FakeLeash, FakeSidecarServer, Reaction
from tests.virtual_time import run

UPLOAD = commands.upload(BACKUP, Token(OPERATION, "1"), tables=("shop.*",), limit=None)
DELETE = commands.delete("local", BACKUP)


def make_sidecar(server: FakeSidecarServer) -> Sidecar:
    timeouts = Timeouts(action_seconds=3600, busy_seconds=600)
    return Sidecar(server, operation_id=OPERATION, lease=FakeLeash(), timeouts=timeouts)


def perform(server: FakeSidecarServer) -> float:
    async def performed() -> float:
        await make_sidecar(server).perform(UPLOAD)
        return asyncio.get_running_loop().time()

    return run(performed())


def test_a_delete_that_came_after_its_fence_is_sent_again() -> None:
    server = FakeSidecarServer(reactions=[Reaction(hangs_seconds=20), Reaction()])
    run(make_sidecar(server).delete(DELETE))
    assert server.sent == [DELETE.text] * 2
    assert [work.command for work in server.history] == [DELETE.text]


@pytest.mark.parametrize(
    "reaction",
    [
        pytest.param(Reaction(hangs_seconds=20), id="accepted"),
        pytest.param(
            Reaction(hangs_seconds=20, refusal=ActionFailed("empty request")), id="refused-empty"
        ),
    ],
)
def test_a_command_that_came_after_its_fence_was_not_taken_and_may_be_tried_again(
    reaction: Reaction,
) -> None:
    server = FakeSidecarServer(reactions=[reaction])
    with pytest.raises(ClusterUnavailable, match="was not taken"):
        perform(server)
    assert server.history == []


def test_a_command_that_was_answered_late_but_had_begun_is_waited_for() -> None:
    server = FakeSidecarServer(reactions=[Reaction(hangs_seconds=14.5, seconds=30)])
    assert perform(server) == pytest.approx(44.5, abs=6)
    assert server.sent == [UPLOAD.text]
