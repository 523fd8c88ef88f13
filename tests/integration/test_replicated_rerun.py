"""Interrupted on servers that really replicate: a rerun waits, or makes all replicas anew."""

import asyncio

import pytest

from deployments.sandbox.layout import SidecarKind
from tasks.domain.errors import OperationIncomplete
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.replicated_shop import contents, open_shop

pytestmark = [
    pytest.mark.replicated,
    pytest.mark.prefect,
    # only a stand-in can be slowed down in the middle of an attach
    pytest.mark.parametrize("each_sidecar", [pytest.param(SidecarKind.DOUBLE, id="double")]),
]


def attaches(bench: Bench, number: int, name: str) -> bool:
    sent = bench.commands(number, of="restore")
    return any("--data" in command and command.endswith(f" {name}") for command in sent)


async def test_a_sibling_that_does_not_catch_up_in_time_is_a_doubt_that_a_rerun_clears(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    before = contents(replicas)
    await replicas.backup("slow-sibling")
    replicas.drop("shop")
    form = {"operation_id": "op-slow-sibling", "options": {"catch_up_timeout_seconds": 2}}
    with replicas.turned(0, seconds={"restore.attach": 4.0}):
        running = asyncio.create_task(replicas.restore("slow-sibling", **form))
        await replicas.wait_for(
            lambda: attaches(replicas, 0, "slow-sibling"),
            what="rows are about to be attached",
        )
        replicas.nodes[1].query("SYSTEM STOP FETCHES shop.orders")
    with pytest.raises(OperationIncomplete) as caught:
        await running
    replicas.nodes[1].query("SYSTEM START FETCHES shop.orders")
    first, sibling, *_ = caught.value.outcome.replicas
    assert (first.done, sibling.done) == (True, False)
    assert "could not tell" in sibling.message
    done = await replicas.restore("slow-sibling", operation_id="op-slow-sibling")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before


async def test_rows_that_were_half_attached_and_replicated_are_never_doubled(
    replicas: Bench,
) -> None:
    """A sibling has fetched what was attached: its table is made anew too."""
    open_shop(replicas)
    before = contents(replicas)
    await replicas.backup("half-spread")
    replicas.drop("shop")
    form = {"operation_id": "op-half-spread"}
    with replicas.turned(0, seconds={"restore.attach": 3.0}):
        running = asyncio.create_task(replicas.restore("half-spread", **form))
        await replicas.wait_for(
            lambda: replicas.holds_orders(1), what="some rows reached the sibling"
        )
        await asyncio.to_thread(replicas.revive, 0)
        with pytest.raises(OperationIncomplete):
            await running
    assert contents(replicas) != before
    done = await replicas.restore("half-spread", **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before
