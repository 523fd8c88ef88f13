"""Actions: sent once, found again, waited for; what nobody can tell is never called a success."""

import asyncio
from typing import Any

import pytest

from tasks.clickhouse import commands
from tasks.clickhouse.actions import Sidecar, Timeouts, new_token
from tasks.clickhouse.commands import Command, Token
from tasks.domain.actions import Action, ActionStatus
from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    ClusterBusy,
    ClusterUnavailable,
    FateUnknown,
    LockLost,
)
from tests.builders import BACKUP, OPERATION
from tests.fakes import EPOCH, FakeLeash, FakeSidecarServer, Reaction, Work, refused, reply_lost
from tests.virtual_time import run

TABLES = ("shop.*",)
UPLOAD = commands.upload(BACKUP, Token(OPERATION, "2"), tables=TABLES, limit=None)
EARLIER = commands.upload(BACKUP, Token(OPERATION, "1"), tables=TABLES, limit=None).text
RESUMED = f"upload --resumable=1 {BACKUP}"
DELETE = commands.delete("local", BACKUP)
BUSY = ClusterBusy("another operation is currently running")


def make_sidecar(server: FakeSidecarServer, lease: FakeLeash | None = None) -> Sidecar:
    timeouts = Timeouts(action_seconds=3600, busy_seconds=600)
    return Sidecar(server, operation_id=OPERATION, lease=lease or FakeLeash(), timeouts=timeouts)


async def elapsed() -> float:
    return asyncio.get_running_loop().time()


def settle(server: FakeSidecarServer, *, done: bool = False, **fakes: Any) -> float:
    """Bring the upload about; return the virtual seconds that it took."""

    async def settled() -> float:
        sidecar = make_sidecar(server, fakes.get("lease"))

        async def is_done() -> bool:
            return done

        await sidecar.settle(UPLOAD, done=is_done, prepare=fakes.get("prepare"))
        return await elapsed()

    return run(settled())


def perform(server: FakeSidecarServer, command: Command = UPLOAD, **fakes: Any) -> float:
    async def performed() -> float:
        await make_sidecar(server, fakes.get("lease")).perform(command)
        return await elapsed()

    return run(performed())


def delete(server: FakeSidecarServer) -> None:
    run(make_sidecar(server).delete(DELETE))


def test_what_is_done_is_not_sent() -> None:
    server = FakeSidecarServer()
    settle(server, done=True)
    assert server.sent == []


def test_what_is_not_done_is_sent_once_and_waited_for() -> None:
    server = FakeSidecarServer(reactions=[Reaction(seconds=90)])
    assert settle(server) >= 90
    assert server.sent == [UPLOAD.text]


def test_a_long_action_is_waited_for_without_a_limit_on_polls() -> None:
    """Weak point 9: two hours of polling, then a timeout although the upload was fine."""
    server = FakeSidecarServer(reactions=[Reaction(seconds=3500)])
    assert settle(server) == pytest.approx(3500, abs=10)


@pytest.mark.parametrize(
    "running", [pytest.param(EARLIER, id="another-token"), pytest.param(RESUMED, id="no-token")]
)
def test_a_rerun_attaches_to_what_an_earlier_attempt_left_running(running: str) -> None:
    """Weak point 12: the same command was sent again while the first one ran."""
    server = FakeSidecarServer(Work(command=running, ends_at=300))
    assert settle(server) >= 300
    assert server.sent == []


def test_the_running_command_of_another_operation_is_not_attached_to() -> None:
    foreign = commands.upload(BACKUP, Token("op-2", "1"), tables=TABLES, limit=None).text
    server = FakeSidecarServer(Work(command=foreign, ends_at=300))
    settle(server)
    assert server.sent == [UPLOAD.text]


@pytest.mark.parametrize(
    ("history", "prepared"),
    [
        pytest.param([], True, id="nothing-runs"),
        pytest.param([Work(command=EARLIER, ends_at=300)], False, id="ours-runs"),
    ],
)
def test_the_way_is_cleared_only_where_nothing_runs(history: list[Work], *, prepared: bool) -> None:
    calls: list[str] = []

    async def prepare() -> None:
        calls.append("prepared")

    settle(FakeSidecarServer(*history), prepare=prepare)
    assert bool(calls) is prepared


@pytest.mark.parametrize("status", ["error", "cancel"])
def test_what_ended_in_any_other_way_than_success_failed(status: str) -> None:
    """Weak point 10: a cancelled action was waited for until the timeout."""
    server = FakeSidecarServer(reactions=[Reaction(status=status, error="access denied")])
    with pytest.raises(ActionFailed, match=f"ended as {status}: access denied"):
        settle(server)


