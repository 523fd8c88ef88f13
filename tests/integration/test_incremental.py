"""A chain of increments: each point of it comes back, and nothing is built on a broken one."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.errors import OperationIncomplete, PreflightFailed
from tasks.domain.fingerprint import Verdict
from tasks.domain.outcomes import BackupOutcome
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

NIGHTLY = {"incremental": "auto", "schedule": "nightly"}


@pytest.fixture
def chained(
    each_sidecar: SidecarKind,
    benches: Callable[[int, int], Bench],
    cluster_factory: ClusterFactory,
    prefect_server: PrefectServer,
) -> Iterator[Bench]:
    """One shard beside each kind of sidecar."""
    if each_sidecar is SidecarKind.DOUBLE:
        yield from benches(1, 1).cleaned()
        return
    yield from Bench(cluster_factory(shards=1, sidecar=each_sidecar)).cleaned()


def base_of(made: BackupOutcome) -> str:
    (increment,) = made.increments
    return increment.base


def sent(made: BackupOutcome) -> float:
    """Tell which share of what was frozen had to be sent."""
    (increment,) = made.increments
    assert increment.frozen_bytes > 0
    return increment.sent_bytes / increment.frozen_bytes


@contextmanager
def broken(bench: Bench, backup: str) -> Iterator[None]:
    """Take the last object of a backup away, as an upload that was cut off leaves it."""
    (found,) = bench.cluster.remote.glob(f"backup/*/{backup}/metadata.json")
    away = found.rename(found.with_name("away"))
    try:
        yield
    finally:
        away.rename(found)


async def test_the_last_and_the_middle_of_a_chain_come_back_row_by_row(chained: Bench) -> None:
    chained.fill_shop(rows=30_000)
    first = await chained.backup("chain-1", **NIGHTLY)
    chained.add_orders(0, rows=300, first=500_000)
    middle = chained.contents("shop.orders")
    second = await chained.backup("chain-2", **NIGHTLY)
    chained.everywhere(
        "ALTER TABLE shop.orders UPDATE text = 'changed' WHERE id % 7 = 0 "
        "SETTINGS mutations_sync = 2"
    )
    last = chained.contents("shop.orders")
    third = await chained.backup("chain-3", **NIGHTLY)
    same = await chained.backup("chain-4", **NIGHTLY)
    assert [base_of(made) for made in (first, second, third, same)] == [
        "",
        "chain-1",
        "chain-2",
        "chain-3",
    ]
    assert sent(first) / 2 > sent(second) > sent(same)
    assert "chain-1" in second.facts["builds on"]

    chained.drop("shop")
    done = await chained.restore("chain-4")
    assert (done.verdict, chained.contents("shop.orders")) == (Verdict.PASSED, last)
    done = await chained.restore("chain-2", overwrite=True)
    assert (done.verdict, chained.contents("shop.orders")) == (Verdict.PASSED, middle)
    # the sidecar removes local copies without a size when it has fetched an increment
    assert chained.listed(0, "local") == {done.safety_copy}


async def test_nothing_is_built_on_a_broken_backup(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=90)
    await one_shard.backup("sound")
    with broken(one_shard, "sound"):
        with one_shard.refusal(PreflightFailed, "sound", "broken"):
            await one_shard.backup("named", incremental="sound")
        with one_shard.refusal(PreflightFailed, "nosuch"):
            await one_shard.backup("named", incremental="nosuch")
        made = await one_shard.backup("full", incremental="auto")
    assert base_of(made) == ""
    assert any("in full: no usable base among" in note and "sound" in note for note in made.notes)


async def test_an_increment_whose_base_breaks_while_it_is_uploaded_is_no_recovery_point(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=90)
    await one_shard.backup("base")
    with ExitStack() as until_the_end:
        with one_shard.turned(0, pause=("upload.metadata",)):
            running = asyncio.create_task(one_shard.backup("doomed", incremental="auto"))
            await one_shard.wait_for(
                lambda: one_shard.is_at_work(0, "upload"), what="the increment is uploaded"
            )
            until_the_end.enter_context(broken(one_shard, "base"))
        with pytest.raises(OperationIncomplete, match="base is listed as broken"):
            await running
    assert "doomed.manifest" not in one_shard.listed(0, "remote")


async def test_a_rerun_keeps_its_base_and_waits_for_it_to_be_sound(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=90)
    await one_shard.backup("base")
    asked = {"incremental": "auto", "operation_id": "op-kept"}
    one_shard.add_orders(0, first=5000)
    with (
        one_shard.turned(0, fail={"upload.data": "injected trouble"}),
        pytest.raises(OperationIncomplete, match="injected trouble"),
    ):
        await one_shard.backup("kept", **asked)
    with broken(one_shard, "base"), pytest.raises(OperationIncomplete, match="build on base"):
        await one_shard.backup("kept", **asked)
    made = await one_shard.backup("kept", **asked)
    assert base_of(made) == "base"
    assert "earlier attempt" in made.replicas[0].message
    commands = one_shard.commands(0, of="upload")
    assert all("--diff-from-remote=base" in c for c in commands if c.endswith(" kept"))
