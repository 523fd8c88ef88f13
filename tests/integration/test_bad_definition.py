"""A definition that was spoiled in the bucket: told as a failure, mended, finished and undone."""

import pytest

from tasks.domain.errors import OperationIncomplete
from tasks.domain.outcomes import RestoreOutcome, Status
from tests.integration.bench import Bench
from tests.integration.damage import copy_of

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

FORM = {"overwrite": True, "accept_loss": ["shop.orders"], "operation_id": "op-spoiled"}


async def failed_restore(bench: Bench) -> RestoreOutcome:
    with pytest.raises(OperationIncomplete) as caught:
        await bench.restore("spoiled", **FORM)
    assert isinstance(caught.value.outcome, RestoreOutcome)
    return caught.value.outcome


def demand_told(outcome: RestoreOutcome, shard: str) -> None:
    """Demand that nobody can take it for a success, and that both ways out are named."""
    assert (outcome.status, outcome.verdict) == (Status.PARTIALLY_FAILED, "could not tell")
    (hurt,) = (replica for replica in outcome.replicas if replica.failed)
    assert hurt.shard == shard
    assert "MergeTrxe" in hurt.message
    doubted = [(c.shard, c.table) for c in outcome.comparisons if c.verdict != "passed"]
    assert doubted == [(shard, "shop.orders")]
    advice = "\n".join(outcome.next_steps)
    assert "operation_id='op-spoiled'" in advice
    assert "backup='pre-restore-op-spoiled'" in advice


def downloads(bench: Bench, number: int) -> int:
    """Count how often a sidecar fetched the backup itself, not its manifest."""
    return sum(text.endswith(" spoiled") for text in bench.commands(number, of="download"))


async def test_a_restore_that_could_create_nothing_is_finished_from_the_mended_bucket_and_undone(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    of_backup = three_shards.contents("shop.orders")
    await three_shards.backup("spoiled")
    three_shards.add_orders(1, rows=5, first=5000)
    replaced = three_shards.contents("shop.orders")
    definition = copy_of(three_shards, 1, "spoiled") / "metadata" / "shop" / "orders.json"
    whole = definition.read_text()
    definition.write_text(whole.replace("MergeTree", "MergeTrxe"))
    demand_told(await failed_restore(three_shards), three_shards.members[1].shard)
    assert three_shards.tables("shop")[1] == ""

    definition.write_text(whole)
    done = await three_shards.restore("spoiled", **FORM)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert three_shards.contents("shop.orders") == of_backup
    assert [downloads(three_shards, number) for number in range(3)] == [1, 2, 1]
    await three_shards.restore("pre-restore-op-spoiled", overwrite=True)
    assert three_shards.contents("shop.orders") == replaced
