"""Delete what an operation needed only for a while, also what an interrupted attempt left."""

from tasks.clickhouse import commands
from tasks.clickhouse.client import Server
from tasks.clickhouse.journal import read_journal, read_own_journal
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import drop_manifest_table
from tasks.clickhouse.scratch import drop_scratch_databases
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import drop_database, read_database_engines, read_tables
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.names import backup_of, is_probe_of, undone_by
from tasks.domain.scratch_tables import drilled_databases
from tasks.domain.tables import is_scratch_database
from tasks.domain.undo import is_expired, is_needed
from tasks.fan_out import HEALING, step


@step(task_run_name="clean-{session.replica}", **HEALING)
async def delete_leftovers(session: ReplicaSession, backup: str) -> None:
    """Delete local copies of the backup and of manifests, probes, and expired safety copies.

    A local copy pins merged-away parts, and a restarted sidecar would upload it again.
    """
    passing = await _brought_by(session, backup)
    for row in (await read_listing(session.server)).rows:
        leftover = is_probe_of(backup, row.name)
        if row.location == "local":
            fetched = row.name in passing or backup_of(row.name) is not None
            leftover = leftover or fetched or await _is_expired(session, row.name)
        if leftover:
            await session.sidecar.delete(commands.delete(row.location, row.name))
    await drop_scratch(session.server, await session.journal())


async def _brought_by(session: ReplicaSession, backup: str) -> set[str]:
    """Name the local copies that this operation made or fetched: a safety copy is none of them."""
    if undone_by(backup):
        return set()
    journal = await session.journal()
    intents = (journal.last(Event.INTENT, step) for step in (Step.CREATE, Step.DOWNLOAD))
    return {backup} if any(intents) else set()


async def _is_expired(session: ReplicaSession, copy: str) -> bool:
    """Tell whether a local copy is the safety copy of a finished restore, kept long enough."""
    restore = undone_by(copy)
    if restore is None or restore == session.operation_id:
        return False
    journal = await read_own_journal(session.server, operation_id=restore)
    now = await session.server.value("SELECT toUInt32(now()) AS now")
    if not is_expired(journal, now=int(now)):
        return False
    everybody = await read_journal(session.server, operation_id=session.operation_id)
    return not is_needed(copy, everybody)


async def drop_scratch(server: Server, journal: Journal) -> None:
    """Drop what manifests were written from and read into, and what drills of `journal` made."""
    await drop_manifest_table(server)
    await drop_scratch_databases(server, drilled_databases(journal))
    tables = await read_tables(server)
    for database in await read_database_engines(server):
        held = {table.name for table in tables if table.database == database}
        # under the lock every one is a leftover; what no journal names holds a manifest and no more
        if is_scratch_database(database) and held <= {"manifest"}:
            await drop_database(server, database)
