"""Have a backup on the disk of each replica that needs it, with nothing of it missing."""

from tasks.clickhouse import commands
from tasks.clickhouse.commands import Command
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.parts import read_frozen
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import BackupUnusable, PreflightFailed
from tasks.domain.journal import Entry, Event, Step
from tasks.domain.restore_need import Need, copy_is_refused
from tasks.domain.restore_plan import ReplicaRestore
from tasks.fan_out import HEALING, step


@step(task_run_name="download-{part.shard}-{part.replica}", **HEALING)
async def download_shard_backup(
    session: ReplicaSession, part: ReplicaRestore, backup: str, limit: int | None
) -> None:
    """Bring the backup to this replica's disk: with rows where they go, else definitions only."""
    needed = part.needed
    if not needed or part.need is Need.NOTHING:
        return
    journal = await session.journal()
    if part.need.drops and copy_is_refused(journal):  # the one in the bucket may be mended by now
        await session.sidecar.delete(commands.delete("local", backup))
    if not (journal.did(Step.DOWNLOAD) and await session.holds(backup, location="local")):
        command = commands.download(
            backup,
            session.sidecar.token(),
            tables=part.needed_patterns,
            partitions=part.data_partitions,
            schema_only=not part.fill,
            limit=limit,
        )
        await bring_copy(session, command, ours=journal.last(Event.INTENT, Step.DOWNLOAD))
        await session.note(Event.STEP, Step.DOWNLOAD)
    await _demand_all_there(session, part, backup)


@step(task_run_name="check-{part.shard}-{part.replica}", **HEALING)
async def check_safety_copy(session: ReplicaSession, part: ReplicaRestore, name: str) -> None:
    """Demand that a safety copy holds what is restored from it: it lies on this very server."""
    if part.need is not Need.NOTHING and part.needed:
        await _demand_all_there(session, part, name)


async def bring_copy(session: ReplicaSession, command: Command, *, ours: Entry | None) -> None:
    """Download; a local copy counts only if an attempt of this restore brought it (`ours`)."""
    trusted = ours is not None

    async def done() -> bool:
        return trusted and await session.holds(command.name, location="local")

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
    needed = {table.full_name for table in part.needed}
    surplus = sorted(name for name in frozen if name not in needed)
    by_database = any(pattern.endswith(".*") for pattern in part.schema_patterns)
    if surplus and by_database:  # these tables would be made anew too
        message = (
            f"{session.place}: what was downloaded of {backup} "
            f"holds tables that its manifest does not name: {', '.join(surplus)}"
        )
        raise BackupUnusable(message)
    missing = sorted(needed - frozen.keys())
    missing += [
        t.full_name
        for t in part.attached
        if t.fingerprint and len(frozen.get(t.full_name, ())) != t.fingerprint.count
    ]
    if missing:
        message = (
            f"{session.place}: the local copy of {backup} "
            f"lacks {', '.join(sorted(set(missing)))}, or parts of it; nothing was dropped"
        )
        raise BackupUnusable(message)


async def _remove_leftover(session: ReplicaSession, backup: str, *, ours: bool) -> None:
    """Drop a local copy that stands in the way, if it is a copy of the remote one, or broken."""
    listing = await read_listing(session.server)
    local, remote = listing.local(backup), listing.remote(backup)
    if local is None:
        return
    same = remote is not None and remote.created_at == local.created_at
    if not (ours or same or local.broken):
        message = (
            f"{session.place}: a local backup {backup} stands in "
            "the way, and it is not a copy of the remote one; delete or rename it"
        )
        raise PreflightFailed(message)
    await session.sidecar.delete(commands.delete("local", backup))
