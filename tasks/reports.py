"""Reports: artifacts that a person reads without logs, and the one that machines read.

Keys are stable: `progress`, `plan`, `summary` and the sheets of an outcome for people, `outcome`
for machines. None of them holds a credential: they are made of outcomes and plans only.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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

from tasks.domain.outcomes import Outcome, Sheet

PROGRESS, PLAN, SUMMARY, OUTCOME = "progress", "plan", "summary", "outcome"
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

    def expect(self, steps: int) -> None:
        """Say how many more steps are to come."""
        self._steps = self._done + max(steps, 1)

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


async def report_sheet(sheet: Sheet) -> None:
    """Show a table before the operation ends: what is about to be done, for example."""
    async with best_effort(sheet.title):
        lines = list(sheet.lines[:_LONGEST])
        await acreate_table_artifact(lines, key=sheet.key, description=sheet.title)


async def report_outcome(outcome: Outcome) -> None:
    """Leave the outcome for machines, its sheets and its summary."""
    async with best_effort(outcome.headline):
        await _report_outcome(outcome)


async def _report_outcome(outcome: Outcome) -> None:
    document = outcome.bounded(_MOST).model_dump_json()
    await acreate_markdown_artifact(
        f"```json\n{document}\n```", key=OUTCOME, description="The outcome, for machines"
    )
    for sheet in outcome.sheets:
        await report_sheet(sheet)
    await acreate_markdown_artifact(summary_of(outcome), key=SUMMARY)


def summary_of(outcome: Outcome) -> str:
    """Render an outcome as one page of Markdown: what happened, in figures, and what to do."""
    lines = [f"# {outcome.headline}", "", "| what | value |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in outcome.facts.items()]
    for title, items in outcome.lists.items():
        if items:
            lines += ["", f"## {title}", "", *(f"- {item}" for item in _worst(items))]
    return "\n".join(lines) + "\n"


def page_of(outcome: Outcome) -> str:
    """Render the summary and every sheet, whole: for whoever has no Prefect UI."""
    return "\n".join([summary_of(outcome), *(_sheet(sheet) for sheet in outcome.sheets)])


def _sheet(sheet: Sheet) -> str:
    columns = list(sheet.lines[0]) if sheet.lines else []
    rows = [columns, ["---"] * len(columns), *(line.values() for line in sheet.lines)]
    cells = (" | ".join(str(value).replace("|", "\\|") for value in row) for row in rows)
    return "\n".join([f"## {sheet.title}", "", *(f"| {row} |" for row in cells)]) + "\n"


def _worst(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _LONGEST:
        return list(lines)
    return [*lines[:_LONGEST], f"and {len(lines) - _LONGEST} more"]
