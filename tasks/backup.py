"""Tasks of a backup: each brings one replica one step further, and finds out first what is done."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from tasks.catalogue import note_known
from tasks.clickhouse import commands
from tasks.clickhouse.listing import read_listing, read_sent_bytes
from tasks.clickhouse.manifest import write_companion
from tasks.clickhouse.parts import read_fingerprints, read_frozen
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import read_functions, read_macros, read_tables
from tasks.clickhouse.versions import read_sidecar_version, read_version
from tasks.domain.backup_plan import ReplicaPlan
from tasks.domain.errors import (
    ActionFailed,
    BackupUnusable,
    ClusterUnavailable,
    StorageUnavailable,
)
from tasks.domain.fingerprint import Fingerprint
from tasks.domain.inspection import Observation
from tasks.domain.journal import Entry, Event, Step
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.requests import NONE, BackupRequest
from tasks.domain.tables import Table, TableClass
from tasks.fan_out import HEALING, step


@step(task_run_name="create-{plan.shard}-{plan.replica}", **HEALING)
async def create_shard_backup(
    session: ReplicaSession, plan: ReplicaPlan, backup: str, request: BackupRequest
) -> ReplicaRecord:
    """Freeze the replica's tables into a local copy and fingerprint them while they are known."""
    history = await session.journal()
    recorded = history.last(Event.FINGERPRINT, backup)
    listing = await read_listing(session.server)
    if recorded and listing.holds(backup):
        return ReplicaRecord.model_validate_json(await session.payload(Event.FINGERPRINT, backup))
    await _note_base(session, plan, backup, request)
    intent = await _begin_freeze(session, backup)
    if plan.tables:
        await _freeze(session, plan, backup, request)
    record = await _record(session, plan, backup, request, intent=intent)
    await session.note(Event.FINGERPRINT, backup, record.model_dump_json())
    return record


@step(task_run_name="upload-{record.shard}-{record.replica}", **HEALING)
async def upload_shard_backup(
    session: ReplicaSession, record: ReplicaRecord, backup: str, limit: int | None
) -> None:
    """Bring the local copy to the remote storage; nothing where it already lies there whole.

    What was frozen is uploaded, whatever stands on the server by now. The base is looked at once
    more: a sidecar takes a broken one without a word, and nobody could restore what it builds on.
    """
    if not record.tables:
        return
    begun = (await session.journal()).last(Event.INTENT, Step.UPLOAD)
    if begun is None and await session.holds(backup, location="remote"):
        message = (
            f"{session.place}: {backup} lies in the remote "
            "storage already, and this operation did not bring it there: use another name"
        )
        raise BackupUnusable(message)
    if begun is None:
        await session.note(Event.INTENT, Step.UPLOAD)
    token = session.sidecar.token()
    command = commands.upload(backup, token, tables=record.patterns, limit=limit, base=record.base)
    await session.sidecar.settle(
        command,
        done=lambda: session.holds(backup, location="remote"),
        prepare=lambda: _demand_base(session, record, backup),
    )


@step(task_run_name="confirm-{record.shard}-{record.replica}", **HEALING)
async def confirm_shard_backup(session: ReplicaSession, record: ReplicaRecord, backup: str) -> int:
    """See the backup whole in the remote listing, part by part, with all that it needs.

    Returns how many bytes lie under its own name.
    """
    if not record.tables:
        return 0
    listing = await read_listing(session.server)
    found = listing.remote(backup)
    if found is None or found.broken or found.size_bytes <= 0:
        what = "is not listed" if found is None else found.desc or "is empty"
        message = f"{session.place}: {backup} {what} remotely"
        raise StorageUnavailable(message)
    gap = listing.gap(backup)
    if gap or found.required != record.base:
        told = gap or f"it builds on {found.required or 'nothing'}, not on {record.base}"
        message = f"{session.place}: {backup} cannot be restored as it was to be: {told}"
        raise BackupUnusable(message)
    kept = await read_frozen(session.server, backup, location="remote")
    gaps = () if kept is None else record.gaps_in({t: len(names) for t, names in kept.items()})
    if gaps:
        message = (
            f"{session.place}: the remote copy of {backup} lacks what was frozen: {', '.join(gaps)}"
        )
        raise BackupUnusable(message)
    sent = await read_sent_bytes(session.server, backup) if record.base else None
    return found.size_bytes if sent is None else sent


async def noted_manifest(
    sessions: Mapping[str, ReplicaSession], observed: Observation, backup: str
) -> str:
    """Find the text that an earlier attempt of this operation noted; empty where none did."""
    for seen in observed.inspections:
        session = sessions[seen.replica]
        if seen.journal.of(session.operation_id).last(Event.MANIFEST, backup) is not None:
            return await session.payload(Event.MANIFEST, backup)
    return ""


def siblings_of(
    records: Mapping[str, ReplicaRecord], sessions: Iterable[ReplicaSession]
) -> list[str]:
    """List the replicas that stored nothing while another one of their shard did."""
    stored = {record.shard for record in records.values() if record.tables}
    return [s.replica for s in sessions if s.shard in stored and s.replica not in records]


@step(task_run_name="sibling-{session.replica}", **HEALING)
async def lists_backup(session: ReplicaSession, backup: str) -> bool:
    """Tell whether a replica that did not store the backup could restore it."""
    return await session.holds(backup, location="remote")


