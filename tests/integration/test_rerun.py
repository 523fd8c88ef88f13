"""One shard's failure hides no other's success, and a rerun finishes what is left, once."""

import asyncio

import pytest

from tasks.domain.errors import (
    InvalidRequest,
    OperationIncomplete,
    TargetNotEmpty,
)
from tasks.domain.outcomes import Outcome, RestoreOutcome, Status
from tests.integration.bench import ORDERS, Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


def of_data(bench: Bench, number: int, name: str) -> list[str]:
    """Tell the verbs of a backup's own commands, those of companions left out."""
    return [c.split()[0] for c in bench.commands(number) if c.endswith(f" {name}")]


async def incomplete_backup(bench: Bench, name: str, **knobs: object) -> Outcome:
    """Let shard 1 fail in the operation op-<name>."""
    with bench.turned(1, **knobs), pytest.raises(OperationIncomplete) as caught:
        await bench.backup(name, operation_id=f"op-{name}")
    return caught.value.outcome


async def incomplete_restore(
    bench: Bench, name: str, *, overwrite: bool = False, **knobs: object
) -> RestoreOutcome:
    with bench.turned(1, **knobs), pytest.raises(OperationIncomplete) as caught:
        await bench.restore(name, operation_id=f"undo-{name}", overwrite=overwrite)
    outcome = caught.value.outcome
    assert isinstance(outcome, RestoreOutcome)
    return outcome


@pytest.mark.parametrize("step", ["create.freeze", "upload.data", "upload.metadata"])
async def test_one_failed_shard_hides_no_success_and_a_rerun_finishes_the_backup(
    three_shards: Bench, step: str
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    name = f"half-{step.replace('.', '-')}"
    outcome = await incomplete_backup(three_shards, name, fail={step: "injected trouble"})
    assert outcome.status is Status.PARTIALLY_FAILED
    assert [replica.phase for replica in outcome.replicas][::2] == ["uploaded", "uploaded"]
    assert "injected trouble" in outcome.replicas[1].message
    assert any(f"operation_id='op-{name}'" in told for told in outcome.next_steps)
    for shard in range(3):
        assert f"{name}.manifest" not in three_shards.listed(shard, "remote")

    done = await three_shards.backup(name, operation_id=f"op-{name}")
    assert done.status is Status.COMPLETED
    assert of_data(three_shards, 0, name)[:2] == ["create", "upload"]
    assert of_data(three_shards, 0, name).count("create") == 1
    assert of_data(three_shards, 2, name).count("upload") == 1
    three_shards.drop("shop")
    await three_shards.restore(name)
    assert three_shards.contents("shop.orders") == before


async def test_a_backup_that_lacks_one_copy_of_its_manifest_is_whole_and_a_rerun_writes_it(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    with three_shards.turned(1, pause=("upload.data",)):
        running = asyncio.create_task(
            three_shards.backup("uncommitted", operation_id="op-uncommitted")
        )
        await three_shards.wait_for(
            lambda: three_shards.is_at_work(1, "upload"), what="shard 1 uploads"
        )
        with (
            three_shards.turned(1, fail={"create.freeze": "injected trouble"}),
            pytest.raises(OperationIncomplete) as caught,
        ):
            await running
    phases = [replica.phase for replica in caught.value.outcome.replicas]
    assert phases == ["committed", "uploaded", "committed"]
    assert "can be restored" in caught.value.outcome.next_steps[0]
    assert "uncommitted.manifest" not in three_shards.listed(1, "remote")
    before = three_shards.contents("shop.orders")
    three_shards.drop("shop")
    await three_shards.restore("uncommitted")
    assert three_shards.contents("shop.orders") == before
    done = await three_shards.backup("uncommitted", operation_id="op-uncommitted")
    assert done.status is Status.COMPLETED
    for shard in range(3):
        assert "uncommitted.manifest" in three_shards.listed(shard, "remote")
        assert of_data(three_shards, shard, "uncommitted").count("upload") == 1


async def test_a_rerun_must_ask_for_the_same(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await incomplete_backup(three_shards, "same", fail={"upload.start": "injected"})
    with three_shards.refusal(InvalidRequest, "op-same", "new operation id"):
        await three_shards.backup("other", operation_id="op-same")
    with three_shards.refusal(InvalidRequest, "op-same", "new operation id"):
        await three_shards.backup("same", operation_id="op-same", tables=["shop.*"])


async def test_a_finished_backup_run_again_changes_nothing(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    first = await three_shards.backup("again", operation_id="op-again")
    sent = [of_data(three_shards, shard, "again") for shard in range(3)]
    three_shards.add_orders(0, first=5000)
    second = await three_shards.backup("again", operation_id="op-again")
    assert (second.status, second.rows) == (Status.COMPLETED, first.rows)
    assert [of_data(three_shards, shard, "again") for shard in range(3)] == sent


@pytest.mark.parametrize("step", ["download.data", "restore.schema", "restore.attach"])
async def test_an_interrupted_restore_run_again_attaches_every_row_once(
    three_shards: Bench, step: str
) -> None:
    three_shards.fill_shop(rows=90)
    before = three_shards.contents("shop.orders")
    name = f"undo-{step.replace('.', '-')}"
    await three_shards.backup(name)
    three_shards.drop("shop")
    outcome = await incomplete_restore(three_shards, name, fail={step: "injected trouble"})
    assert "injected trouble" in outcome.replicas[1].message
    done = await three_shards.restore(name, operation_id=f"undo-{name}")
    assert done.status is Status.COMPLETED
    assert done.verdict == "passed"
    assert three_shards.contents("shop.orders") == before
    for shard in (0, 2):
        data = [c for c in three_shards.commands(shard, of="restore") if c.endswith(f" {name}")]
        assert len([c for c in data if " --data " in c]) == 1


async def test_nothing_is_dropped_while_one_shard_cannot_download(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=90)
    await three_shards.backup("prepared")
    three_shards.add_orders(0, first=5000)
    before = three_shards.contents("shop.orders")
    knobs = {"fail": {"download.data": "injected trouble"}}
    with three_shards.turned(1, **knobs), pytest.raises(OperationIncomplete):
        await three_shards.restore("prepared", overwrite=True)
    assert three_shards.contents("shop.orders") == before


@pytest.mark.parametrize(
    ("overwrite", "refusal"),
    [
        pytest.param(False, TargetNotEmpty, id="guarded"),
        pytest.param(True, OperationIncomplete, id="overwriting"),
    ],
)
async def test_a_table_that_somebody_recreated_meanwhile_is_not_touched_by_the_rerun(
    three_shards: Bench, *, overwrite: bool, refusal: type[Exception]
) -> None:
    three_shards.fill_shop(rows=30)
    name = f"contested-{overwrite}"
    await three_shards.backup(name)
    if not overwrite:
        three_shards.drop("shop")
    trouble = {"restore.data": "injected trouble"}
    await incomplete_restore(three_shards, name, overwrite=overwrite, fail=trouble)
    three_shards.nodes[1].query("DROP TABLE shop.orders SYNC")
    three_shards.nodes[1].query(ORDERS)
    three_shards.add_orders(1, rows=7)
    before = three_shards.contents("shop.orders")
    with pytest.raises(refusal) as caught:
        await three_shards.restore(name, operation_id=f"undo-{name}", overwrite=overwrite)
    assert "shop.orders" in str(caught.value)
    assert three_shards.contents("shop.orders") == before
