"""Actions: whom a row of a sidecar's history belongs to."""

import pytest

from tasks.domain.actions import (
    Action,
    ActionStatus,
    at_work_for,
    busy_with,
    stops_what_it_kills,
)
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


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        pytest.param(OURS, True, id="its-token"),
        pytest.param(f"restore --env=CHOPS_OP={OPERATION} --data other", True, id="another-name"),
        pytest.param("upload --env=CHOPS_OP=op-2 weekly", False, id="token-of-another"),
        pytest.param(RESUMED, True, id="resumed"),
        pytest.param(f"{RESUMED}.probe7", True, id="a-probe-resumed"),
        pytest.param("upload --resumable=1 other", False, id="resumed-for-others"),
        pytest.param(f"delete remote {BACKUP}", True, id="its-delete"),
        pytest.param("delete remote other", False, id="a-delete-of-others"),
        pytest.param(f"upload {BACKUP}", False, id="by-hand"),
        pytest.param(f"kill '{OURS}'", True, id="its-kill"),
        pytest.param(f"kill '{RESUMED}'", True, id="a-kill-of-what-was-resumed"),
        pytest.param("kill 'create other'", False, id="a-kill-of-others"),
        pytest.param("kill", False, id="a-kill-without-a-name"),
        pytest.param("kill 'create other", False, id="a-kill-that-cannot-be-read"),
    ],
)
def test_what_runs_for_an_operation_is_told_by_token_and_else_by_name(
    command: str, *, ours: bool
) -> None:
    history = (running(command), running(command, ActionStatus.CANCEL))
    found = at_work_for(history, operation_id=OPERATION, names={BACKUP, f"{BACKUP}.manifest"})
    assert found == (history[:1] if ours else ())


@pytest.mark.parametrize(
    ("version", "stops"),
    [
        pytest.param("2.8.0", False, id="just-before"),
        pytest.param("2.6.43", False, id="old"),
        pytest.param("v2.7.3", False, id="with-a-letter"),
        pytest.param("2.8.1", True, id="since"),
        pytest.param("2.10.0", True, id="two-digits"),
        pytest.param("3.0.0", True, id="major"),
        pytest.param("unknown", True, id="built-from-source"),
    ],
)
def test_a_kill_is_trusted_since_the_version_that_ends_the_work(
    version: str, *, stops: bool
) -> None:
    assert stops_what_it_kills(version) is stops
