"""Tasks about replication: ask the coordination service, and wait until siblings have caught up."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tasks.clickhouse.parts import read_parts
from tasks.clickhouse.replication import demand_coordination, read_registered, read_replication
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.catch_up import CatchUp, not_seen
from tasks.domain.errors import ClusterUnavailable, TransientError
from tasks.domain.fingerprint import Part
from tasks.domain.inspection import replicated_tables
from tasks.domain.journal import Event, Step
from tasks.domain.outcomes import COMPARISONS, TableComparison
from tasks.domain.replication import KeeperEntry
from tasks.domain.restore_plan import ReplicaRestore
from tasks.domain.restore_result import caught_up
from tasks.domain.tables import Table
from tasks.fan_out import HEALING, step

_SHORTEST_POLL, _LONGEST_POLL = 0.5, 15.0
_FORGET_SECONDS = 120.0


@step(task_run_name="coordination-{part.shard}-{part.replica}", **HEALING)
async def look_at_registry(
    session: ReplicaSession, part: ReplicaRestore, paths: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Demand that the coordination service answers, and read who is registered at `paths`."""
    if not part.replicates:
        return {}
    await demand_coordination(session.server)
    return await read_registered(session.server, paths)


async def entries_of(session: ReplicaSession, tables: Iterable[Table]) -> list[KeeperEntry]:
    """Find where this replica is registered for some of its tables."""
    names = set(replicated_tables(tables))
    states = await read_replication(session.server) if names else ()
    return [KeeperEntry(s.path, s.replica_name) for s in states if s.table in names]


async def until_unregistered(session: ReplicaSession, entries: Sequence[KeeperEntry]) -> None:
    """Wait until the coordination service has forgotten this replica of dropped tables.

    One that stays registered would make the create fail, or keep what siblings have for it.
    """
    deadline = asyncio.get_running_loop().time() + _FORGET_SECONDS
    left = list(entries)
    while left:
        await session.lease.check()
        with contextlib.suppress(TransientError):  # nodes vanish while they are looked at
            known = await read_registered(session.server, [entry.path for entry in left])
            left = [entry for entry in left if entry.replica_name in known[entry.path]]
        if left and asyncio.get_running_loop().time() >= deadline:
            message = (
                f"{session.replica}: {left[0].replica_name} is still registered at {left[0].path} "
                f"{_FORGET_SECONDS:g} s after its table was dropped"
            )
            raise ClusterUnavailable(message)
        await asyncio.sleep(_SHORTEST_POLL if left else 0)


@step(task_run_name="catch-up-{part.shard}-{part.replica}", **HEALING)
async def catch_up(
    session: ReplicaSession,
    part: ReplicaRestore,
    sources: Mapping[str, ReplicaSession],
    timeout_seconds: float,
) -> tuple[TableComparison, ...]:
    """Wait until this replica has every part that was attached on another one.

    What the others had at the first look counts: writers may go on meanwhile. A gap that stays
    is not a failure of this task but a comparison that could not tell.
    """
    noted = (await session.journal()).last(Event.STEP, Step.CATCH_UP)
    if noted is not None and part.need.filled:
        return COMPARISONS.validate_json(noted.payload)
    waiting = {
        source: _Waiting(session, sources[source], tables)
        for source, tables in _tables_by_source(part).items()
    }
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    found = [done for wait in waiting.values() for done in await wait.until(deadline)]
    compared = caught_up(part, found)
    if all(progress.complete for progress in found):
        await session.note(Event.STEP, Step.CATCH_UP, COMPARISONS.dump_json(compared).decode())
    return compared


class _Waiting:
    """One replica waiting for what one other replica attached."""

    def __init__(
        self, session: ReplicaSession, source: ReplicaSession, tables: Sequence[str]
    ) -> None:
        self._session = session
        self._source = source
        self._wanted: dict[str, list[Part]] = {table: [] for table in tables}

    async def until(self, deadline: float) -> list[CatchUp]:
        """Look again and again, at what is still missing only."""
        names = list(self._wanted)
        attached = await read_parts(self._source.server, names)
        self._wanted = {n: [p for p in attached.get(n, ()) if p.active] for n in names}
        pause = _SHORTEST_POLL
        while True:
            await self._session.lease.check()
            await self._look()
            if not any(self._wanted.values()) or asyncio.get_running_loop().time() >= deadline:
                return await self._told()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL)

    async def _look(self) -> None:
        names = [name for name, missing in self._wanted.items() if missing]
        if not names:
            return
        try:
            here = await read_parts(self._session.server, names)
            there = await read_parts(self._source.server, names)
        except TransientError:  # a look that fails proves nothing: the next one may not
            return
        for name in names:
            self._wanted[name] = not_seen(
                self._wanted[name], here=here.get(name, ()), there=there.get(name, ())
            )

    async def _told(self) -> list[CatchUp]:
        states = {state.table: state for state in await read_replication(self._session.server)}
        return [
            CatchUp(
                table=name,
                source=self._source.replica,
                missing=tuple(missing),
                state=states.get(name),
            )
            for name, missing in self._wanted.items()
        ]


def _tables_by_source(part: ReplicaRestore) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for followed in part.follow:
        found[followed.source].append(followed.record.full_name)
    return found
