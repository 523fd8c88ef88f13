"""Tasks of a restore: each brings one replica one step further, and finds out first what is done.

What is still to be done is decided in `tasks.domain.restore_recovery`; rows are attached once.
"""

import asyncio
import contextlib
import json
from collections.abc import Sequence

from prefect import task
from pydantic import TypeAdapter

from tasks.clickhouse import commands
from tasks.clickhouse.commands import Command
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import read_manifest
from tasks.clickhouse.parts import read_frozen, read_parts
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import (
    demand_coordination,
    drop_table,
    read_tables,
    reload_dictionary,
)
from tasks.domain.errors import (
    BackupUnusable,
    NotAllowed,
    PreflightFailed,
    ServerError,
    TargetChanged,
    TransientError,
)
from tasks.domain.fingerprint import Part
from tasks.domain.inspection import replicated_tables
from tasks.domain.journal import Entry, Event, Step
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.names import safety_name
from tasks.domain.outcomes import TableComparison
from tasks.domain.requests import RestoreRequest
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_recovery import (
    Need,
    demand_creatable,
    demand_only_backup_rows,
    demand_own,
    need_of,
    tables_to_drop,
)
from tasks.domain.restore_result import rows_compared
from tasks.domain.tables import Table, sidecar_patterns
from tasks.fan_out import HEALING, PLAIN

_COLLECT_SECONDS = 2.0
_COMPARISONS = TypeAdapter(tuple[TableComparison, ...])


@task(task_run_name="settle-{session.replica}", **HEALING)
async def settle_down(session: ReplicaSession) -> None:
    """Wait for what an earlier attempt of this restore may have left running."""
    await session.sidecar.settle_down()


@task(task_run_name="manifest-{session.replica}", **HEALING)
async def fetch_manifest(session: ReplicaSession, backup: str) -> Manifest:
    """Read the manifest from the bucket, once per operation."""
    noted = (await session.journal()).last(Event.MANIFEST, backup)
    if noted is not None:
        return Manifest.from_text(noted.payload, origin=backup)
    manifest = await read_manifest(session.sidecar, backup)
    await session.note(Event.MANIFEST, backup, manifest.to_text())
    return manifest


async def any_manifest(sources: Sequence[ReplicaSession], backup: str) -> Manifest:
    """Read the first copy of the manifest that can be read; all copies are equal.

    Raises BackupUnusable with a note for each copy when none can.
    """
    unusable: list[BackupUnusable] = []
    for source in sources:
        try:
            return await fetch_manifest(source, backup)
        except BackupUnusable as error:
            unusable.append(error)
    for other in unusable[1:]:
        unusable[0].add_note(str(other))
    raise unusable[0]


@task(task_run_name="plan-{session.replica}", **HEALING)
async def note_plan(session: ReplicaSession, digest: str) -> None:
    """Write down which plan was accepted: later attempts carry out the rest of this one."""
    if not (await session.journal()).did(Step.PLAN):
        await session.note(Event.STEP, Step.PLAN, digest)


@task(task_run_name="download-{part.shard}-{part.replica}", **HEALING)
async def download_shard_backup(
    session: ReplicaSession, part: ReplicaRestore, backup: str, limit: int | None
) -> None:
    """Bring the backup to this replica's disk: with rows where they go, else definitions only."""
    journal = await session.journal()
    needed = (*part.create, *part.late)
    if not needed or need_of(journal) is Need.NOTHING:
        return
    if not (journal.did(Step.DOWNLOAD) and await _is_whole_locally(session, backup)):
        command = commands.download(
            backup,
            session.sidecar.token(),
            tables=_patterns(needed),
            schema_only=not part.fill,
            limit=limit,
        )
        await _downloaded(session, command, ours=journal.last(Event.INTENT, Step.DOWNLOAD))
        await session.note(Event.STEP, Step.DOWNLOAD)
    await _demand_all_there(session, part, backup)


@task(task_run_name="safety-{part.shard}-{part.replica}", **HEALING)
async def take_safety_copy(session: ReplicaSession, part: ReplicaRestore) -> bool:
    """Freeze what is about to be dropped into a local copy (hard links); False: nothing to save."""
    journal = await session.journal()
    if journal.last(Event.INTENT, Step.DROP) is not None:
        return journal.did(Step.SAFETY)
    save = await _worth_saving(session, part)
    if not save:
        return False
    if not journal.did(Step.SAFETY) or await _unsaved(session, save) is not False:
        await _save(session, save)
    return True


