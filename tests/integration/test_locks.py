"""One operation at a time: the others wait and say for whom; who stalls or dies is taken over."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deployments.sandbox.members import Node
from deployments.sandbox.prefect_server import PrefectServer
from tasks.clickhouse import commands
from tasks.clickhouse.actions import Sidecar, Timeouts
from tasks.clickhouse.client import open_cluster
from tasks.clickhouse.journal import JournalWriter, prepare_journal
from tasks.domain.errors import ClusterBusy, ClusterUnavailable, LockLost
from tasks.domain.journal import Event
from tasks.domain.outcomes import Status
from tasks.reports import report_waiting
from tests.fakes import FakeLeash
from tests.integration.bench import Bench
from tests.integration.ended import demand_nothing_left
from tests.integration.killing import LEASE, another_process
from tests.integration.runs import everything_told, run_of

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

PATIENT = LEASE | {"busy_timeout_seconds": 60}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hear what the operations of this process tell people while they wait."""
    heard: list[str] = []

    async def hear(reason: str) -> None:
        heard.append(reason)
        await report_waiting(reason)

    monkeypatch.setattr("tasks.operation.report_waiting", hear)
    return heard


async def test_a_second_operation_waits_for_the_first_up_to_its_deadline_and_names_it(
    three_shards: Bench, told: list[str]
) -> None:
    three_shards.fill_shop(rows=30)
    with three_shards.turned(1, pause=("upload.start",)):
        running = asyncio.create_task(three_shards.backup("first", operation_id="op-first"))
        await three_shards.wait_for(
            lambda: (
                [three_shards.is_at_work(n, "upload") for n in range(3)] == [False, True, False]
            ),
            what="the first one waits for shard 1 alone",
        )
        with pytest.raises(ClusterBusy, match=r"backup operation op-first holds .* since 20"):
            await three_shards.restore("first", overwrite=True)
        waiting = asyncio.create_task(three_shards.backup_run("second", options=PATIENT))
        await three_shards.wait_for(lambda: len(told) == 2, what="both told why they wait")
    assert (await running).status is Status.COMPLETED
    second = await waiting
    assert second.is_completed()
    assert "backup operation op-first holds the lock" in told[1]
    assert told[1] in await everything_told(run_of(second))


async def test_what_a_dead_process_left_is_aborted_by_the_next_operation_before_it_begins(
    one_shard: Bench, prefect_server: PrefectServer, told: list[str]
) -> None:
    one_shard.fill_shop(rows=30)
    with one_shard.turned(0, pause=("upload.start",)):
        form = {"backup_name": "orphan", "operation_id": "op-orphan"}
        with another_process(prefect_server, one_shard, "backup", **form):
            await one_shard.wait_for(
                lambda: one_shard.is_at_work(0, "upload"), what="the other process uploads"
            )
        before = one_shard.commands(0)
        next_one = asyncio.create_task(
            one_shard.backup("next", operation_id="op-next", options=LEASE)
        )
        await one_shard.wait_for(
            lambda: len(one_shard.commands(0)) > len(before), what="something is sent"
        )
        sent = one_shard.commands(0)[len(before) :]
        assert sent[0].startswith("kill "), sent
    assert (await next_one).status is Status.COMPLETED
    assert told[-1] == "gives up backup operation op-orphan: it died"
    await demand_nothing_left(one_shard, "op-orphan")
    assert "orphan" not in one_shard.listed(0, "remote")


