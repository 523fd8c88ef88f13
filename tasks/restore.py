"""Tasks of a restore: each brings one replica one step further, and finds out first what is done.

What is still to be done is decided in `tasks.domain.restore_need`; rows are attached once.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence

from tasks.clickhouse import commands
from tasks.clickhouse.manifest import read_manifest
from tasks.clickhouse.parts import read_parts
from tasks.clickhouse.replication import demand_coordination
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import drop_table, reload_dictionary
from tasks.creation import create_beside, create_with_sidecar, note_identities, standing_on
from tasks.domain.errors import (
    BackupUnusable,
    NotAllowed,
    ServerError,
    TargetChanged,
    TransientError,
)
from tasks.domain.fingerprint import Part
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import Manifest
from tasks.domain.outcomes import COMPARISONS, TableComparison
from tasks.domain.restore_need import Need
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_recovery import (
    demand_not_attached,
    demand_not_recreated,
    demand_only_backup_rows,
    demand_own,
    demand_same,
    tables_to_drop,
    unsaved_parts,
)
from tasks.domain.restore_request import RestoreRequest
from tasks.domain.restore_result import attached_since, rows_compared
from tasks.domain.tables import Table
from tasks.fan_out import HEALING, PLAIN, step
from tasks.replication import entries_of, until_unregistered
from tasks.safety_copy import recorded_prints, renew_safety_copy

_COLLECT_SECONDS = 2.0


@step(task_run_name="settle-{session.replica}", **HEALING)
async def settle_down(session: ReplicaSession) -> None:
    """Wait for what an earlier attempt of this restore may have left running."""
    await session.sidecar.settle_down()


@step(task_run_name="manifest-{session.replica}", **HEALING)
async def fetch_manifest(session: ReplicaSession, backup: str) -> Manifest:
    """Read the manifest from the bucket, once per operation."""
    noted = (await session.journal()).last(Event.MANIFEST, backup)
    if noted is not None:
        return Manifest.from_text(await session.payload(Event.MANIFEST, backup), origin=backup)
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


@step(task_run_name="plan-{session.replica}", **HEALING)
async def note_plan(
    session: ReplicaSession, digest: str, missing: Sequence[str] | None = None
) -> None:
    """Write down which plan was accepted: later attempts carry out the rest of this one.

    `missing`: the tables that are restored because they do not stand.
    """
    if (await session.journal()).did(Step.PLAN):
        return
    if missing is not None:  # what this attempt makes is not missing later
        await session.note(Event.INTENT, Step.PLAN, json.dumps(list(missing)))
    await session.note(Event.STEP, Step.PLAN, digest)


@step(task_run_name="drop-{part.shard}-{part.replica}", **HEALING)
async def drop_shard_tables(
    session: ReplicaSession, part: ReplicaRestore, request: RestoreRequest
) -> None:
    """Drop what the backup replaces, having seen that it is still what was planned for."""
    if not part.need.drops:
        return
    journal = await session.journal()
    standing = await standing_on(session)
    doomed = tables_to_drop(part, journal, standing, overwrite=request.overwrite)
    if part.replicates:
        await demand_coordination(session.server)
    await _demand_nothing_unseen(session, part, request, standing)
    if request.keeps_safety_copy and part.need is Need.REPLACE:
        await renew_safety_copy(session, part, request.options)
    if part.aside and not doomed:  # nothing that was there before is touched
        return
    entries = await entries_of(session, doomed)
    if part.swap:
        await note_identities(session, (swap.table for swap in part.swap))
    await session.note(Event.INTENT, Step.DROP)
    for table in doomed:
        await session.lease.check()
        await drop_table(session.server, table)
    still = sorted({table.full_name for table in doomed} & set(await standing_on(session)))
    if still:
        message = f"{session.replica}: {', '.join(still)} came back while they were dropped"
        raise TargetChanged(message)
    # all that will be made here: an earlier try may have dropped without seeing the end of it
    await until_unregistered(session, [*entries, *part.entries.values()])
    await session.note(Event.STEP, Step.DROP)


async def _demand_nothing_unseen(
    session: ReplicaSession,
    part: ReplicaRestore,
    request: RestoreRequest,
    standing: Mapping[str, Table],
) -> None:
    """Raise TargetChanged where rows would be lost that nobody has looked at."""
    expected = {record.full_name: record.fingerprint for record in part.refilled}
    seen = await read_parts(session.server, list(expected)) if part.may_lose_rows else {}
    if part.need is not Need.REMAKE:
        demand_same(part, standing, {} if request.overwrite else seen)
        return
    demand_same(part, standing, {})
    if part.by_partition:
        if request.overwrite and not request.keeps_safety_copy:
            return
        seen = unsaved_parts(part, seen, await recorded_prints(session))
    demand_only_backup_rows(expected, seen)


@step(task_run_name="schema-{part.shard}-{part.replica}", **HEALING)
async def create_shard_tables(session: ReplicaSession, part: ReplicaRestore, backup: str) -> None:
    """Create the tables that do not start by themselves, and write down which ones are ours."""
    if not part.need.drops:
        return
    if part.aside:
        await create_beside(session, part)
    elif part.create:
        await create_with_sidecar(
            session, part.create, part.schema_patterns, backup, step=Step.SCHEMA
        )
    else:
        await session.note(Event.STEP, Step.SCHEMA)


@step(task_run_name="data-{part.shard}-{part.replica}", **PLAIN)
async def attach_shard_data(
    session: ReplicaSession, part: ReplicaRestore, backup: str
) -> tuple[TableComparison, ...]:
    """Attach the rows, once, and compare them with their fingerprints.

    Not retried: an attach that may have run in part is repaired by the next attempt.
    """
    journal = await session.journal()
    names = [table.full_name for table in part.fill]
    if names:  # what was compared earlier is true of these very tables, too
        demand_own(names, journal, await standing_on(session))
    noted = journal.last(Event.STEP, Step.DATA)
    if noted is not None and part.need.filled:
        return COMPARISONS.validate_json(noted.payload)
    seen: dict[str, tuple[Part, ...]] = {}
    if names:
        before = await read_parts(session.server, names)
        if not part.by_partition:
            demand_not_attached(part.fill, before)
        await session.note(Event.INTENT, Step.DATA)
        seen = attached_since(part, before, await _attached(session, part, backup))
    compared = rows_compared(part, seen)
    await session.note(Event.STEP, Step.DATA, COMPARISONS.dump_json(compared).decode())
    return compared


@step(task_run_name="late-{part.shard}-{part.replica}", **HEALING)
async def create_late_tables(session: ReplicaSession, part: ReplicaRestore, backup: str) -> None:
    """Create, when all rows are back, the tables that start by themselves."""
    if part.need is Need.NOTHING:
        return
    for record in part.create:
        if record.engine == "Dictionary":  # may have been loaded while its source was empty
            with contextlib.suppress(ServerError, NotAllowed):
                await reload_dictionary(session.server, record.as_table())
    if part.late:
        await create_with_sidecar(session, part.late, part.late_patterns, backup, step=Step.LATE)
    else:
        await session.note(Event.STEP, Step.LATE)


@step(task_run_name="read-tables-{session.replica}", **HEALING)
async def read_restored_tables(session: ReplicaSession, part: ReplicaRestore) -> dict[str, Table]:
    """Read what stands at the end; what was compared must still be the tables of this restore."""
    standing = await standing_on(session)
    names = [record.full_name for record in part.restored]
    demand_not_recreated(names, await session.journal(), standing)
    return standing


async def _attached(
    session: ReplicaSession, part: ReplicaRestore, backup: str
) -> dict[str, tuple[Part, ...]]:
    """Attach, and look at the parts again and again meanwhile: merges make parts vanish."""
    names = [table.full_name for table in part.fill]
    command = commands.restore_data(
        backup,
        session.sidecar.token(),
        tables=part.data_patterns,
        partitions=part.data_partitions,
        database_mapping=part.databases,
    )
    attaching = asyncio.create_task(session.sidecar.perform(command))
    seen: dict[str, tuple[Part, ...]] = {}
    try:
        while not (await asyncio.wait({attaching}, timeout=_COLLECT_SECONDS))[0]:
            with contextlib.suppress(TransientError):  # a look that fails loses no row
                seen = _merged(seen, await read_parts(session.server, names))
    finally:
        if not attaching.done():
            attaching.cancel()
            await asyncio.wait({attaching})
    await attaching
    return _merged(seen, await read_parts(session.server, names))


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
