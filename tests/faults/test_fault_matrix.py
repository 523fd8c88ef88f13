"""The fault matrix: a part breaks at one point of one phase; run again, the operation completes."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.cells import STEPS, Cell, Fault, Target
from tests.faults.results import Result, Verdict, tell
from tests.faults.stories import CELL, STORIES, Scene, Story
from tests.faults.strikes import strike
from tests.integration.killing import End
from tests.moments import Moment

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect, pytest.mark.timeout(600)]

_ADVICE = re.compile(
    r"What to do next|run it again|Run it again|operation_id=|move them|use another"
)


def test_whatever_breaks_the_operation_run_again_leaves_every_row_once_and_no_orphan(
    cell: Cell, stage: Scene, request: pytest.FixtureRequest
) -> None:
    began = time.monotonic()

    def told(verdict: Verdict, words: str = "") -> None:
        tell(request, Result.of(cell, verdict, seconds=time.monotonic() - began, told=words))

    told(Verdict.FAILED)
    story = STORIES[cell.operation](stage, f"{CELL}{time.time_ns()}")
    story.prepare()
    first = _interrupted(cell, story, stage, seconds=request.config.getoption("--stop-seconds"))
    end = first if first.completed else _run_again(cell, story, stage)
    if end.completed:
        with _history_told(stage, first):
            story.demand_done()
        told(Verdict.WENT_ON if first.completed else Verdict.RAN_AGAIN, first.told)
        return
    assert end.ours, end.told
    assert _ADVICE.search(end.told), end.told
    told(Verdict.REFUSED, end.told)


def _interrupted(cell: Cell, story: Story, stage: Scene, *, seconds: float) -> End:
    """Run it until the moment, break the part, and see how it ends."""
    struck = stage.shop.struck
    moment = Moment(
        phase=cell.phase,
        replica=stage.bench.members[struck].replica,
        point=cell.point,
        step=STEPS.get(cell.phase, ""),
        knobs=stage.bench.sidecar(struck).knobs,
    )
    with stage.running(cell.operation, story.form, moment) as flow:
        assert flow.is_held(), f"{moment} was not reached: {flow.end()}"
        strike(cell.target, cell.fault, scene=stage, flow=flow, seconds=seconds)
        killed = cell.target is Target.FLOW and cell.fault is Fault.KILL
        return End(error="killed") if killed else flow.end()


def _run_again(cell: Cell, story: Story, stage: Scene) -> End:
    with stage.running(cell.operation, story.form) as flow:
        return flow.end()


@contextmanager
def _history_told(stage: Scene, first: End) -> Iterator[None]:
    """Let a failure show how the first run ended, and what the sidecars were told."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"the first run: {first}")
        for number in range(len(stage.bench.nodes)):
            rows = (f"{row['status']}: {row['command']}" for row in stage.bench.actions(number))
            error.add_note("\n".join([f"sidecar {number}:", *rows]))
        raise
