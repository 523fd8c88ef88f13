"""Delete what an operation needed only for a while, also what an interrupted attempt left."""

from prefect import task

from tasks.clickhouse import commands
from tasks.clickhouse.client import Server
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import drop_manifest_table
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import drop_database, read_database_engines, read_tables
from tasks.domain.names import is_probe_of, manifest_name
from tasks.domain.tables import is_scratch_database
from tasks.fan_out import HEALING


@task(task_run_name="clean-{session.replica}", **HEALING)
async def delete_leftovers(session: ReplicaSession, backup: str) -> None:
    """Delete local copies of the backup and its manifest, and probes wherever they are.

    A local copy pins merged-away parts, and a restarted sidecar would upload it again.
    """
    for row in (await read_listing(session.server)).rows:
        local_copy = row.location == "local" and row.name in {backup, manifest_name(backup)}
        if local_copy or is_probe_of(backup, row.name):
            await session.sidecar.delete(commands.delete(row.location, row.name))
    await drop_scratch(session.server)


async def drop_scratch(server: Server) -> None:
    """Drop what manifests were written from and read into."""
    await drop_manifest_table(server)
    tables = await read_tables(server)
    for database in await read_database_engines(server):
        held = {table.name for table in tables if table.database == database}
        # under the lock every one of ours is a leftover; ours hold a manifest and nothing else
        if is_scratch_database(database) and held <= {"manifest"}:
            await drop_database(server, database)