@step(task_run_name="journal-manifest-{session.replica}", **HEALING)
async def note_manifest(session: ReplicaSession, backup: str, text: str) -> None:
    """Keep the manifest in the journal before its first copy is written: reruns write the same."""
    if (await session.journal()).last(Event.MANIFEST, backup) is None:
        await session.note(Event.MANIFEST, backup, text)


@step(task_run_name="manifest-{session.replica}", **HEALING)
async def write_manifest(
    session: ReplicaSession, backup: str, text: str, *, remember: bool = False
) -> None:
    """Store the manifest beside the backup; the first copy that is listed commits it.

    One that is listed already counts only if this operation wrote it: another one's, left behind
    by somebody who deleted the data alone, would speak of other data.
    """
    name = manifest_name(backup)
    found = (await read_listing(session.server)).remote(name)
    ours = (await session.journal()).did(Step.MANIFEST)
    if found is None or found.broken or not ours:
        await write_companion(session.sidecar, name, text)
        await session.note(Event.STEP, Step.MANIFEST)
    if remember:
        await note_known(session, Manifest.from_text(text, origin=backup))


async def _note_base(
    session: ReplicaSession, plan: ReplicaPlan, backup: str, request: BackupRequest
) -> None:
    """Write down what is built on, or that nothing is: a rerun goes on with the same."""
    if request.incremental != NONE:
        await session.note(Event.BASE, backup, plan.base.name)


async def _demand_base(session: ReplicaSession, record: ReplicaRecord, backup: str) -> None:
    gap = (await read_listing(session.server)).gap(record.base) if record.base else ""
    if gap:
        message = (
            f"{session.place}: {backup} was to build on {record.base}, and cannot: {gap}; back up "
            "again under another name"
        )
        raise BackupUnusable(message)


async def _begin_freeze(session: ReplicaSession, backup: str) -> Entry:
    """Write down when the freeze began; an earlier attempt may have done it, and it counts."""
    earlier = (await session.journal()).last(Event.INTENT, Step.CREATE)
    if earlier is not None and await session.holds(backup, location="local"):
        return earlier
    await session.note(Event.INTENT, Step.CREATE, datetime.now(UTC).isoformat())
    begun = (await session.journal()).last(Event.INTENT, Step.CREATE)
    if begun is None:
        message = f"{session.replica} does not show what was just written into its journal"
        raise ClusterUnavailable(message)
    return begun


async def _freeze(
    session: ReplicaSession, plan: ReplicaPlan, backup: str, request: BackupRequest
) -> None:
    flags = commands.CreateFlags(
        partitions=request.partitions,
        schema_only=request.schema_only,
        rbac=request.options.rbac,
        configs=request.options.configs,
        named_collections=request.options.named_collections,
    )
    token = session.sidecar.token()
    command = commands.create(backup, token, tables=plan.patterns, flags=flags)
    await session.sidecar.settle(
        command,
        done=lambda: session.holds(backup, location="local"),
        prepare=lambda: _remove_broken(session, backup),
    )


async def _record(
    session: ReplicaSession,
    plan: ReplicaPlan,
    backup: str,
    request: BackupRequest,
    *,
    intent: Entry,
) -> ReplicaRecord:
    server = session.server
    frozen_until = datetime.now(UTC)
    kept = await _kept_tables(session, plan, backup, begun_at=intent.at)
    prints = await _fingerprints(session, backup, kept, request)
    return ReplicaRecord(
        shard=plan.shard,
        replica=plan.replica,
        macros=await read_macros(server),
        tables=tuple(TableRecord.of(table, prints.get(table.full_name)) for table in kept),
        functions=await read_functions(server),
        base=plan.base.name,
        frozen_from=datetime.fromisoformat(intent.payload),
        frozen_until=frozen_until,
        clickhouse_version=await read_version(server),
        sidecar_version=await read_sidecar_version(server),
    )


async def _kept_tables(
    session: ReplicaSession, plan: ReplicaPlan, backup: str, *, begun_at: int
) -> tuple[Table, ...]:
    """Compare what the sidecar kept with what was planned; a gap is a failure.

    Not a gap: a table that was dropped meanwhile, or made after the freeze began (`begun_at`, the
    server's clock).
    """
    if not plan.tables:
        return ()
    frozen = await read_frozen(session.server, backup)
    if frozen is None:
        return plan.tables
    planned = {table.full_name: table for table in plan.tables}
    standing = {table.full_name: table for table in await read_tables(session.server)}
    left_out = [
        name
        for name, table in planned.items()
        if name not in frozen and name in standing and table.modified < begun_at
    ]
    if left_out:
        message = (
            f"{session.place}: the sidecar left out "
            f"{', '.join(left_out)}; mend its skip_tables, or name the tables to back up"
        )
        raise ActionFailed(message)
    kept = {**planned, **standing}  # a definition as it stands after the freeze, if it does
    return tuple(table for name, table in kept.items() if name in frozen)


async def _fingerprints(
    session: ReplicaSession, backup: str, tables: tuple[Table, ...], request: BackupRequest
) -> dict[str, Fingerprint | None]:
    if request.schema_only:
        return {}
    with_rows = {TableClass.LOCAL, TableClass.REPLICATED}
    names = [table.full_name for table in tables if table.table_class in with_rows]
    return await read_fingerprints(session.server, backup, names) if names else {}


async def _remove_broken(session: ReplicaSession, backup: str) -> None:
    """Delete what an interrupted freeze left; asked only when none is under way."""
    local = (await read_listing(session.server)).local(backup)
    if local is not None and local.broken:
        await session.sidecar.delete(commands.delete("local", backup))