async def test_a_process_that_stalled_past_its_lease_starts_nothing_when_it_goes_on(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.fill_shop(rows=30)
    with one_shard.turned(0, pause=("upload.start",)):
        form = {"backup_name": "stalled", "operation_id": "op-stalled"}
        with another_process(prefect_server, one_shard, "backup", **form) as other:
            await one_shard.wait_for(
                lambda: one_shard.is_at_work(0, "upload"), what="the other process uploads"
            )
            other.pause()
            taking = asyncio.create_task(one_shard.backup("taken", options=LEASE))
            await one_shard.wait_for(
                lambda: not one_shard.is_at_work(0, "upload"), what="its upload is killed"
            )
            sent = [c for c in one_shard.commands(0) if "op-stalled" in c]
            other.resume()
            end = other.end()
    assert (end.error, end.ours) == ("LockLost", True), end.told
    assert (await taking).status is Status.COMPLETED
    assert [c for c in one_shard.commands(0) if "op-stalled" in c] == sent
    await demand_nothing_left(one_shard, "op-stalled")


async def test_a_preempting_restore_stops_a_backup_which_learns_by_whom(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=30)
    before = one_shard.contents("shop.orders")
    await one_shard.backup("good")
    with one_shard.turned(0, pause=("upload.start",)):
        running = asyncio.create_task(
            one_shard.backup("stopped", operation_id="op-stopped", options=LEASE)
        )
        await one_shard.wait_for(
            lambda: one_shard.is_at_work(0, "upload"), what="the backup uploads"
        )
        form = {"overwrite": True, "operation_id": "op-urgent"}
        done = await one_shard.restore("good", options=LEASE | {"preempt": True}, **form)
        with pytest.raises(LockLost, match="restore operation op-urgent took over"):
            await running
    assert done.status is Status.COMPLETED
    assert one_shard.contents("shop.orders") == before
    assert "stopped" not in one_shard.listed(0, "remote")


async def test_an_operation_under_another_lock_is_named_until_its_attempt_wrote_its_end(
    one_shard: Bench,
) -> None:
    """Two kinds of locks exclude each other by the journals alone."""
    one_shard.fill_shop(rows=30)
    facts = '{"door":"lease:prod/chops-demo","instance":"i","generation":1,"lease_seconds":5}'
    async with open_cluster(one_shard.cluster.inventory) as cluster:
        (server,) = cluster.servers
        await prepare_journal(server)
        elsewhere = JournalWriter(server, operation_id="op-elsewhere", operation="verify")
        payload = f'{{"name":"x","request":{{}},"lock":{facts}}}'
        await elsewhere.append(Event.STARTED, payload=payload)
        with one_shard.refusal(
            ClusterBusy, "op-elsewhere", "lease:prod/chops-demo", "flows abort --operation-id"
        ):
            await one_shard.backup("here")
        await elsewhere.append(Event.FINISHED, "i")
    assert (await one_shard.backup("here")).status is Status.COMPLETED


async def test_a_request_that_hung_in_the_server_begins_only_inside_its_fence(
    one_shard: Bench,
) -> None:
    node = one_shard.nodes[0]
    assert await _begun_after_hanging(one_shard, node, fence_seconds=15, hung_seconds=0.5)
    assert not await _begun_after_hanging(one_shard, node, fence_seconds=1, hung_seconds=2)


async def _begun_after_hanging(
    bench: Bench, node: Node, *, fence_seconds: int, hung_seconds: float
) -> bool:
    """Let the server stand still right before a harmless command is sent. Tell if it began."""
    leash = _Freezing(node, fence_seconds=fence_seconds)
    timeouts = Timeouts(action_seconds=10, busy_seconds=10)
    async with open_cluster(bench.cluster.inventory) as cluster:
        (server,) = cluster.servers
        sidecar = Sidecar(server, operation_id="op-hung", lease=leash, timeouts=timeouts)
        command = commands.probe_overrides("chops-nosuch", sidecar.token())
        sending = asyncio.create_task(sidecar.submit(command))
        try:
            await leash.frozen.wait()
            await asyncio.wait({sending}, timeout=hung_seconds)
            assert not sending.done()
        finally:
            node.resume()
        with contextlib.suppress(ClusterUnavailable):  # it came after its fence, and says so
            await sending
    return command.text in bench.commands(0)


class _Freezing(FakeLeash):
    """Lends a fence, and stops the server in the same moment."""

    def __init__(self, node: Node, *, fence_seconds: int) -> None:
        super().__init__(fence_seconds=fence_seconds)
        self.frozen = asyncio.Event()
        self._node = node

    @contextmanager
    def fence(self) -> Iterator[int]:
        self._node.pause()
        self.frozen.set()
        yield self.fence_seconds
