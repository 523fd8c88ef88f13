"""Every run leaves artifacts that a person reads without logs, and one that machines parse."""

import pytest

from tasks.domain.outcomes import BackupOutcome, RestoreOutcome, Status
from tests.integration.bench import Bench
from tests.integration.runs import artifacts_of, run_of

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


def document(text: object) -> str:
    """Take the outcome out of its fence."""
    return str(text).removeprefix("```json\n").removesuffix("\n```")


async def test_a_finished_backup_tells_progress_plan_replicas_summary_and_outcome(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    state = await three_shards.backup_run("told")
    made = await state.aresult()
    told = await artifacts_of(run_of(state))
    assert set(told) == {"progress", "plan", "replicas", "summary", "outcome"}
    assert told["progress"].data == 100.0
    assert BackupOutcome.model_validate_json(document(told["outcome"].data)) == made
    for replica in made.replicas:
        assert replica.replica in str(told["replicas"].data)
        assert replica.replica in str(told["plan"].data)
    assert "| rows | 90 |" in str(told["summary"].data)


async def test_a_finished_restore_tells_every_table(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("compared")
    three_shards.drop("shop")
    state = await three_shards.restore_run("compared")
    done = await state.aresult()
    told = await artifacts_of(run_of(state))
    assert set(told) == {"progress", "plan", "replicas", "tables", "summary", "outcome"}
    assert told["progress"].data == 100.0
    assert RestoreOutcome.model_validate_json(document(told["outcome"].data)) == done
    assert str(told["tables"].data).count("passed") == 3


async def test_a_failed_backup_leaves_its_outcome_and_says_what_to_do(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    with three_shards.turned(1, fail={"upload.start": "injected trouble"}):
        state = await three_shards.backup_run("failing", operation_id="op-failing")
    assert state.is_failed()
    told = await artifacts_of(run_of(state))
    outcome = BackupOutcome.model_validate_json(document(told["outcome"].data))
    assert outcome.status is Status.PARTIALLY_FAILED
    assert "injected trouble" in str(told["replicas"].data)
    assert "operation_id='op-failing'" in str(told["summary"].data)
    assert "injected trouble" in str(state.message)
