"""Reports: what a person reads without logs, the worst first, and nothing that breaks the page."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import reports
from tasks.domain.fingerprint import Verdict
from tasks.domain.outcomes import BackupOutcome, Outcome, RestoreOutcome, Status, TableComparison
from tasks.domain.units import human_size
from tasks.reports import Progress, summary_of
from tests.builders import (
    BACKUP,
    NOW,
    OPERATION,
    make_backup_outcome,
    make_replica_outcome,
    make_restore_outcome,
    replica_name,
)

FAILED = make_replica_outcome(
    shard="1", replica=replica_name(1), done=False, failed=True, message="the disk is full"
)


def make_comparison(**fields: Any) -> TableComparison:
    defaults: dict[str, Any] = {
        "shard": "0",
        "replica": replica_name(),
        "table": "shop.orders",
        "verdict": Verdict.PASSED,
        "rows": 10,
    }
    return TableComparison(**(defaults | fields))


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (1024**5, "1.0 PiB"),
        (5000 * 1024**5, "5000.0 PiB"),
    ],
)
def test_a_size_is_told_in_binary_units(size_bytes: int, told: str) -> None:
    assert human_size(size_bytes) == told


@given(st.integers(min_value=0, max_value=2**63))
def test_any_size_is_told_in_a_few_characters(size_bytes: int) -> None:
    assert len(human_size(size_bytes)) <= 10


@pytest.mark.parametrize("outcome", [make_backup_outcome(), make_restore_outcome()])
def test_a_summary_begins_with_what_happened_to_what(outcome: Outcome) -> None:
    assert summary_of(outcome).startswith(f"# {outcome.headline}\n")
    assert f"| operation id | {OPERATION} |" in summary_of(outcome)


def test_a_headline_counts_replicas_and_names_the_first_failure() -> None:
    outcome = make_backup_outcome(
        status=Status.PARTIALLY_FAILED, replicas=(make_replica_outcome(), FAILED)
    )
    assert outcome.headline == (
        f"backup of {BACKUP} on demo: PartiallyFailed, 1 of 2 replicas done in 90.0 s; "
        "shard 1: the disk is full"
    )


def test_a_replica_that_only_waits_for_others_is_not_named_as_the_failure() -> None:
    waiting = make_replica_outcome(done=False, failed=False, message="first replica of the shard")
    outcome = make_backup_outcome(replicas=(waiting, FAILED))
    assert outcome.headline.endswith("shard 1: the disk is full")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        pytest.param({"rows": 1234567}, "| rows | 1,234,567 |", id="rows"),
        pytest.param({"size_bytes": 2048}, "| size in the bucket | 2.0 KiB |", id="size"),
        pytest.param({"skew_seconds": 0.25}, "at most 0.25 s |", id="skew"),
        pytest.param({"skew_seconds": None}, "| skew between shards | unknown |", id="no-skew"),
        pytest.param({"manifest_written": True}, "| manifest | written |", id="manifest"),
        pytest.param({"manifest_written": False}, "| manifest | not written |", id="no-manifest"),
    ],
)
def test_a_backup_is_told_in_figures(fields: dict[str, Any], line: str) -> None:
    assert line in summary_of(make_backup_outcome(**fields))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        pytest.param({"verdict": Verdict.UNKNOWN}, "| verdict | could not tell |", id="verdict"),
        pytest.param(
            {"comparisons": (make_comparison(), make_comparison())}, "| rows | 20 |", id="rows"
        ),
        pytest.param({"safety_copy": None}, "| safety copy | none |", id="no-safety-copy"),
        pytest.param({"safety_copy": "x"}, "| safety copy | x |", id="safety-copy"),
        pytest.param({"plan_digest": "a" * 64}, f"| plan digest | {'a' * 12} |", id="digest"),
    ],
)
def test_a_restore_is_told_in_figures(fields: dict[str, Any], line: str) -> None:
    assert line in summary_of(make_restore_outcome(**fields))


@pytest.mark.parametrize(
    ("field", "title"),
    [
        pytest.param("next_steps", "## What to do next", id="next-steps"),
        pytest.param("notes", "## Worth knowing", id="notes"),
        pytest.param("uncovered", "## Not covered", id="uncovered"),
    ],
)
def test_a_section_stands_only_where_it_says_something(field: str, title: str) -> None:
    """Weak point 1: rows that no backup holds were not reported."""
    assert title not in summary_of(make_backup_outcome())
    page = summary_of(make_backup_outcome(**{field: ("one thing",)}))
    assert f"{title}\n\n- one thing\n" in page


def test_a_long_list_is_cut_and_says_so() -> None:
    page = summary_of(make_backup_outcome(notes=tuple(f"note {n}" for n in range(120))))
    assert page.count("- note ") == 50
    assert "- and 70 more" in page


outcomes = st.builds(
    BackupOutcome,
    started=st.just(NOW),
    finished=st.just(NOW + timedelta(seconds=1)),
    replicas=st.just((FAILED,)),
    status=st.sampled_from(Status),
    skew_seconds=st.none() | st.floats(min_value=0, max_value=1e6),
    size_bytes=st.integers(min_value=0),
    rows=st.integers(min_value=0),
)


@given(outcomes)
def test_an_outcome_for_machines_is_read_back(outcome: BackupOutcome) -> None:
    assert BackupOutcome.model_validate_json(outcome.model_dump_json()) == outcome


@given(outcomes)
def test_an_outcome_for_machines_is_one_line_that_no_fence_can_close(
    outcome: BackupOutcome,
) -> None:
    assert "\n" not in outcome.model_dump_json()


def test_a_restore_outcome_is_read_back() -> None:
    outcome = make_restore_outcome(comparisons=(make_comparison(),), verdict=Verdict.PASSED)
    assert RestoreOutcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_an_outcome_for_machines_keeps_the_worst_of_many_tables() -> None:
    passed = tuple(make_comparison(table=f"shop.t{number}") for number in range(20_000))
    failed = make_comparison(table="shop.last", verdict=Verdict.FAILED)
    lines = tuple(f"create shop.t{number}" for number in range(20_000))
    whole = make_restore_outcome(comparisons=(*passed, failed), plan=lines)
    kept = whole.bounded(1000)
    assert kept.comparisons[0] == failed
    assert len(kept.model_dump_json()) < 500_000
    assert kept.plan_digest == whole.plan_digest
    assert kept.bounded(1000) == kept


async def test_progress_is_written_once_for_each_percent_and_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[tuple[float, str]] = []

    async def update(_: object, percent: float, *, description: str) -> None:
        written.append((percent, description))

    monkeypatch.setattr(reports, "aupdate_progress_artifact", update)
    progress = Progress(uuid4(), 7000)
    for phase in ("create", "upload"):
        for _ in range(3500):
            await progress.advance(phase)
    assert written[-1] == (100.0, "upload")
    assert Counter(phase for _, phase in written) == {"create": 51, "upload": 51}


async def test_a_prefect_that_is_away_when_an_operation_begins_costs_its_progress_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: object, **__: object) -> UUID:
        message = "connection refused"
        raise httpx.ConnectError(message)

    warned: list[object] = []
    logger = SimpleNamespace(warning=lambda *words: warned.append(words))
    monkeypatch.setattr(reports, "acreate_progress_artifact", away)
    monkeypatch.setattr(reports, "aupdate_progress_artifact", away)
    monkeypatch.setattr(reports, "get_run_logger", lambda: logger)
    progress = await Progress.of(2, what="backup of demo")
    await progress.advance("create")
    assert len(warned) == 1
