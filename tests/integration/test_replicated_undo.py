"""Undoing a restore on servers that really replicate: rows come back once, to all of them."""

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.replicated_shop import LOSSES, catch_up, contents, counts, open_shop

pytestmark = [pytest.mark.replicated, pytest.mark.prefect]


async def test_an_undo_brings_replicated_rows_back_once_and_local_rows_to_each_replica(
    replicated: Bench,
) -> None:
    open_shop(replicated)
    await replicated.backup("mistaken")
    replicated.add_orders(1, first=7000, rows=50)
    replicated.add_orders(2, first=7000, rows=70)
    catch_up(replicated)
    before = contents(replicated), contents(replicated, "shop.seen")
    done = await replicated.restore("mistaken", overwrite=True, accept_loss=LOSSES)
    assert counts(replicated) == [300] * 4
    undone = await replicated.restore(f"pre-restore-{done.operation_id}", overwrite=True)
    assert (undone.status, undone.verdict) == (Status.COMPLETED, "passed")
    assert (contents(replicated), contents(replicated, "shop.seen")) == before