def test_the_error_of_an_action_is_told_without_its_credentials() -> None:
    error = "PUT https://key:hunter2@bucket failed, S3_SECRET_KEY=hunter2"
    with pytest.raises(ActionFailed) as failed:
        settle(FakeSidecarServer(reactions=[Reaction(status="error", error=error)]))
    assert "hunter2" not in str(failed.value)


def test_a_row_that_vanished_says_nothing_where_the_work_is_done() -> None:
    server = FakeSidecarServer(reactions=[Reaction(vanishes_after=3)])

    async def settled() -> None:
        async def is_done() -> bool:
            return bool(server.sent)

        await make_sidecar(server).settle(UPLOAD, done=is_done)

    run(settled())
    assert server.sent == [UPLOAD.text]


def test_a_row_that_vanished_with_its_work_undone_is_a_doubt() -> None:
    """Weak point 10: an empty history after a restart spun until the timeout."""
    with pytest.raises(FateUnknown, match="left no trace"):
        settle(FakeSidecarServer(reactions=[Reaction(seconds=60, vanishes_after=3)]))


def test_a_row_that_comes_back_within_two_seconds_was_never_gone() -> None:
    server = FakeSidecarServer(reactions=[Reaction(seconds=60, vanishes_after=0.2)])

    async def settled() -> float:
        async def is_done() -> bool:
            return False

        async def resume() -> None:
            await asyncio.sleep(1.5)
            server.history.append(Work(command=RESUMED, ends_at=100))

        resuming = asyncio.create_task(resume())
        await make_sidecar(server).settle(UPLOAD, done=is_done)
        await resuming
        return await elapsed()

    assert run(settled()) >= 100


def test_a_resumed_upload_that_fails_is_a_doubt_and_not_a_verdict() -> None:
    failing = Work(command=RESUMED, ends_at=5, status="error", error="interrupted")
    with pytest.raises(FateUnknown, match="resumed without success"):
        settle(FakeSidecarServer(failing))


def test_a_twin_that_already_runs_is_waited_for() -> None:
    twin = Work(command=f"upload {BACKUP}", ends_at=200)
    refused_as_twin = Reaction(seconds=0, status="error", error="command is already running")
    server = FakeSidecarServer(twin, reactions=[refused_as_twin])

    async def settled() -> float:
        async def is_done() -> bool:
            return await elapsed() >= 200

        await make_sidecar(server).settle(UPLOAD, done=is_done)
        return await elapsed()

    assert run(settled()) >= 200


def test_silence_of_the_server_proves_nothing() -> None:
    server = FakeSidecarServer(reactions=[Reaction(seconds=50)])
    server.away = (10, 600)
    assert settle(server) >= 600


def test_what_does_not_end_in_time_may_still_run() -> None:
    with pytest.raises(FateUnknown, match="may still run"):
        settle(FakeSidecarServer(reactions=[Reaction(seconds=10**6)]))


def test_a_busy_sidecar_is_waited_for() -> None:
    """Weak point 11: another operation's run failed the whole job at once."""
    server = FakeSidecarServer(reactions=[refused(BUSY)] * 5)
    perform(server)
    assert server.sent == [UPLOAD.text] * 6


def test_patience_with_a_busy_sidecar_ends() -> None:
    server = FakeSidecarServer(reactions=[refused(BUSY)] * 10_000)
    with pytest.raises(ClusterBusy):
        perform(server)
    assert len(server.sent) < 200


@pytest.mark.parametrize("error", [ActionFailed("unknown command"), LockLost("taken over")])
def test_any_other_refusal_is_final(error: BackupError) -> None:
    server = FakeSidecarServer(reactions=[refused(error)])
    with pytest.raises(type(error)):
        perform(server)
    assert len(server.sent) == 1


def test_a_command_whose_reply_was_lost_is_found_by_its_row_and_not_sent_again() -> None:
    server = FakeSidecarServer(reactions=[reply_lost(taken=True)])
    perform(server)
    assert server.sent == [UPLOAD.text]


def test_a_command_whose_reply_was_lost_is_given_up_only_when_its_fence_has_passed() -> None:
    server = FakeSidecarServer(reactions=[reply_lost(taken=False)])

    async def performed() -> float:
        with pytest.raises(ClusterUnavailable, match="was not taken"):
            await make_sidecar(server).perform(UPLOAD)
        return await elapsed()

    assert EPOCH + run(performed()) > server.fences[0]
    assert server.sent == [UPLOAD.text]


