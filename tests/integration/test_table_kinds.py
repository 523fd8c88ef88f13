"""Tables of every kind come back with what they held, and no view counts a row twice."""

import pytest

from tasks.domain.errors import TargetNotEmpty
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.kinds import ROWS, SCHEMA, answers, statements

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_every_kind_of_table_comes_back_and_views_double_nothing_and_go_on(
    one_shard: Bench,
) -> None:
    one_shard.everywhere(*statements(SCHEMA), *statements(ROWS))
    before = answers(one_shard)
    await one_shard.backup("kinds")
    one_shard.drop("kinds", "other")
    one_shard.everywhere("DROP FUNCTION with_tax")
    done = await one_shard.restore("kinds")
    assert done.status is Status.COMPLETED
    assert {compared.verdict for compared in done.comparisons} == {"passed"}
    assert answers(one_shard) == before
    assert one_shard.everywhere("SELECT count() FROM kinds.journal") == [["0"]]
    too_early = "SELECT count() FROM other.counted WHERE at > '2026-06-01' AND rows != 20"
    assert one_shard.everywhere(too_early) == [["0"]]

    one_shard.everywhere(statements(ROWS)[0])
    fed = ("SELECT sum(orders) FROM kinds.daily", "SELECT sum(rows) FROM kinds.inside")
    assert one_shard.everywhere(*fed) == [["1000", "1000"]]


async def test_a_replaced_sql_function_is_not_overwritten_unasked(one_shard: Bench) -> None:
    one_shard.everywhere(*statements(SCHEMA), *statements(ROWS))
    await one_shard.backup("function")
    one_shard.drop("kinds", "other")
    one_shard.everywhere("CREATE OR REPLACE FUNCTION with_tax AS (price) -> price * 3")
    with one_shard.refusal(TargetNotEmpty, "with_tax", "overwrite", after_asking=True):
        await one_shard.restore("function")
    assert one_shard.everywhere("SELECT with_tax(2)") == [["6"]]
