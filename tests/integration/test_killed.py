"""A process or a sidecar killed in the middle: the rerun attaches or repairs, every row once."""

import asyncio

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.errors import OperationIncomplete
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.killing import LEASE, another_process

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_a_process_killed_while_a_sidecar_uploads_is_followed_by_one_that_attaches(
    three_shards: Bench, prefect_server: PrefectServer
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    form = {"backup_name": "attached", "operation_id": "op-attached"}
    with three_shards.turned(1, pause=("upload.data",)):
        with another_process(prefect_server, three_shards, "backup", **form):
            await three_shards.wait_for(
                lambda: three_shards.is_at_work(1, "upload"), what="shard 1 uploads"
            )
        rerun = asyncio.create_task(
            three_shards.backup("attached", operation_id="op-attached", options=LEASE)
        )
        await asyncio.wait({rerun}, timeout=LEASE["lease_seconds"])
        assert not rerun.done()
    assert (await rerun).status is Status.COMPLETED
    for shard in range(3):
        uploads = three_shards.commands(shard, of="upload")
        assert len([c for c in uploads if c.endswith(" attached")]) == 1
    three_shards.drop("shop")
    await three_shards.restore("attached")
    assert three_shards.contents("shop.orders") == before


@pytest.mark.parametrize(
    "step",
    [
        pytest.param("restore.schema", id="schema"),
        pytest.param("restore.attach", id="data"),
    ],
)
async def test_a_process_killed_in_a_restore_is_followed_by_one_that_attaches_each_row_once(
    three_shards: Bench, prefect_server: PrefectServer, step: str
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    name = f"killed-{step.replace('.', '-')}"
    await three_shards.backup(name)
    three_shards.drop("shop")
    form = {"backup": name, "operation_id": f"undo-{name}"}
    with (
        three_shards.turned(1, pause=(step,)),
        another_process(prefect_server, three_shards, "restore", **form),
    ):
        await three_shards.wait_for(
            lambda: three_shards.has_begun(1, "restore", name), what=f"shard 1 is at {step}"
        )
        await three_shards.wait_for(
            lambda: not three_shards.is_at_work(0, "restore"), what="the other shards are through"
        )
    done = await three_shards.restore(name, operation_id=f"undo-{name}", options=LEASE)
    assert done.status is Status.COMPLETED
    assert three_shards.contents("shop.orders") == before


async def test_a_process_killed_while_rows_are_attached_one_by_one_doubles_none(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    one_shard.fill_shop(rows=600, parts=6)
    before = one_shard.contents("shop.orders")
    await one_shard.backup("slowly")
    one_shard.drop("shop")
    form = {"backup": "slowly", "operation_id": "undo-slowly"}
    with (
        one_shard.turned(0, seconds={"restore.attach": 2.0}),
        another_process(prefect_server, one_shard, "restore", **form),
    ):
        await one_shard.wait_for(lambda: one_shard.holds_orders(0), what="some rows are back")
    done = await one_shard.restore("slowly", operation_id="undo-slowly", options=LEASE)
    assert done.status is Status.COMPLETED
    assert one_shard.contents("shop.orders") == before


async def test_an_upload_that_the_sidecar_resumed_after_its_death_is_attached_to(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    with three_shards.turned(1, pause=("upload.data",)):
        running = asyncio.create_task(three_shards.backup("resumed", operation_id="op-resumed"))
        state = three_shards.nodes[1].data_dir / "backup" / "resumed" / "upload.state2"
        await three_shards.wait_for(state.exists, what="shard 1 knows how far it is")
        await asyncio.to_thread(three_shards.revive, 1)
        await three_shards.wait_for(
            lambda: three_shards.is_at_work(1, "upload"), what="the sidecar resumed by itself"
        )
    assert (await running).status is Status.COMPLETED
    (resumed,) = (c for c in three_shards.commands(1, of="upload") if c.endswith(" resumed"))
    assert "CHOPS_OP" not in resumed
    three_shards.drop("shop")
    await three_shards.restore("resumed")
    assert three_shards.contents("shop.orders") == before


async def test_a_sidecar_that_makes_its_tables_anew_does_not_fail_its_shard(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90)
    actions = three_shards.nodes[1].query("SHOW CREATE TABLE system.backup_actions FORMAT TSVRaw")
    with three_shards.turned(1, pause=("upload.data",)):
        running = asyncio.create_task(three_shards.backup("tableless"))
        await three_shards.wait_for(
            lambda: three_shards.is_at_work(1, "upload"), what="shard 1 uploads"
        )
        three_shards.nodes[1].query("DROP TABLE system.backup_actions SYNC")
        await asyncio.wait({running}, timeout=4)
        assert not running.done()
        three_shards.nodes[1].query(actions)
    assert (await running).status is Status.COMPLETED


async def test_a_sidecar_that_dies_while_it_attaches_is_told_and_a_rerun_repairs(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90, parts=6)
    before = three_shards.contents("shop.orders")
    await three_shards.backup("half-attached")
    three_shards.drop("shop")
    form = {"operation_id": "undo-half-attached"}
    with three_shards.turned(1, seconds={"restore.attach": 2.0}):
        running = asyncio.create_task(three_shards.restore("half-attached", **form))
        await three_shards.wait_for(
            lambda: three_shards.holds_orders(1), what="some rows are back on shard 1"
        )
        await asyncio.to_thread(three_shards.revive, 1)
        with pytest.raises(OperationIncomplete) as caught:
            await running
    assert [replica.done for replica in caught.value.outcome.replicas] == [True, False, True]
    assert three_shards.contents("shop.orders")[1] != before[1]
    done = await three_shards.restore("half-attached", **form)
    assert done.status is Status.COMPLETED
    assert three_shards.contents("shop.orders") == before