def test_an_action_that_left_no_trace_is_not_sent_again() -> None:
    server = FakeSidecarServer(reactions=[Reaction(seconds=60, vanishes_after=1)])
    with pytest.raises(FateUnknown, match="may have run in part"):
        perform(server)
    assert server.sent == [UPLOAD.text]


def test_a_command_that_hangs_begins_nothing_after_the_fence_that_its_lease_lends() -> None:
    server = FakeSidecarServer()
    perform(server, lease=FakeLeash(fence_seconds=4))
    assert server.fences == [EPOCH + 4]


def test_without_the_lock_nothing_is_sent() -> None:
    server = FakeSidecarServer()
    with pytest.raises(LockLost):
        perform(server, lease=FakeLeash(lost_at=0))
    assert server.sent == []


def test_a_lock_that_is_lost_meanwhile_ends_the_waiting() -> None:
    server = FakeSidecarServer(reactions=[Reaction(seconds=1000)])
    with pytest.raises(LockLost):
        perform(server, lease=FakeLeash(lost_at=100))


def test_a_guard_is_asked_before_every_try() -> None:
    server = FakeSidecarServer(reactions=[refused(BUSY)])
    asked: list[int] = []

    async def guard() -> None:
        asked.append(len(server.sent))

    async def performed() -> None:
        await make_sidecar(server).perform(UPLOAD, guard=guard)

    run(performed())
    assert asked == [0, 1]


def test_settling_down_waits_for_our_own_work_only() -> None:
    server = FakeSidecarServer(
        Work(command=EARLIER, ends_at=120), Work(command="create by-hand", ends_at=10**6)
    )

    async def settled_down() -> float:
        await make_sidecar(server).settle_down()
        return await elapsed()

    assert run(settled_down()) == pytest.approx(120, abs=10)


def test_deleting_what_is_not_there_is_done() -> None:
    server = FakeSidecarServer(reactions=[refused(ActionFailed(f"'{BACKUP}' is not found"))])
    delete(server)
    assert server.sent == [f"delete local {BACKUP}"]


def test_a_delete_that_is_refused_failed() -> None:
    with pytest.raises(ActionFailed, match="access denied"):
        delete(FakeSidecarServer(reactions=[refused(ActionFailed("access denied"))]))


def test_a_delete_without_a_reply_is_a_doubt() -> None:
    older = Work(command=DELETE.text)
    with pytest.raises(FateUnknown):
        delete(FakeSidecarServer(older, reactions=[reply_lost(taken=False)]))


def test_no_two_submissions_carry_the_same_token() -> None:
    """Weak point 10: an action was looked up by a text that others could send, too."""
    assert len({new_token(OPERATION) for _ in range(100)}) == 100


class SlowServer(FakeSidecarServer):
    """Takes a command only after a while."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def execute(self, sql: str, parameters: Any = None, **_: Any) -> None:
        await asyncio.sleep(self.seconds)
        await super().execute(sql, parameters)


@pytest.mark.parametrize(
    ("seconds", "waited", "taken"),
    [
        pytest.param(4.0, 4.0, 1, id="answered"),
        pytest.param(900.0, 15.0, 0, id="fence-passed"),
    ],
)
def test_who_is_cancelled_leaves_no_command_in_flight(
    seconds: float, waited: float, taken: int
) -> None:
    server = SlowServer(seconds=seconds)

    async def cancelled() -> float:
        sending = asyncio.create_task(make_sidecar(server).submit(UPLOAD))
        await asyncio.sleep(1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        return await elapsed()

    assert run(cancelled()) == pytest.approx(waited + (1 if taken == 0 else 0))
    assert len(server.sent) == taken


def kill(server: FakeSidecarServer) -> None:
    action = Action(command=EARLIER, status=ActionStatus.IN_PROGRESS)
    run(make_sidecar(server).kill(action))


def test_a_kill_names_the_command_as_its_row_does() -> None:
    server = FakeSidecarServer()
    kill(server)
    assert server.sent == [f"kill '{EARLIER}'"]


def test_what_ended_before_its_kill_is_gone_as_was_wanted() -> None:
    kill(FakeSidecarServer(reactions=[refused(ActionFailed("command `x` not found"))]))


@pytest.mark.parametrize(
    ("reaction", "error"),
    [
        pytest.param(reply_lost(taken=True), FateUnknown, id="no-reply"),
        pytest.param(refused(ActionFailed("empty command list")), ActionFailed, id="refused"),
    ],
)
def test_a_kill_that_may_have_failed_is_told(reaction: Reaction, error: type[BackupError]) -> None:
    with pytest.raises(error):
        kill(FakeSidecarServer(reactions=[reaction]))
