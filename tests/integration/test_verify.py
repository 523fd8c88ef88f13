"""A backup is verified on every shard: what is whole passes, what is damaged is named."""

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def test_a_drill_of_a_sound_backup_passes_and_leaves_nothing(one_shard: Bench) -> None:
    one_shard.fill_shop()
    await one_shard.backup("sound")
    before = one_shard.state()
    done = await one_shard.verify("sound")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert one_shard.state() == before
