"""Make the tables of a restore, and write down which ones are its own."""

import json
from collections.abc import Iterable, Sequence

from tasks.clickhouse import commands
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import create_database, create_table, drop_table, read_tables
from tasks.domain.errors import ActionFailed, BackupUnusable
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import TableRecord
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_recovery import demand_creatable
from tasks.domain.tables import Table


async def create_with_sidecar(
    session: ReplicaSession,
    tables: Sequence[TableRecord],
    patterns: tuple[str, ...],
    backup: str,
    *,
    step: Step,
) -> None:
    """Let the sidecar create tables, see them there, and write down their identities.

    A sidecar drops what stands under these names: looked at right before the command is sent.
    """
    names = [table.full_name for table in tables]
    await session.note(Event.INTENT, step)

    async def guard() -> None:
        demand_creatable(names, await session.journal(), await standing_on(session))

    command = commands.restore_schema(backup, session.sidecar.token(), tables=patterns)
    try:
        await session.sidecar.perform(command, guard=guard)
        standing = await _demand_standing(session, names)
    except (ActionFailed, BackupUnusable):
        await session.note(Event.REFUSED, backup)
        raise
    await note_identities(session, (standing[name] for name in names))
    await session.note(Event.STEP, step)


async def _demand_standing(session: ReplicaSession, names: Sequence[str]) -> dict[str, Table]:
    standing = await standing_on(session)
    missing = [name for name in names if name not in standing]
    if missing:
        message = f"{session.replica}: the sidecar did not create {', '.join(missing)}"
        raise BackupUnusable(message)
    return standing


async def create_beside(session: ReplicaSession, part: ReplicaRestore) -> None:
    """Create plain tables of our own; one that an interrupted attempt left is made anew."""
    await session.note(Event.INTENT, Step.SCHEMA)
    standing = await standing_on(session)
    targets = {record.full_name: record.as_table() for record in part.create}
    demand_creatable(targets, await session.journal(), standing)
    for database in sorted({table.database for table in targets.values()}):
        await create_database(session.server, database)
    for name, table in targets.items():
        await session.lease.check()
        if name in standing:
            await drop_table(session.server, standing[name])
        await create_table(session.server, table)
    standing = await standing_on(session)
    await note_identities(session, (standing[name] for name in targets if name in standing))
    await session.note(Event.STEP, Step.SCHEMA)


async def note_identities(session: ReplicaSession, tables: Iterable[Table]) -> None:
    """Write down which very tables this operation works on."""
    made = {table.full_name: table.identity for table in tables}
    await session.note(Event.IDENTITY, payload=json.dumps(made))


async def standing_on(session: ReplicaSession) -> dict[str, Table]:
    """Read the tables of a replica by their full names."""
    return {table.full_name: table for table in await read_tables(session.server)}
