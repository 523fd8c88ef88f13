"""What both doors of the lock promise, tables and Leases, on real servers."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.aio.client import CoordinationV1Api, V1Lease, V1LeaseSpec, V1ObjectMeta

from deployments.sandbox.processes import Process
from tasks.clickhouse.client import open_cluster
from tasks.clickhouse.journal import prepare_journal
from tasks.clickhouse.lock import TableDoor
from tasks.domain.errors import ClusterBusy, ClusterUnavailable, LockLost, NotAllowed
from tasks.domain.lock import Claim, Door, Holder, Superseded
from tasks.kubernetes.client import open_kubernetes
from tasks.kubernetes.lease import LeaseDoor
from tasks.locks import Lock, held_lock
from tests.integration.bench import Bench
from tests.kubernetes_api import KubernetesApi, served_kubernetes

LEASE_SECONDS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A lock that nobody ever took: ways to it, and the server that keeps it."""

    door: Callable[[], Door]
    server: Process


@pytest.fixture(scope="module")
def kubernetes_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesApi]:
    with served_kubernetes(tmp_path_factory.mktemp("kubernetes")) as api:
        yield api


@pytest.fixture
def node(benches: Callable[[int, int], Bench]) -> Iterator[Bench]:
    yield from benches(1, 1).cleaned()


@pytest.fixture(
    params=[
        pytest.param("node", marks=pytest.mark.sandbox, id="table"),
        pytest.param("kubernetes_api", marks=pytest.mark.kubernetes, id="lease"),
    ]
)
def behind(request: pytest.FixtureRequest) -> Bench | KubernetesApi:
    found: Bench | KubernetesApi = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def place(behind: Bench | KubernetesApi) -> AsyncIterator[Place]:
    if isinstance(behind, Bench):
        async with open_cluster(behind.cluster.inventory) as cluster:
            await prepare_journal(cluster.lock_server)
            yield Place(lambda: TableDoor(cluster.lock_server), behind.nodes[0])
    else:
        async with open_kubernetes(str(behind.config_file)) as api:
            name = f"chops-{secrets.token_hex(4)}"
            yield Place(lambda: LeaseDoor(api, namespace="default", name=name), behind.server)


def make_claim(name: str, **fields: Any) -> Claim:
    usual: dict[str, Any] = {
        "operation_id": name,
        "operation": "backup",
        "instance": secrets.token_hex(6),
        "lease_seconds": LEASE_SECONDS,
        "patience_seconds": 60,
    }
    return Claim(**(usual | fields))


def make_holder(name: str, *, after: Holder | None = None) -> Holder:
    return make_claim(name).successor(after, now=datetime.now(UTC))


@contextlib.asynccontextmanager
async def held(place: Place, claim: Claim) -> AsyncIterator[Lock]:
    async with held_lock(place.door(), claim, tell=_nobody) as lock:
        yield lock


async def _nobody(_: str) -> None:
    return None


async def test_of_many_claims_at_once_exactly_one_gets_each_generation(place: Place) -> None:
    before = None
    for generation in (1, 2):
        ours = [make_holder(f"op-{n}", after=before) for n in range(6)]
        took = await asyncio.gather(*(place.door().take(one, over=before) for one in ours))
        assert sum(took) == 1
        before = await place.door().newest()
        assert before is not None
        assert (before.generation, before.instance) == (
            generation,
            ours[took.index(True)].instance,
        )


async def test_a_holder_is_read_as_it_was_written_and_changes_with_each_sign_of_life(
    place: Place,
) -> None:
    assert await place.door().newest() is None
    ours = make_holder("op-1")
    assert await place.door().take(ours, over=None)
    first = await place.door().newest()
    assert first is not None
    assert first.sentence.startswith("backup operation op-1 holds the lock")
    assert (first.lease_seconds, first.released) == (LEASE_SECONDS, False)
    assert abs((first.since - ours.since).total_seconds()) < 60
    assert await place.door().newest() == first
    await place.door().renew(ours)
    second = await place.door().newest()
    assert second is not None
    assert second.sign != first.sign
    await place.door().release(ours)
    released = await place.door().newest()
    assert released is not None
    assert (released.released, released.generation) == (True, 1)


