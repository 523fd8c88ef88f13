"""What a flow knows about its own run, and how it ends."""

from datetime import UTC, datetime
from typing import TypeVar

from prefect.runtime import flow_run

from tasks.domain.errors import OperationIncomplete
from tasks.domain.names import checked_operation_id
from tasks.domain.outcomes import Attempt, Outcome
from tasks.reports import report_outcome

O = TypeVar("O", bound=Outcome)  # noqa: E741 - an outcome of some kind


def this_attempt(operation: str, installation: str, operation_id: str) -> Attempt:
    """Say who acts: the operation id as given, else the id of the flow run."""
    found = operation_id or str(flow_run.id)
    return Attempt(
        operation=operation,
        installation=installation,
        operation_id=checked_operation_id(found),
        started=datetime.now(UTC),
    )


async def concluded(outcome: O) -> O:
    """Leave the outcome where people and machines read it. Raises OperationIncomplete with it."""
    await report_outcome(outcome)
    if not outcome.succeeded:
        raise OperationIncomplete(outcome)
    return outcome
