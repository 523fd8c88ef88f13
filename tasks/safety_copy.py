"""The safety copy: what a restore is about to drop, kept on the server as a local backup.

Its record (definitions, fingerprints) goes into the replica's own journal: a restore can be undone
with nothing but the servers.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from tasks.clickhouse import commands
from tasks.clickhouse.journal import read_own_journal, read_payload
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.parts import read_fingerprints, read_frozen, read_parts
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import read_functions, read_macros, read_tables
from tasks.domain.errors import PreflightFailed, TargetChanged
from tasks.domain.fingerprint import Fingerprint, Part
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import ReplicaRecord, TableRecord
from tasks.domain.names import safety_name
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_request import RestoreOptions
from tasks.domain.tables import Table, table_patterns
from tasks.domain.undo import Kept
from tasks.fan_out import HEALING, all_or_raise, fan_out, step


@step(task_run_name="safety-{part.shard}-{part.replica}", **HEALING)
async def take_safety_copy(
    session: ReplicaSession, part: ReplicaRestore, options: RestoreOptions
) -> bool:
    """Freeze what is about to be dropped into a local copy (hard links); False: nothing to save."""
    journal = await session.journal()
    if journal.last(Event.INTENT, Step.DROP) is not None:
        return journal.did(Step.SAFETY)
    doomed = await _doomed(session, part)
    if not doomed:  # an undo has to know that nothing stood here
        await _note_record(session, doomed, {})
        return False
    if not journal.did(Step.SAFETY) or await _unsaved(session, doomed) is not False:
        await _save(session, doomed, options)
    return True


async def renew_safety_copy(
    session: ReplicaSession, part: ReplicaRestore, options: RestoreOptions
) -> None:
    """Save what came since the copy was taken: other replicas took their time.

    After an interrupted drop the copy holds tables that are gone, so it must not be taken anew.
    """
    doomed = await _doomed(session, part)
    unsaved = await _unsaved(session, doomed) if doomed else False
    interrupted = (await session.journal()).left_open(Step.DROP)
    if unsaved and interrupted:
        message = (
            f"rows came to {', '.join(table.full_name for table in doomed)} on {session.replica} "
            "after their safety copy was taken and the drop was interrupted; move them away"
        )
        raise TargetChanged(message)
    if unsaved is not False and not interrupted:
        await _save(session, doomed, options)


async def read_safety_records(
    sessions: Mapping[str, ReplicaSession], operation_id: str, *, width: int
) -> dict[str, Kept]:
    """Read on every replica what the restore `operation_id` kept and made there."""
    reads = (read_safety_record(session, operation_id) for session in sessions.values())
    return dict(zip(sessions, all_or_raise(await fan_out(reads, width=width)), strict=True))


@step(task_run_name="read-safety-{session.replica}", **HEALING)
async def read_safety_record(session: ReplicaSession, operation_id: str) -> Kept:
    """Read what the restore `operation_id` kept here, and which tables it made."""
    journal = await read_own_journal(session.server, operation_id=operation_id)
    text = await read_payload(
        session.server,
        operation_id=operation_id,
        event=Event.FINGERPRINT,
        subject=safety_name(operation_id),
    )
    return Kept(
        record=ReplicaRecord.model_validate_json(text) if text else None,
        made=journal.of(operation_id).identities(),
    )


async def _doomed(session: ReplicaSession, part: ReplicaRestore) -> list[Table]:
    planned = {table.full_name for table in (*part.drop, *(swap.table for swap in part.swap))}
    tables = await read_tables(session.server)
    return [table for table in tables if table.full_name in planned]


async def _save(session: ReplicaSession, doomed: Sequence[Table], options: RestoreOptions) -> None:
    """Take the safety copy anew, and see that the sidecar left no rows out."""
    name = safety_name(session.operation_id)
    if (await read_listing(session.server)).local(name) is not None:
        await _demand_ours(session, name)
        await session.sidecar.delete(commands.delete("local", name))
    await session.note(Event.INTENT, Step.SAFETY)
    command = commands.create(
        name,
        session.sidecar.token(),
        tables=table_patterns(doomed),
        flags=commands.CreateFlags(),
    )
    await session.sidecar.settle(command, done=lambda: session.holds(name, location="local"))
    frozen = await read_frozen(session.server, name)
    kept = [t for t in doomed if frozen is None or t.full_name in frozen]
    missing = [table.full_name for table in doomed if table not in kept and table.saveable]
    if missing:
        message = (
            f"{session.place}: the sidecar left "
            f"{', '.join(missing)} out of the safety copy; nothing was dropped here"
        )
        raise PreflightFailed(message)
    with_rows = [table.full_name for table in kept if table.engine.endswith("MergeTree")]
    prints = await read_fingerprints(session.server, name, with_rows) if with_rows else {}
    await _note_record(session, kept, prints)
    document = {"keep_hours": options.keep_safety_copy_hours}
    await session.note(Event.STEP, Step.SAFETY, json.dumps(document))


async def _demand_ours(session: ReplicaSession, name: str) -> None:
    if (await session.journal()).last(Event.INTENT, Step.SAFETY) is None:
        message = (
            f"{session.place}: a local backup {name} stands in "
            "the way that this restore did not make; delete or rename it"
        )
        raise PreflightFailed(message)


async def _note_record(
    session: ReplicaSession, kept: Sequence[Table], prints: Mapping[str, Fingerprint | None]
) -> None:
    now = datetime.now(UTC)
    record = ReplicaRecord(
        shard=session.shard,
        replica=session.replica,
        macros=await read_macros(session.server),
        tables=tuple(TableRecord.of(table, prints.get(table.full_name)) for table in kept),
        functions=await read_functions(session.server) if kept else {},
        frozen_from=now,
        frozen_until=now,
    )
    name = safety_name(session.operation_id)
    await session.note(Event.FINGERPRINT, name, record.model_dump_json())


async def _unsaved(session: ReplicaSession, doomed: Sequence[Table]) -> bool | None:
    """Tell whether the safety copy lacks an active part; None where nobody can tell."""
    name = safety_name(session.operation_id)
    if not await session.holds(name, location="local"):
        return True
    frozen = await read_frozen(session.server, name)
    if frozen is None:
        return None
    standing = await read_parts(session.server, [table.full_name for table in doomed])
    prints = await recorded_prints(session)
    return any(
        _is_unsaved(parts, frozen.get(table, frozenset()), prints.get(table))
        for table, parts in standing.items()
    )


def _is_unsaved(
    parts: Sequence[Part], frozen: Collection[str], fingerprint: Fingerprint | None
) -> bool:
    """Compare by name and, where known, by content: a table made anew counts its parts anew."""
    if any(part.active and part.name not in frozen for part in parts):
        return True
    return fingerprint is not None and fingerprint.lacks(parts)


async def recorded_prints(session: ReplicaSession) -> dict[str, Fingerprint | None]:
    """Read what the safety copy of this operation holds here, as it was written down."""
    text = await session.payload(Event.FINGERPRINT, safety_name(session.operation_id))
    if not text:
        return {}
    record = ReplicaRecord.model_validate_json(text)
    return {table.full_name: table.fingerprint for table in record.tables}
