"""Tasks of a restore: each brings one replica one step further, and finds out first what is done.

Rows are attached exactly once. The journal holds an intent before every step that destroys or
attaches, and the identity of each table that this operation made; an attach whose fate is unknown
is repaired by recreating what is provably our own, never by sending it again.
"""

import asyncio
import json
from collections.abc import Sequence

from prefect import task

from tasks.clickhouse import commands
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import read_manifest
from tasks.clickhouse.parts import read_parts
from tasks.clickhouse.station import Station
from tasks.clickhouse.tables import drop_tables, read_tables
from tasks.domain.errors import BackupUnusable, PreflightFailed, TargetChanged
from tasks.domain.fingerprint import Part
from tasks.domain.journal import Event, Journal
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.names import safety_name
from tasks.domain.restore_plan import DOWNLOAD, ReplicaRestore
from tasks.domain.tables import Table, sidecar_patterns
from tasks.fan_out import HEALING, PLAIN

SAFETY, DROP, SCHEMA, DATA, LATE = "safety", "drop", "schema", "data", "late"
_COLLECT_SECONDS = 2.0


@task(task_run_name="manifest-{station.replica}", **HEALING)
async def fetch_manifest(station: Station, backup: str) -> Manifest:
    """Read the manifest from the bucket, once per operation."""
    noted = (await station.history()).last(Event.MANIFEST, backup)
    if noted is not None:
        return Manifest.from_text(noted.payload, origin=backup)
    manifest = await read_manifest(station.sidecar, backup)
    await station.note(Event.MANIFEST, backup, manifest.to_text())
    return manifest


@task(task_run_name="safety-{part.shard}-{part.replica}", **HEALING)
async def take_safety_copy(station: Station, part: ReplicaRestore) -> bool:
    """Freeze what is about to be dropped into a local copy (hard links); False: nothing to save."""
    history = await station.history()
    if history.did(SAFETY) or history.did(DROP):
        return history.did(SAFETY)
    if not part.save:
        return False
    name = safety_name(station.operation_id)
    command = commands.create(
        name,
        station.sidecar.token(),
        tables=sidecar_patterns(part.save, whole_databases=False),
        flags=commands.CreateFlags(),
    )
    await station.sidecar.settle(command, done=lambda: _is_whole_locally(station, name))
    await station.note(Event.STEP, SAFETY)
    return True


@task(task_run_name="download-{part.shard}-{part.replica}", **HEALING)
async def download_shard_backup(
    station: Station, part: ReplicaRestore, backup: str, limit: int | None
) -> None:
    """Bring the backup to this replica's disk: with rows where they go, else definitions only."""
    history = await station.history()
    if not (part.create or part.late) or _is_over(history):
        return
    if history.did(DOWNLOAD) and await _is_whole_locally(station, backup):
        return
    await _remove_leftover(station, backup, ours=history.left_open(DOWNLOAD))
    await station.note(Event.INTENT, DOWNLOAD)
    command = commands.download(
        backup,
        station.sidecar.token(),
        tables=_patterns((*part.create, *part.late)),
        schema_only=not part.fill,
        limit=limit,
    )
    await station.sidecar.settle(command, done=lambda: _is_whole_locally(station, backup))
    await station.note(Event.STEP, DOWNLOAD)


@task(task_run_name="drop-{part.shard}-{part.replica}", **HEALING)
async def drop_shard_tables(station: Station, part: ReplicaRestore) -> None:
    """Drop what the backup replaces, having seen that it is still what was planned for."""
    history = await station.history()
    if _is_over(history) or (history.did(SCHEMA) and not history.left_open(DATA)):
        return
    standing = {table.full_name: table for table in await read_tables(station.server)}
    doomed = _doomed(station, part, standing, history)
    await station.leash.check()
    await station.note(Event.INTENT, DROP)
    await drop_tables(station.server, sorted(doomed, key=_views_first))
    left = {table.full_name for table in await read_tables(station.server)}
    still = sorted(_names(part) & left)
    if still:
        message = f"{station.replica}: {', '.join(still)} came back while they were dropped"
        raise TargetChanged(message)
    await station.note(Event.STEP, DROP)


@task(task_run_name="schema-{part.shard}-{part.replica}", **HEALING)
async def create_shard_tables(station: Station, part: ReplicaRestore, backup: str) -> None:
    """Create the tables that do not start by themselves, and write down which ones are ours."""
    history = await station.history()
    if _is_over(history) or not part.create:
        return
    if history.did(SCHEMA) and not history.left_open(DATA):
        await _demand_own(station, part.create, history)
        return
    await station.note(Event.INTENT, SCHEMA)
    await _restore_schema(station, part.create, backup)
    await station.note(Event.STEP, SCHEMA)


@task(task_run_name="data-{part.shard}-{part.replica}", **PLAIN)
async def attach_shard_data(
    station: Station, part: ReplicaRestore, backup: str
) -> dict[str, tuple[Part, ...]]:
    """Attach the rows, once; return every part that was seen meanwhile, merged-away ones too.

    Not retried: an attach that may have run in part is repaired by the next attempt.
    """
    history = await station.history()
    names = [table.full_name for table in part.fill]
    if not names or _is_over(history) or _is_done(history, DATA):
        return await read_parts(station.server, names)
    await _demand_own(station, part.fill, history)
    await station.note(Event.INTENT, DATA)
    command = commands.restore_data(backup, station.sidecar.token(), tables=_patterns(part.fill))
    attaching = asyncio.create_task(station.sidecar.perform(command))
    seen = await _collected(station, names, until=attaching)
    await attaching
    await station.note(Event.STEP, DATA)
    return _merged(seen, await read_parts(station.server, names))