@task(task_run_name="drop-{part.shard}-{part.replica}", **HEALING)
async def drop_shard_tables(
    session: ReplicaSession, part: ReplicaRestore, request: RestoreRequest
) -> None:
    """Drop what the backup replaces, having seen that it is still what was planned for."""
    journal = await session.journal()
    need = need_of(journal)
    if not need.drops:
        return
    doomed = tables_to_drop(part, journal, await _standing(session), overwrite=request.overwrite)
    if replicated_tables(record.as_table() for record in (*part.create, *part.late)):
        await demand_coordination(session.server)
    if need is Need.REMAKE:
        expected = {record.full_name: record.fingerprint for record in part.fill}
        demand_only_backup_rows(expected, await read_parts(session.server, list(expected)))
    if request.options.keep_safety_copy and need is Need.REPLACE:
        await _renew_safety_copy(session, part, interrupted=journal.left_open(Step.DROP))
    await session.note(Event.INTENT, Step.DROP)
    for table in doomed:
        await session.lease.check()
        await drop_table(session.server, table)
    still = sorted({table.full_name for table in doomed} & set(await _standing(session)))
    if still:
        message = f"{session.replica}: {', '.join(still)} came back while they were dropped"
        raise TargetChanged(message)
    await session.note(Event.STEP, Step.DROP)


@task(task_run_name="schema-{part.shard}-{part.replica}", **HEALING)
async def create_shard_tables(session: ReplicaSession, part: ReplicaRestore, backup: str) -> None:
    """Create the tables that do not start by themselves, and write down which ones are ours."""
    if part.create and need_of(await session.journal()).drops:
        await _create(session, part.create, backup, step=Step.SCHEMA)


@task(task_run_name="data-{part.shard}-{part.replica}", **PLAIN)
async def attach_shard_data(
    session: ReplicaSession, part: ReplicaRestore, backup: str
) -> tuple[TableComparison, ...]:
    """Attach the rows, once, and compare them with their fingerprints.

    Not retried: an attach that may have run in part is repaired by the next attempt.
    """
    journal = await session.journal()
    noted = journal.last(Event.STEP, Step.DATA)
    if noted is not None and need_of(journal) in {Need.FINISH, Need.NOTHING}:
        return _COMPARISONS.validate_json(noted.payload)
    names = [table.full_name for table in part.fill]
    seen: dict[str, tuple[Part, ...]] = {}
    if names:
        demand_own(names, journal, await _standing(session))
        await session.note(Event.INTENT, Step.DATA)
        seen = await _attached(session, part, backup)
    compared = rows_compared(part, seen)
    await session.note(Event.STEP, Step.DATA, _COMPARISONS.dump_json(compared).decode())
    return compared


@task(task_run_name="late-{part.shard}-{part.replica}", **HEALING)
async def create_late_tables(session: ReplicaSession, part: ReplicaRestore, backup: str) -> None:
    """Create, when all rows are back, the tables that start by themselves."""
    if (await session.journal()).did(Step.LATE):
        return
    for record in part.create:
        if record.engine == "Dictionary":  # may have been loaded while its source was empty
            with contextlib.suppress(ServerError, NotAllowed):
                await reload_dictionary(session.server, record.as_table())
    if part.late:
        await _create(session, part.late, backup, step=Step.LATE)
    else:
        await session.note(Event.STEP, Step.LATE)


@task(task_run_name="read-tables-{session.replica}", **HEALING)
async def read_restored_tables(session: ReplicaSession) -> dict[str, Table]:
    return await _standing(session)


async def _create(
    session: ReplicaSession, tables: Sequence[TableRecord], backup: str, *, step: Step
) -> None:
    """Let the sidecar create tables, see them there, and write down their identities.

    A sidecar drops what stands under these names: looked at right before the command is sent.
    """
    names = [table.full_name for table in tables]
    await session.note(Event.INTENT, step)

    async def guard() -> None:
        demand_creatable(names, await session.journal(), await _standing(session))

    command = commands.restore_schema(backup, session.sidecar.token(), tables=_patterns(tables))
    await session.sidecar.perform(command, guard=guard)
    standing = await _standing(session)
    missing = [name for name in names if name not in standing]
    if missing:
        message = f"{session.replica}: the sidecar did not create {', '.join(missing)}"
        raise BackupUnusable(message)
    made = {name: standing[name].identity for name in names}
    await session.note(Event.IDENTITY, payload=json.dumps(made))
    await session.note(Event.STEP, step)


async def _attached(
    session: ReplicaSession, part: ReplicaRestore, backup: str
) -> dict[str, tuple[Part, ...]]:
    """Attach, and look at the parts again and again meanwhile: merges make parts vanish."""
    names = [table.full_name for table in part.fill]
    command = commands.restore_data(backup, session.sidecar.token(), tables=_patterns(part.fill))
    attaching = asyncio.create_task(session.sidecar.perform(command))
    seen: dict[str, tuple[Part, ...]] = {}
    try:
        while not (await asyncio.wait({attaching}, timeout=_COLLECT_SECONDS))[0]:
            with contextlib.suppress(TransientError):  # a look that fails loses no row
                seen = _merged(seen, await read_parts(session.server, names))
    finally:
        if not attaching.done():
            attaching.cancel()
    await attaching
    return _merged(seen, await read_parts(session.server, names))


