"""Reports: artifacts that a person reads without logs, and the one that machines read.

Keys are stable: `progress`, `replicas`, `plan`, `tables`, `summary` for people, `outcome` for
machines. None of them holds a credential: they are made of outcomes and plans only.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectException

from tasks.domain.outcomes import (
    AbortOutcome,
    BackupOutcome,
    Outcome,
    ReplicaOutcome,
    RestoreOutcome,
)

PROGRESS, REPLICAS, PLAN, TABLES = "progress", "replicas", "plan", "tables"
SUMMARY, OUTCOME = "summary", "outcome"
_LONGEST = 50  # rows of a table that a person reads
_MOST = 1000  # of one kind that machines read; what the flow returns holds them all


class Progress:
    """One progress artifact per run: how many steps of how many, and which phase.

    It is written for each whole percent and each phase, however many steps there are.
    """

    def __init__(self, artifact: UUID | None, steps: int) -> None:
        self._artifact = artifact
        self._steps = steps
        self._done = 0
        self._told = (0, "")

    @classmethod
    async def of(cls, steps: int, *, what: str) -> "Progress":
        artifact: UUID | None = None
        async with best_effort(f"progress of {what}"):
            artifact = await acreate_progress_artifact(0.0, key=PROGRESS, description=what)
        return cls(artifact, steps)

    async def advance(self, phase: str, steps: int = 1) -> None:
        """Say that `steps` more steps ended, the last ones in `phase`."""
        self._done = min(self._done + steps, self._steps)
        percent = 100.0 * self._done / self._steps
        told = (int(percent), phase)
        if self._artifact is None or told == self._told:
            return
        self._told = told
        async with best_effort(f"progress {percent:.1f} %, {phase}"):
            await aupdate_progress_artifact(self._artifact, round(percent, 1), description=phase)


@asynccontextmanager
async def best_effort(what: str) -> AsyncIterator[None]:
    """Let a Prefect server that is away cost a report, never the operation."""
    try:
        yield
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().warning("not reported (%s): %s", error, what)


async def report_waiting(reason: str) -> None:
    """Show why nothing happens yet: in the log, and where the progress will be."""
    get_run_logger().info(reason)
    async with best_effort(reason):
        await acreate_progress_artifact(0.0, key=PROGRESS, description=reason)


def report_abandoned(sentence: str) -> None:
    """Say in the log what became of the operation: a run that is cancelled has no outcome."""
    get_run_logger().warning(sentence)


async def report_plan(lines: Sequence[str], *, title: str) -> None:
    """Show what is about to be done."""
    text = "\n".join([f"# {title}", "", *(f"- {line}" for line in _worst(lines))])
    async with best_effort(title):
        await acreate_markdown_artifact(text, key=PLAN, description=title)


async def report_outcome(outcome: Outcome) -> None:
    """Leave the outcome for machines, the table of replicas and the summary."""
    async with best_effort(outcome.headline):
        await _report_outcome(outcome)


async def _report_outcome(outcome: Outcome) -> None:
    document = bounded(outcome).model_dump_json()
    await acreate_markdown_artifact(
        f"```json\n{document}\n```", key=OUTCOME, description="The outcome, for machines"
    )
    rows = [_replica_row(replica) for replica in outcome.replicas]
    worst_first = sorted(rows, key=lambda row: row["done"] == "yes")[:_LONGEST]
    await acreate_table_artifact(worst_first, key=REPLICAS, description="What each replica did")
    if isinstance(outcome, RestoreOutcome) and outcome.comparisons:
        await acreate_table_artifact(
            _comparison_rows(outcome), key=TABLES, description="Each table against its fingerprint"
        )
    await acreate_markdown_artifact(summary_of(outcome), key=SUMMARY)


def bounded(outcome: Outcome) -> Outcome:
    """Keep what fits into an artifact: the worst of all that grows with the number of tables."""
    kept: dict[str, Any] = {"notes": outcome.notes[:_MOST]}
    if isinstance(outcome, BackupOutcome):
        kept["uncovered"] = outcome.uncovered[:_MOST]
    if isinstance(outcome, RestoreOutcome):
        worst_first = sorted(outcome.comparisons, key=lambda table: table.verdict == "passed")
        kept |= {"plan": outcome.plan[:_MOST], "comparisons": tuple(worst_first[:_MOST])}
    return outcome.model_copy(update=kept)


def summary_of(outcome: Outcome) -> str:
    """Render an outcome as one page of Markdown: what happened, in figures, and what to do."""
    facts = _facts(outcome)
    lines = [f"# {outcome.headline}", ""]
    lines += ["| what | value |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in facts.items()]
    for title, items in (
        ("What to do next", outcome.next_steps),
        ("Worth knowing", outcome.notes),
        ("Not covered", getattr(outcome, "uncovered", ())),
    ):
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in _worst(items))]
    return "\n".join(lines) + "\n"


def human_size(size_bytes: float) -> str:
    """Render bytes in binary units, one digit after the point."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    size, unit = size_bytes, units[0]
    for unit in units:
        if size < 1024 or unit == units[-1]:  # noqa: PLR2004
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _facts(outcome: Outcome) -> Mapping[str, Any]:
    common = {
        "backup": outcome.backup_name,
        "installation": outcome.installation,
        "operation id": outcome.operation_id,
        "took": f"{outcome.seconds:.1f} s",
    }
    if isinstance(outcome, BackupOutcome):
        skew = outcome.skew_seconds
        return {
            **common,
            "scope": outcome.scope,
            "rows": f"{outcome.rows:,}",
            "size in the bucket": human_size(outcome.size_bytes),
            "skew between shards": "unknown" if skew is None else f"at most {skew:.2f} s",
            "manifest": "written" if outcome.manifest_written else "not written",
        }
    if isinstance(outcome, RestoreOutcome):
        return {
            **common,
            "verdict": outcome.verdict,
            "tables compared": len(outcome.comparisons),
            "rows": f"{sum(table.rows for table in outcome.comparisons):,}",
            "plan digest": outcome.plan_digest[:12],
            "safety copy": outcome.safety_copy or "none",
        }
    if isinstance(outcome, AbortOutcome):
        return {**common, "aborted": f"{outcome.aborted_operation} operation {outcome.aborted}"}
    return common


def _replica_row(replica: ReplicaOutcome) -> dict[str, Any]:
    return {
        "shard": replica.shard,
        "replica": replica.replica,
        "done": "yes" if replica.done else "NO",
        "last phase": replica.phase,
        "tables": replica.tables,
        "rows": replica.rows,
        "size": human_size(replica.size_bytes),
        "message": replica.message,
    }


def _comparison_rows(outcome: RestoreOutcome) -> list[dict[str, Any]]:
    worst_first = sorted(outcome.comparisons, key=lambda table: table.verdict == "passed")
    return [
        {
            "shard": table.shard,
            "replica": table.replica,
            "table": table.table,
            "verdict": table.verdict.value,
            "rows": table.rows,
            "rows of others": table.foreign_rows,
            "message": table.message,
        }
        for table in worst_first[:_LONGEST]
    ]


def _worst(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _LONGEST:
        return list(lines)
    return [*lines[:_LONGEST], f"and {len(lines) - _LONGEST} more"]
