"""What a flow knows about its own run."""

from datetime import UTC, datetime

from prefect.runtime import flow_run

from tasks.domain.names import checked_operation_id
from tasks.domain.outcomes import Attempt


def this_attempt(installation: str, operation_id: str) -> Attempt:
    """Say who acts: the operation id as given, else the id of the flow run."""
    found = operation_id or str(flow_run.id)
    return Attempt(
        installation=installation,
        operation_id=checked_operation_id(found),
        started=datetime.now(UTC),
    )