async def _downloaded(session: ReplicaSession, command: Command, *, ours: Entry | None) -> None:
    """Download; a local copy counts only if an attempt of this restore brought it (`ours`)."""
    trusted = ours is not None

    async def done() -> bool:
        return trusted and await _is_whole_locally(session, command.name)

    async def prepare() -> None:
        nonlocal trusted
        await _remove_leftover(session, command.name, ours=trusted)
        await session.note(Event.INTENT, Step.DOWNLOAD)
        trusted = True

    await session.sidecar.settle(command, done=done, prepare=prepare)


async def _demand_all_there(session: ReplicaSession, part: ReplicaRestore, backup: str) -> None:
    """Demand that the local copy holds every table, and every part where rows are attached."""
    frozen = await read_frozen(session.server, backup)
    if frozen is None:
        return
    missing = [t.full_name for t in (*part.create, *part.late) if t.full_name not in frozen]
    missing += [
        t.full_name
        for t in part.fill
        if t.fingerprint and len(frozen.get(t.full_name, ())) != len(t.fingerprint.parts)
    ]
    if missing:
        message = (
            f"shard {session.shard}, replica {session.replica}: what was downloaded of {backup} "
            f"lacks {', '.join(sorted(set(missing)))}, or parts of it; nothing was dropped"
        )
        raise BackupUnusable(message)


async def _worth_saving(session: ReplicaSession, part: ReplicaRestore) -> list[Table]:
    planned = {table.full_name for table in part.drop}
    tables = await read_tables(session.server)
    return [table for table in tables if table.full_name in planned and table.saveable]


async def _renew_safety_copy(
    session: ReplicaSession, part: ReplicaRestore, *, interrupted: bool
) -> None:
    """Save what came since the copy was taken: other replicas took their time.

    After an interrupted drop the copy holds tables that are gone, so it must not be taken anew.
    """
    save = await _worth_saving(session, part)
    unsaved = await _unsaved(session, save) if save else False
    if unsaved and interrupted:
        message = (
            f"rows came to {', '.join(table.full_name for table in save)} on {session.replica} "
            "after their safety copy was taken and the drop was interrupted; move them away"
        )
        raise TargetChanged(message)
    if unsaved is not False and not interrupted:
        await _save(session, save)


async def _save(session: ReplicaSession, save: Sequence[Table]) -> None:
    """Take the safety copy anew, and see that the sidecar left nothing out."""
    name = safety_name(session.operation_id)
    if (await read_listing(session.server)).has(name):
        await session.sidecar.delete(commands.delete("local", name))
    command = commands.create(
        name,
        session.sidecar.token(),
        tables=sidecar_patterns(save, whole_databases=False),
        flags=commands.CreateFlags(),
    )
    await session.sidecar.settle(command, done=lambda: _is_whole_locally(session, name))
    frozen = await read_frozen(session.server, name)
    missing = [t.full_name for t in save if frozen is not None and t.full_name not in frozen]
    if missing:
        message = (
            f"shard {session.shard}, replica {session.replica}: the sidecar left "
            f"{', '.join(missing)} out of the safety copy; nothing was dropped"
        )
        raise PreflightFailed(message)
    await session.note(Event.STEP, Step.SAFETY)


async def _unsaved(session: ReplicaSession, save: Sequence[Table]) -> bool | None:
    """Tell whether the safety copy lacks an active part; None where nobody can tell."""
    name = safety_name(session.operation_id)
    if not await _is_whole_locally(session, name):
        return True
    frozen = await read_frozen(session.server, name)
    if frozen is None:
        return None
    standing = await read_parts(session.server, [table.full_name for table in save])
    return any(
        part.active and part.name not in frozen.get(table, frozenset())
        for table, parts in standing.items()
        for part in parts
    )


async def _remove_leftover(session: ReplicaSession, backup: str, *, ours: bool) -> None:
    """Drop a local copy that stands in the way, if it is a copy of the remote one, or broken."""
    listing = await read_listing(session.server)
    local, remote = listing.local(backup), listing.remote(backup)
    if local is None:
        return
    same = remote is not None and remote.created_at == local.created_at
    if not (ours or same or local.broken):
        message = (
            f"shard {session.shard}, replica {session.replica}: a local backup {backup} stands in "
            "the way, and it is not a copy of the remote one; delete or rename it"
        )
        raise PreflightFailed(message)
    await session.sidecar.delete(commands.delete("local", backup))


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


async def _standing(session: ReplicaSession) -> dict[str, Table]:
    return {table.full_name: table for table in await read_tables(session.server)}


async def _is_whole_locally(session: ReplicaSession, backup: str) -> bool:
    return (await read_listing(session.server)).holds(backup, location="local")


def _patterns(tables: Sequence[TableRecord]) -> tuple[str, ...]:
    return sidecar_patterns((table.as_table() for table in tables), whole_databases=False)
