"""What was backed up comes back, row by row, out of the remote copy."""

import shutil

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_a_dropped_database_comes_back_row_by_row(one_shard: Bench) -> None:
    one_shard.fill_shop()
    before = one_shard.contents("shop.orders")
    made = await one_shard.backup("slice")
    one_shard.drop("shop")
    done = await one_shard.restore("slice")
    assert (made.status, done.status) == (Status.COMPLETED, Status.COMPLETED)
    assert (made.rows, done.verdict) == (300, "passed")
    assert one_shard.contents("shop.orders") == before


async def test_neither_backup_nor_restore_leaves_a_local_copy_that_pins_disk(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop()
    await one_shard.backup("unpinned")
    assert one_shard.listed(0, "local") == set()
    one_shard.drop("shop")
    await one_shard.restore("unpinned")
    assert one_shard.listed(0, "local") == set()
    assert {"unpinned", "unpinned.manifest"} <= one_shard.listed(0, "remote")


async def test_a_restore_reads_the_remote_copy_though_a_spoilt_local_one_has_its_name(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop()
    before = one_shard.contents("shop.orders")
    await one_shard.backup("remote-only")
    one_shard.tell(0, "download remote-only")
    shadow = one_shard.nodes[0].data_dir / "backup" / "remote-only" / "shadow"
    shutil.rmtree(next(shadow.rglob("*_*_*_*")))
    one_shard.drop("shop")
    done = await one_shard.restore("remote-only")
    assert done.verdict == "passed"
    assert one_shard.contents("shop.orders") == before
    assert one_shard.listed(0, "local") == set()


async def test_what_was_written_after_the_backup_is_not_in_it(one_shard: Bench) -> None:
    one_shard.fill_shop()
    before = one_shard.contents("shop.orders")
    await one_shard.backup("of-then")
    one_shard.add_orders(0, first=5000)
    await one_shard.restore("of-then", overwrite=True)
    assert one_shard.contents("shop.orders") == before
