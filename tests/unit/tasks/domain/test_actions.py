"""Actions: whom a row of a sidecar's history belongs to."""

import pytest

from tasks.domain.actions import Action, ActionStatus, busy_with
from tests.builders import BACKUP, OPERATION

OURS = f"upload --env=CHOPS_OP={OPERATION} --env=CHOPS_TRY=1 {BACKUP}"
RESUMED = f"upload --resumable=1 {BACKUP}"


def running(command: str, status: ActionStatus = ActionStatus.IN_PROGRESS) -> Action:
    return Action(command=command, status=status)


def test_a_command_is_told_by_its_first_and_last_word() -> None:
    action = running("upload --tables=a.b weekly")
    assert (action.verb, action.name) == ("upload", "weekly")


def test_an_operation_whose_id_begins_alike_is_not_the_owner() -> None:
    action = running("upload --env=CHOPS_OP=op-12 weekly")
    assert (action.belongs_to("op-12"), action.belongs_to("op-1")) == (True, False)


@pytest.mark.parametrize(
    ("command", "busy"),
    [
        pytest.param("create weekly", True, id="by-hand"),
        pytest.param("watch", True, id="watch"),
        pytest.param("upload --env=CHOPS_OP=op-2 weekly", True, id="another-operation"),
        pytest.param("upload --resumable=1 weekly", True, id="resumed-for-others"),
        pytest.param(OURS, False, id="ours"),
        pytest.param(RESUMED, False, id="ours-resumed-without-a-token"),
        pytest.param(f"{RESUMED}.manifest", False, id="our-manifest-resumed"),
        pytest.param(f"upload {BACKUP}", True, id="our-name-by-hand"),
        pytest.param("list remote", False, id="listing"),
    ],
)
def test_a_sidecar_is_busy_with_the_work_of_others_only(command: str, *, busy: bool) -> None:
    found = busy_with((running(command),), operation_id=OPERATION, own_name=BACKUP)
    assert found == (running(command) if busy else None)


def test_an_operation_that_began_nothing_owns_no_resumed_upload() -> None:
    assert busy_with((running(RESUMED),), operation_id=OPERATION) == running(RESUMED)


@pytest.mark.parametrize("status", [s for s in ActionStatus if s is not ActionStatus.IN_PROGRESS])
def test_what_has_ended_keeps_nobody_busy(status: ActionStatus) -> None:
    """Weak point 10: a cancelled action was waited for until the timeout."""
    assert busy_with((running("create weekly", status),), operation_id=OPERATION) is None
