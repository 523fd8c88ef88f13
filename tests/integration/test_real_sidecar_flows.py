"""The flows do with the real clickhouse-backup what they do with its stand-in."""

import asyncio
from collections.abc import Iterator

import pytest

from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.prefect_server import PrefectServer
from flows.abort import abort_operation
from tasks.domain.errors import LockLost, TargetNotEmpty
from tasks.domain.outcomes import Status
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench
from tests.integration.damage import spoil
from tests.integration.ended import demand_nothing_left, remote
from tests.integration.killing import LEASE
from tests.integration.kinds import ROWS, SCHEMA, answers, statements
from tests.peers.require import require_peer

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect, pytest.mark.real_sidecar]


@pytest.fixture(scope="module")
def real_cluster(cluster_factory: ClusterFactory) -> Bench:
    require_peer("clickhouse-backup")
    require_peer("versitygw")
    return Bench(cluster_factory(shards=2, sidecar=SidecarKind.REAL))


@pytest.fixture
def real_shards(real_cluster: Bench, prefect_server: PrefectServer) -> Iterator[Bench]:
    yield from real_cluster.cleaned()


async def test_every_kind_of_table_comes_back_through_a_real_sidecar(real_shards: Bench) -> None:
    real_shards.everywhere(*statements(SCHEMA), *statements(ROWS))
    before = answers(real_shards)
    made = await real_shards.backup("kinds")
    real_shards.drop("kinds", "other", "chops")
    real_shards.everywhere("DROP FUNCTION with_tax")
    done = await real_shards.restore("kinds")
    assert (made.status, done.status, done.verdict) == (
        Status.COMPLETED,
        Status.COMPLETED,
        "passed",
    )
    assert answers(real_shards) == before
    assert [real_shards.listed(n, "local") for n in range(2)] == [set(), set()]


async def test_overwriting_through_a_real_sidecar_keeps_what_was_there(real_shards: Bench) -> None:
    real_shards.fill_shop()
    before = real_shards.contents("shop.orders")
    await real_shards.backup("kept")
    real_shards.add_orders(0, first=5000)
    later = real_shards.contents("shop.orders")
    with pytest.raises(TargetNotEmpty, match=r"shop\.orders"):
        await real_shards.restore("kept")
    done = await real_shards.restore("kept", overwrite=True)
    assert real_shards.contents("shop.orders") == before
    real_shards.drop("shop")
    for number in range(2):
        real_shards.tell(number, f"restore {done.safety_copy}")
    assert real_shards.contents("shop.orders") == later


async def test_a_backup_is_aborted_while_a_real_sidecar_uploads(real_shards: Bench) -> None:
    real_shards.fill_shop(rows=20_000)
    before = remote(real_shards)
    slowly = LEASE | {"max_upload_bytes_per_second": 50_000}
    running = asyncio.create_task(
        real_shards.backup("aborted", operation_id="op-aborted", options=slowly)
    )
    await real_shards.wait_for(
        lambda: real_shards.is_at_work(1, "upload"), what="shard 1 is being uploaded"
    )
    form = real_shards.form({"options": LEASE}, operation_id="op-aborted")
    done = await abort_operation(**form)
    with pytest.raises(LockLost):
        await running
    assert done.status is Status.COMPLETED
    await demand_nothing_left(real_shards, "op-aborted")
    assert remote(real_shards) == before


async def test_an_upload_that_a_real_sidecar_resumed_after_its_death_is_attached_to(
    real_shards: Bench,
) -> None:
    real_shards.fill_shop(rows=20_000)
    before = real_shards.contents("shop.orders")
    slowly = {"max_upload_bytes_per_second": 50_000}
    running = asyncio.create_task(real_shards.backup("resumed", options=slowly))
    await real_shards.wait_for(
        lambda: real_shards.is_at_work(1, "upload"), what="shard 1 is being uploaded"
    )
    await asyncio.to_thread(real_shards.revive, 1)
    assert (await running).status is Status.COMPLETED
    real_shards.drop("shop")
    done = await real_shards.restore("resumed")
    assert done.verdict == "passed"
    assert real_shards.contents("shop.orders") == before


async def test_a_drill_through_a_real_sidecar_passes_and_one_of_a_spoiled_backup_names_its_shard(
    real_shards: Bench,
) -> None:
    real_shards.everywhere(*statements(SCHEMA), *statements(ROWS))
    await real_shards.backup("drilled")
    before, held = answers(real_shards), real_shards.state()
    done = await real_shards.verify("drilled")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed"), done.findings
    assert answers(real_shards) == before
    assert real_shards.state() == held

    stored = real_shards.cluster.remote.rglob("shard-1/drilled/shadow/kinds/rich/*")
    spoil(next(path for path in sorted(stored) if path.is_file()))
    found = await real_shards.verify("drilled")
    assert found.verdict == "failed"
    wrong = [finding for finding in found.findings if not finding.passed]
    assert {finding.shard for finding in wrong} == {"1"}
    assert real_shards.state() == held
