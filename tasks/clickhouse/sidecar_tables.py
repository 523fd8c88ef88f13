"""The sidecar's tables in `system`: it drops them and makes them anew whenever it starts."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import UNKNOWN_TABLE
from tasks.domain.errors import ClusterUnavailable, ServerError


@contextmanager
def sidecar_tables(server: Server) -> Iterator[None]:
    """Take a missing table for a sidecar that is away: nothing was sent, and it may come back."""
    try:
        yield
    except ServerError as error:
        if error.code != UNKNOWN_TABLE:
            raise
        message = (
            f"{server.name} has no sidecar: its tables in database system are missing; it is "
            "starting, or it was never there"
        )
        raise ClusterUnavailable(message) from error
