"""Reruns: an operation that was begun before goes on; it must then be the same operation."""

from typing import Any

from tasks.domain.errors import InvalidRequest
from tasks.domain.inspection import Observation
from tasks.domain.journal import Event
from tasks.domain.outcomes import Attempt


def begun_as(observed: Observation, attempt: Attempt, *, request: dict[str, Any]) -> str | None:
    """Find the name under which an earlier attempt began; None when this is the first one.

    Raises InvalidRequest when the earlier attempt asked for something else.
    """
    for seen in observed.inspections:
        earlier = seen.journal.of(attempt.operation_id).last(Event.STARTED)
        if earlier is None:
            continue
        document = earlier.document()
        if (earlier.operation, document["request"]) != (attempt.operation, request):
            message = (
                f"operation {attempt.operation_id} began as {earlier.operation} with "
                f"{document['request']}: go on with the same request, or use a new operation id"
            )
            raise InvalidRequest(message)
        return str(document["name"])
    return None
