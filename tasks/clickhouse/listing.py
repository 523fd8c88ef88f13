"""Read system.backup_list of one server."""

from tasks.clickhouse.actions import READ_ONCE
from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import UNKNOWN_COLUMN
from tasks.clickhouse.sidecar_tables import sidecar_tables
from tasks.domain.errors import ServerError
from tasks.domain.listing import Listed, Listing

_READ = (
    "SELECT name, location, toInt64(size) AS size_bytes, toUInt32(created) AS created_at, "
    "required, desc FROM system.backup_list"
)
_READ_SENT = (
    "SELECT toInt64(compressed_size + metadata_size) AS sent FROM system.backup_list "
    "WHERE location = 'remote' AND name = {name:String}"
)
_LISTING_SECONDS = 300.0


async def read_listing(server: Server) -> Listing:
    """Read all rows; with many backups the first one after a sidecar's start is slow."""
    with sidecar_tables(server):
        rows = await server.rows(_READ, settings=READ_ONCE, timeout_seconds=_LISTING_SECONDS)
    return Listing(tuple(Listed(**row) for row in rows))


async def read_sent_bytes(server: Server, backup: str) -> int | None:
    """Read how much of a remote backup was uploaded under its own name.

    Its listed size is that of all that was frozen where not a single part had to be sent. None
    where the sidecar is so old that it does not tell the one from the other.
    """
    try:
        with sidecar_tables(server):
            rows = await server.rows(
                _READ_SENT, {"name": backup}, settings=READ_ONCE, timeout_seconds=_LISTING_SECONDS
            )
    except ServerError as error:
        if error.code != UNKNOWN_COLUMN:
            raise
        return None
    return rows[0]["sent"] if rows else None
