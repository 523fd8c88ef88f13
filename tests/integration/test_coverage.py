"""What came after the newest recovery point is told, until a later one holds it."""

import pytest

from flows.coverage import report_coverage
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_what_no_recovery_point_holds_is_told_until_one_does(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=30)
    await one_shard.backup("covered")
    one_shard.everywhere(
        "CREATE TABLE shop.late (id UInt64) ENGINE = MergeTree ORDER BY id",
        "INSERT INTO shop.late SELECT * FROM numbers(3)",
        "ALTER TABLE shop.orders ADD COLUMN more UInt8",
    )
    told = await report_coverage(**one_shard.form({}))
    drift = ("shop.late was created (shard 0)", "shop.orders was defined anew (shard 0)")
    assert [line.partition(" on ")[0] for line in told.coverage.unheld] == ["shop.late"]
    assert (told.coverage.newest, told.coverage.drift) == ("covered", drift)
    made = await one_shard.backup("later", incremental="auto")
    assert made.increments[0].base == "covered"
    assert (made.coverage.unheld, made.coverage.drift) == ((), drift)
