"""The manifest in the bucket: written as a one-row companion backup, read back without guessing.

Reading goes through our own CREATE and `restore --data` into a scratch database: a schema restore
would drop and recreate every SQL function of the server.
"""

from tasks.clickhouse import commands
from tasks.clickhouse.actions import Sidecar
from tasks.clickhouse.client import Server
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.tables import create_database, drop_database, identifier
from tasks.clickhouse.tidy import tidied
from tasks.domain.errors import ActionFailed, BackupUnusable, ServerError
from tasks.domain.manifest import Manifest
from tasks.domain.names import manifest_name
from tasks.domain.tables import RESERVED_DATABASE, scratch_database

_PATTERN = (f"{RESERVED_DATABASE}.manifest",)
_ENGINE = "(manifest String) ENGINE = MergeTree ORDER BY tuple()"


async def write_companion(sidecar: Sidecar, name: str, text: str) -> None:
    """Store `text` as the companion backup `name`, remote only; what had the name before goes.

    An upload onto an existing name would keep the old content, so the old one is deleted first.
    """
    server = sidecar.server
    await delete_companion(sidecar, name)
    await drop_manifest_table(server)
    async with tidied(lambda: drop_manifest_table(server)):
        await server.execute(f"CREATE TABLE {_PATTERN[0]} {_ENGINE}")
        await server.insert_row(_PATTERN[0], {"manifest": text})
        flags = commands.CreateFlags()
        await sidecar.perform(commands.create(name, sidecar.token(), tables=_PATTERN, flags=flags))
        await sidecar.perform(commands.upload(name, sidecar.token(), tables=_PATTERN, limit=None))
    await sidecar.delete(commands.delete("local", name))


async def delete_companion(sidecar: Sidecar, name: str) -> None:
    """Delete what has the name, local and remote."""
    listing = await read_listing(sidecar.server)
    for where, found in (("local", listing.local(name)), ("remote", listing.remote(name))):
        if found is not None:
            await sidecar.delete(commands.delete(where, name))


async def read_manifest(sidecar: Sidecar, backup: str) -> Manifest:
    """Fetch and parse the manifest of `backup`. Raises BackupUnusable when it cannot be read."""
    name, server = manifest_name(backup), sidecar.server
    scratch = scratch_database(sidecar.token().attempt)
    if (await read_listing(server)).local(name) is not None:
        await sidecar.delete(commands.delete("local", name))
    async with (
        tidied(lambda: sidecar.delete(commands.delete("local", name))),
        tidied(lambda: drop_database(server, scratch)),
    ):
        try:
            text = await _fetched(sidecar, name, scratch)
        except ActionFailed as error:
            message = f"the manifest of {backup} cannot be read: {error}"
            raise BackupUnusable(message) from error
    manifest = Manifest.from_text(text, origin=backup)
    if manifest.backup_name != backup:
        message = f"the manifest of {backup} is that of another backup, {manifest.backup_name}"
        raise BackupUnusable(message)
    return manifest


async def _fetched(sidecar: Sidecar, name: str, scratch: str) -> str:
    server = sidecar.server
    await sidecar.perform(
        commands.download(name, sidecar.token(), tables=_PATTERN, schema_only=False, limit=None)
    )
    await create_database(server, scratch)
    await server.execute(f"CREATE TABLE {identifier(scratch)}.manifest {_ENGINE}")
    mapping = {RESERVED_DATABASE: scratch}
    await sidecar.perform(
        commands.restore_data(name, sidecar.token(), tables=_PATTERN, database_mapping=mapping)
    )
    try:
        rows = await server.rows(f"SELECT manifest FROM {identifier(scratch)}.manifest")
    except ServerError as error:  # a part that was spoiled is attached without a word
        message = f"{name} is corrupt: {error}"
        raise BackupUnusable(message) from error
    if len(rows) != 1:
        message = f"{name} is corrupt: it holds {len(rows)} rows instead of one"
        raise BackupUnusable(message)
    return str(rows[0]["manifest"])


async def drop_manifest_table(server: Server) -> None:
    """Drop the table that is backed up as a companion, and stands for no longer than that."""
    await server.execute(f"DROP TABLE IF EXISTS {_PATTERN[0]} SYNC")
