"""Reruns: the same operation goes on under its old name; another request is refused."""

import json

import pytest

from tasks.domain.errors import InvalidRequest
from tasks.domain.inspection import Observation
from tasks.domain.requests import BackupRequest
from tasks.domain.rerun import begun_as
from tasks.domain.restore_request import RestoreRequest
from tests.builders import (
    OPERATION,
    backup_request,
    make_attempt,
    make_inspection,
    make_journal,
    make_observation,
    restore_request,
    started,
)

REQUEST = backup_request(tables=["shop.*"])
BEGUN = make_observation(
    make_inspection(0), make_inspection(1, journal=make_journal(started(REQUEST, name="weekly")))
)


def begun(
    observed: Observation = BEGUN,
    request: BackupRequest | RestoreRequest = REQUEST,
    *,
    operation: str = "backup",
    operation_id: str = OPERATION,
) -> str | None:
    asked = request.without_options()
    attempt = make_attempt(operation=operation, operation_id=operation_id)
    return begun_as(observed, attempt, request=asked)


def test_an_operation_that_never_began_has_no_name_yet() -> None:
    assert begun(make_observation()) is None


def test_a_rerun_goes_on_under_the_name_that_any_replica_knows() -> None:
    assert begun() == "weekly"


def test_another_operation_does_not_inherit_the_name() -> None:
    assert begun(operation_id="op-2") is None


def test_a_rerun_with_another_request_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="use a new operation id"):
        begun(request=backup_request())


def test_a_restore_does_not_go_on_as_a_backup() -> None:
    with pytest.raises(InvalidRequest, match="began as backup"):
        begun(request=restore_request(), operation="restore")


def test_a_request_survives_its_way_through_the_journal() -> None:
    asked = REQUEST.without_options()
    assert json.loads(json.dumps(asked)) == asked
