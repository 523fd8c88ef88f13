"""A process that dies after each phase in turn, one more phase every time it runs again."""

import time

import pytest

from tasks.domain.phases import PHASES
from tests.faults.stories import CELL, STORIES, Scene
from tests.moments import Moment, Point

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect, pytest.mark.timeout(600)]


@pytest.mark.parametrize("operation", PHASES)
def test_an_operation_whose_process_dies_after_every_phase_does_each_thing_once(
    operation: str, stage: Scene
) -> None:
    story = STORIES[operation](stage, f"{CELL}{time.time_ns()}")
    story.prepare()
    struck = stage.shop.struck
    before = stage.sent(struck)
    for phase in PHASES[operation]:
        replica = stage.bench.members[struck].replica
        moment = Moment(phase=phase, replica=replica, point=Point.AFTER)
        with stage.running(operation, story.form, moment) as flow:
            assert flow.is_held(), f"{phase} was not reached: {flow.end()}"
    stage.complete(operation, **story.form)
    sent = stage.sent(struck) - before
    assert {command: sent[command] for command in story.once} == dict.fromkeys(story.once, 1)
    story.demand_done()