@task(task_run_name="late-{part.shard}-{part.replica}", **HEALING)
async def create_late_tables(station: Station, part: ReplicaRestore, backup: str) -> None:
    """Create, when all rows are back, the tables that start by themselves."""
    if (await station.history()).did(LATE):
        return
    if part.late:
        await _restore_schema(station, part.late, backup)
    await station.note(Event.STEP, LATE)


@task(task_run_name="read-tables-{station.replica}", **HEALING)
async def read_restored_tables(station: Station) -> dict[str, Table]:
    return {table.full_name: table for table in await read_tables(station.server)}


def _is_over(history: Journal) -> bool:
    """Tell whether this replica's restore ended well in an earlier attempt."""
    return history.did(LATE)


def _is_done(history: Journal, step: str) -> bool:
    return history.did(step) and not history.left_open(step)


def _doomed(
    station: Station, part: ReplicaRestore, standing: dict[str, Table], history: Journal
) -> list[Table]:
    """List what to drop now. Raises TargetChanged for what is neither planned nor ours."""
    dropped_before = history.did(DROP)  # what stands there since then was not planned for
    planned = {} if dropped_before else {t.full_name: t.identity for t in part.drop}
    made = history.identities()
    doomed = []
    for name in _names(part) | set(planned):
        table = standing.get(name)
        if table is None:
            continue
        known = table.identity in (planned.get(name), made.get(name))
        # created by this operation's schema step, which ended before it could be written down
        unfinished = history.left_open(SCHEMA) and not table.rows
        if not known and not unfinished:
            message = f"{name} on {station.replica} was made by somebody else during the restore"
            raise TargetChanged(message)
        doomed.append(table)
    return doomed


async def _demand_own(station: Station, tables: Sequence[TableRecord], history: Journal) -> None:
    made = history.identities()
    standing = {table.full_name: table for table in await read_tables(station.server)}
    for record in tables:
        table = standing.get(record.full_name)
        if table is None or table.identity != made.get(record.full_name):
            message = (
                f"{record.full_name} on {station.replica} is not the table that this restore "
                "made: somebody else dropped or recreated it"
            )
            raise TargetChanged(message)


async def _restore_schema(station: Station, tables: Sequence[TableRecord], backup: str) -> None:
    """Let the sidecar create tables, see them there, and write down their identities."""
    command = commands.restore_schema(backup, station.sidecar.token(), tables=_patterns(tables))
    await station.sidecar.perform(command)
    standing = {table.full_name: table for table in await read_tables(station.server)}
    missing = [table.full_name for table in tables if table.full_name not in standing]
    if missing:
        message = f"{station.replica}: the sidecar did not create {', '.join(missing)}"
        raise BackupUnusable(message)
    made = {table.full_name: standing[table.full_name].identity for table in tables}
    await station.note(Event.IDENTITY, payload=json.dumps(made))


async def _remove_leftover(station: Station, backup: str, *, ours: bool) -> None:
    """Drop a local copy that stands in the way, if it is a copy of the remote one, or broken."""
    listing = await read_listing(station.server)
    local, remote = listing.local(backup), listing.remote(backup)
    if local is None:
        return
    same = remote is not None and remote.created_at == local.created_at
    if not (ours or same or local.broken):
        message = (
            f"shard {station.shard}, replica {station.replica}: a local backup {backup} stands in "
            "the way, and it is not a copy of the remote one; delete or rename it"
        )
        raise PreflightFailed(message)
    await station.sidecar.delete(commands.delete("local", backup))


async def _collected(
    station: Station, tables: Sequence[str], *, until: asyncio.Task[None]
) -> dict[str, tuple[Part, ...]]:
    """Look at the parts again and again while rows are attached: merges make parts vanish."""
    seen: dict[str, tuple[Part, ...]] = {}
    while True:
        done, _ = await asyncio.wait({until}, timeout=_COLLECT_SECONDS)
        if done:
            return seen
        seen = _merged(seen, await read_parts(station.server, tables))


def _merged(
    before: dict[str, tuple[Part, ...]], now: dict[str, tuple[Part, ...]]
) -> dict[str, tuple[Part, ...]]:
    """Unite looks at the same tables by part name; the later look knows what is still active."""
    merged = {}
    for table in {**before, **now}:
        gone = {part.name: part.vanished() for part in before.get(table, ())}
        here = {part.name: part for part in now.get(table, ())}
        merged[table] = tuple({**gone, **here}.values())
    return merged


async def _is_whole_locally(station: Station, backup: str) -> bool:
    found = (await read_listing(station.server)).local(backup)
    return found is not None and not found.broken


def _patterns(tables: Sequence[TableRecord]) -> tuple[str, ...]:
    return sidecar_patterns((table.as_table() for table in tables), whole_databases=False)


def _names(part: ReplicaRestore) -> set[str]:
    return {table.full_name for table in (*part.create, *part.late)}


def _views_first(table: Table) -> tuple[bool, str]:
    return (table.holds_rows, table.full_name)
