"""The safety copy: what a restore is about to drop, kept on the server as a local backup."""

from collections.abc import Sequence

from prefect import task

from tasks.clickhouse import commands
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.parts import read_frozen, read_parts
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import read_tables
from tasks.domain.errors import PreflightFailed, TargetChanged
from tasks.domain.journal import Event, Step
from tasks.domain.names import safety_name
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.tables import Table, sidecar_patterns
from tasks.fan_out import HEALING


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


async def _worth_saving(session: ReplicaSession, part: ReplicaRestore) -> list[Table]:
    planned = {table.full_name for table in part.drop}
    tables = await read_tables(session.server)
    return [table for table in tables if table.full_name in planned and table.saveable]


async def renew_safety_copy(
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
    await session.sidecar.settle(command, done=lambda: session.holds(name, location="local"))
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
    if not await session.holds(name, location="local"):
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
