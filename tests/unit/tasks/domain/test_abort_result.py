"""The outcome of an abort: completed only when the operation is over everywhere."""

import pytest

from tasks.domain.abort_result import Abandoned, abort_outcome
from tasks.domain.names import abort_id, aborted_id
from tasks.domain.outcomes import Status
from tasks.domain.recovery import Interrupted, Remains, Remedy, Way
from tasks.reports import summary_of
from tests.builders import BACKUP, NOW, OPERATION, make_attempt, make_journal, replica_name

SILENT = {"chi-demo-main-9-0": "no answer"}


def make_abandoned(
    *ways: Way, operation: str = "backup", silent: dict[str, str] | None = None, **troubles: str
) -> Abandoned:
    names = [replica_name(shard) for shard in range(len(ways))]
    remains = tuple(
        Remains(shard=str(shard), replica=name, journal=make_journal())
        for shard, name in enumerate(names)
    )
    seen = Interrupted(
        operation=operation,
        operation_id=OPERATION,
        name=BACKUP,
        remains=remains,
        silent=silent or {},
    )
    remedies = tuple(
        Remedy(replica=name, way=way, why="because") for name, way in zip(names, ways, strict=True)
    )
    return Abandoned(seen=seen, remedies=remedies, troubles=troubles)


def status_of(abandoned: Abandoned) -> Status:
    attempt = make_attempt(operation="abort", operation_id=abort_id(OPERATION))
    return abort_outcome(abandoned, attempt, finished=NOW).status


@pytest.mark.parametrize(
    ("abandoned", "status"),
    [
        pytest.param(make_abandoned(Way.UNDO, Way.UNDO), Status.COMPLETED, id="undone"),
        pytest.param(make_abandoned(Way.ROLL_FORWARD), Status.COMPLETED, id="rolled-forward"),
        pytest.param(make_abandoned(Way.KEEP), Status.COMPLETED, id="kept"),
        pytest.param(make_abandoned(Way.UNDO, Way.LEAVE), Status.PARTIALLY_FAILED, id="left"),
        pytest.param(
            make_abandoned(Way.UNDO, silent=SILENT), Status.PARTIALLY_FAILED, id="one-is-silent"
        ),
        pytest.param(
            Abandoned(
                seen=make_abandoned(Way.UNDO).seen,
                remedies=make_abandoned(Way.UNDO).remedies,
                troubles={replica_name(): "refused"},
            ),
            Status.PARTIALLY_FAILED,
            id="a-delete-was-refused",
        ),
        pytest.param(make_abandoned(Way.UNDO, operation=""), Status.FAILED, id="unknown"),
    ],
)
def test_an_abort_is_completed_when_the_operation_is_over_everywhere(
    abandoned: Abandoned, status: Status
) -> None:
    assert status_of(abandoned) is status


def test_every_replica_is_told_apart() -> None:
    attempt = make_attempt(operation="abort", operation_id=abort_id(OPERATION))
    outcome = abort_outcome(
        make_abandoned(Way.UNDO, Way.LEAVE, silent=SILENT), attempt, finished=NOW
    )
    assert [(r.replica, r.done, r.failed, r.phase) for r in outcome.replicas] == [
        (replica_name(0), True, False, "undone"),
        (replica_name(1), False, True, "left open"),
        ("chi-demo-main-9-0", False, True, "left open"),
    ]
    told = summary_of(outcome)
    assert f"backup operation {OPERATION}" in told
    assert "What to do next" in told


def test_an_abort_of_an_abort_that_died_is_of_the_same_operation() -> None:
    assert aborted_id(abort_id(OPERATION)) == aborted_id(OPERATION) == OPERATION
