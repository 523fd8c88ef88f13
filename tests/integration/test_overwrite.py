"""Overwriting on purpose: with a plan, a safety copy, and losses that somebody named."""

import pytest

from tasks.domain.errors import InvalidRequest, TargetNotEmpty
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

LOG = (
    "CREATE TABLE shop.log (line String) ENGINE = Log",
    "INSERT INTO shop.log VALUES ('one')",
)


async def test_what_was_replaced_can_be_brought_back_from_the_safety_copy(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop()
    of_backup = one_shard.contents("shop.orders")
    await one_shard.backup("safe")
    one_shard.add_orders(0, first=5000)
    replaced = one_shard.contents("shop.orders")
    done = await one_shard.restore("safe", overwrite=True)
    assert one_shard.contents("shop.orders") == of_backup
    assert done.safety_copy == f"pre-restore-{done.operation_id}"
    assert done.safety_copy in one_shard.listed(0, "local")
    assert any(done.safety_copy in step for step in done.next_steps)
    one_shard.drop("shop")
    one_shard.tell(0, f"restore {done.safety_copy}")
    assert one_shard.contents("shop.orders") == replaced


async def test_no_safety_copy_is_kept_where_none_is_wanted_or_nothing_was_replaced(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup("unsafe")
    kept = await one_shard.restore("unsafe", overwrite=True, options={"keep_safety_copy": False})
    one_shard.drop("shop")
    fresh = await one_shard.restore("unsafe", overwrite=True)
    assert (kept.safety_copy, fresh.safety_copy) == (None, None)
    assert one_shard.listed(0, "local") == set()


async def test_rows_that_no_backup_holds_are_lost_only_when_named(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=10)
    one_shard.everywhere(*LOG)
    await one_shard.backup("lossy")
    with one_shard.refusal(TargetNotEmpty, "shop.log", "accept_loss", after_asking=True):
        await one_shard.restore("lossy", overwrite=True)
    with one_shard.refusal(TargetNotEmpty, "shop.log", after_asking=True):
        await one_shard.restore("lossy", overwrite=True, accept_loss=["shop.orders"])
    done = await one_shard.restore("lossy", overwrite=True, accept_loss=["shop.log"])
    assert done.status is Status.COMPLETED
    assert any("shop.log" in note for note in done.notes)
    assert one_shard.everywhere("SELECT count() FROM shop.log") == [["0"]]


async def test_a_dry_run_changes_nothing_and_its_digest_pins_the_plan(one_shard: Bench) -> None:
    one_shard.fill_shop()
    of_backup = one_shard.contents("shop.orders")
    await one_shard.backup("planned")
    one_shard.add_orders(0, first=5000)
    before = one_shard.state()
    planned = await one_shard.restore("planned", overwrite=True, dry_run=True)
    assert planned.status is Status.PLANNED
    assert one_shard.state() == before
    assert [line for line in planned.plan if "drop shop.orders" in line]
    assert any(planned.plan_digest in step for step in planned.next_steps)

    with one_shard.refusal(InvalidRequest, "approved", planned.plan_digest, after_asking=True):
        await one_shard.restore("planned", overwrite=True, approved_plan="0" * 64)
    done = await one_shard.restore("planned", overwrite=True, approved_plan=planned.plan_digest)
    assert done.plan_digest == planned.plan_digest
    assert one_shard.contents("shop.orders") == of_backup


async def test_an_approved_plan_does_not_cover_a_table_that_appeared_since(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup("outdated")
    one_shard.drop("shop")
    planned = await one_shard.restore("outdated", overwrite=True, dry_run=True)
    one_shard.fill_shop(rows=20)
    with one_shard.refusal(InvalidRequest, "approved", after_asking=True):
        await one_shard.restore("outdated", overwrite=True, approved_plan=planned.plan_digest)


async def test_tables_that_the_backup_does_not_hold_stay(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup("older")
    one_shard.everywhere(
        "CREATE TABLE shop.later (a UInt8) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO shop.later VALUES (1)",
    )
    await one_shard.restore("older", overwrite=True)
    assert one_shard.everywhere("SELECT * FROM shop.later") == [["1"]]