async def test_who_was_taken_over_learns_by_whom_and_can_still_say_that_it_stopped(
    place: Place,
) -> None:
    assert await place.door().take(make_holder("op-old"), over=None)
    old = await place.door().newest()
    assert old is not None
    new = make_holder("op-new", after=old)
    assert await place.door().take(new, over=old)
    with pytest.raises(Superseded) as caught:
        await place.door().renew(old)
    assert caught.value.successor is not None
    assert caught.value.successor.operation_id == "op-new"
    assert not (await place.door().look_back(old)).released
    await place.door().release(old)
    assert (await place.door().look_back(old)).released
    newest = await place.door().newest()
    assert newest is not None
    assert (newest.operation_id, newest.released) == ("op-new", False)
    await place.door().renew(new)


async def test_a_waiter_gets_the_lock_when_it_is_given_back_or_is_told_who_has_it(
    place: Place,
) -> None:
    async with held(place, make_claim("op-first")):
        with pytest.raises(ClusterBusy, match="backup operation op-first holds the lock"):
            async with held(place, make_claim("op-hasty", patience_seconds=0)):
                pass
        waiting = asyncio.create_task(_held_once(place, make_claim("op-second")))
        await asyncio.wait({waiting}, timeout=1)
        assert not waiting.done()
    lock = await waiting
    assert lock.ours.generation == 2


async def test_a_holder_that_died_is_taken_over_after_its_lease_and_no_sooner(
    place: Place,
) -> None:
    assert await place.door().take(make_holder("op-dead"), over=None)
    began = time.monotonic()
    lock = await _held_once(place, make_claim("op-next", patience_seconds=0))
    assert time.monotonic() - began >= LEASE_SECONDS
    assert lock.ours.generation == 2


async def test_who_may_stop_the_holder_acts_when_that_one_has_stopped(place: Place) -> None:
    events: list[str] = []

    async def abort() -> None:
        claim = make_claim("op-abort", operation="abort", aborts="op-first")
        async with held(place, claim):
            events.append("abort acts")

    async with held(place, make_claim("op-first", lease_seconds=20)) as lock:
        aborting = asyncio.create_task(abort())
        with pytest.raises(LockLost, match="abort operation op-abort took over"):
            await _until_lost(lock)
        events.append("first stops")
    await aborting
    assert events == ["first stops", "abort acts"]


async def test_who_cannot_reach_its_door_stops_within_half_a_lease(place: Place) -> None:
    async with held(place, make_claim("op-cut-off")) as lock:
        place.server.pause()
        try:
            began = time.monotonic()
            with pytest.raises(LockLost, match="could not renew"):
                await _until_lost(lock)
            assert time.monotonic() - began <= LEASE_SECONDS
        finally:
            place.server.resume()


@pytest.mark.kubernetes
async def test_a_service_account_without_the_right_is_told_which_one_is_missing(
    kubernetes_api: KubernetesApi,
) -> None:
    async with open_kubernetes(str(kubernetes_api.powerless_config_file)) as api:
        door = LeaseDoor(api, namespace="default", name="chops-forbidden")
        with pytest.raises(NotAllowed, match='"nobody" cannot get resource "leases"'):
            await door.newest()


@pytest.mark.kubernetes
async def test_an_api_server_that_is_away_is_no_answer_about_the_lock(
    kubernetes_api: KubernetesApi,
) -> None:
    async with open_kubernetes(str(kubernetes_api.config_file)) as api:
        door = LeaseDoor(api, namespace="default", name="chops-away")
        kubernetes_api.server.stop()
        try:
            with pytest.raises(ClusterUnavailable, match="reading lease:default/chops-away"):
                await door.newest()
        finally:
            kubernetes_api.server.start()


@pytest.mark.kubernetes
async def test_a_lease_that_somebody_else_made_is_respected_and_names_its_holder(
    kubernetes_api: KubernetesApi,
) -> None:
    async with open_kubernetes(str(kubernetes_api.config_file)) as api:
        spec = V1LeaseSpec(holder_identity="someone-elses-tool", lease_duration_seconds=7)
        lease = V1Lease(metadata=V1ObjectMeta(name="chops-foreign"), spec=spec)
        await CoordinationV1Api(api).create_namespaced_lease("default", lease)
        holder = await LeaseDoor(api, namespace="default", name="chops-foreign").newest()
    assert holder is not None
    found = (holder.operation_id, holder.lease_seconds, holder.released)
    assert found == ("someone-elses-tool", 7, False)


async def _held_once(place: Place, claim: Claim) -> Lock:
    async with held(place, claim) as lock:
        await lock.check()
    return lock


async def _until_lost(lock: Lock) -> None:
    async with asyncio.timeout(60):
        while True:
            await lock.check()
            await asyncio.sleep(0.05)
