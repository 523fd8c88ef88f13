"""Read system.backup_list of one server."""

from tasks.clickhouse.actions import READ_ONCE
from tasks.clickhouse.client import Server
from tasks.clickhouse.sidecar_tables import sidecar_tables
from tasks.domain.listing import Listed, Listing

_READ = (
    "SELECT name, location, toInt64(size) AS size_bytes, toUInt32(created) AS created_at, "
    "required, desc FROM system.backup_list"
)
_LISTING_SECONDS = 300.0


async def read_listing(server: Server) -> Listing:
    """Read all rows; with many backups the first one after a sidecar's start is slow."""
    with sidecar_tables(server):
        rows = await server.rows(_READ, settings=READ_ONCE, timeout_seconds=_LISTING_SECONDS)
    return Listing(tuple(Listed(**row) for row in rows))
