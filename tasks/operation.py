"""An operation from its opening to its end: the cluster, its lock, the replicas it began on."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from prefect.exceptions import TerminationSignal

from tasks.abort import PATIENCE_SECONDS, abandon
from tasks.catalogue import look_at_backups, read_missing_manifests
from tasks.clickhouse.actions import Timeouts, read_actions
from tasks.clickhouse.client import Cluster, open_cluster
from tasks.clickhouse.journal import prepare_journal, read_journal
from tasks.clickhouse.lock import TableDoor
from tasks.clickhouse.session import ReplicaSession
from tasks.discovery import inspect_cluster
from tasks.domain.abort_result import Abandoned, ways_out
from tasks.domain.actions import at_work_for
from tasks.domain.catalogue import Catalogue
from tasks.domain.errors import BackupError, ClusterBusy, ClusterUnavailable, PreflightFailed
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.inventory import Inventory
from tasks.domain.journal import (
    Entry,
    Event,
    Journal,
    begun_as_several,
    is_surely_over,
    others_under_way,
)
from tasks.domain.lock import Claim
from tasks.domain.outcomes import Attempt
from tasks.domain.recovery import touched_by
from tasks.domain.requests import Options
from tasks.domain.restore_need import end_of
from tasks.domain.topology import Topology
from tasks.fan_out import HEALING, PLAIN, all_or_raise, fan_out, step
from tasks.fleet import Fleet
from tasks.locks import Lock, held_lock
from tasks.reports import Progress, report_abandoned, report_waiting

_CANCELLED = (asyncio.CancelledError, TerminationSignal)
_CANCELLING_SECONDS = 20.0


class Operation:
    """One operation that holds the installation's lock."""

    def __init__(self, cluster: Cluster, attempt: Attempt, options: Options, lock: Lock) -> None:
        self.attempt = attempt
        self._cluster = cluster
        self._options = options
        self._lock = lock
        self._sessions: tuple[ReplicaSession, ...] = ()

    @property
    def topology(self) -> Topology:
        return self._cluster.topology

    async def observe(self, *, gives_up: bool = True) -> Observation:
        """Look at every replica; what a dead operation left is cleared away first.

        Raises ClusterBusy naming an operation that is alive, or cannot be given up; unless
        `gives_up`, any one that has not ended.
        """
        observed = await self._inspected()
        journals = [seen.journal for seen in observed.inspections]
        others = others_under_way(journals, operation_id=self.attempt.operation_id)
        if not others:
            return observed
        self._demand_dead(others, journals)
        if not gives_up:
            raise ClusterBusy(_unended(others[0]))
        for other in others:
            await self._give_up(other)
        return await self._inspected()

    async def catalogue(self) -> Catalogue:
        """Look at what every replica lists of backups and knows of them.

        Once the operation has begun, manifests that nobody knows yet are read from the bucket.
        """
        width = self._options.concurrency
        found = await look_at_backups(self._cluster, width=width)
        if not (self._sessions and found.unread):
            return found
        unreadable = await read_missing_manifests(self._sessions, found, width=width)
        return await look_at_backups(self._cluster, width=width, unreadable=unreadable)

    async def glance(self) -> Catalogue:
        """Look once at what is listed and known: for what is not there, `catalogue` looks twice."""
        return await look_at_backups(self._cluster, width=self._options.concurrency, absence=False)

    def _demand_apart(self, journals: Iterable[Journal]) -> None:
        for journal in journals:
            if names := begun_as_several(journal, instance=self._lock.ours.instance):
                message = f"{' and '.join(names)} are one server: mend the inventory"
                raise PreflightFailed(message)

    async def _inspected(self) -> Observation:
        return await inspect_cluster(
            self._cluster,
            operation_id=self.attempt.operation_id,
            width=self._options.concurrency,
        )

    def _demand_dead(self, others: Iterable[Entry], journals: Iterable[Journal]) -> None:
        seen = tuple(journals)
        alive = [o for o in others if not is_surely_over(o, seen, door=self._lock.identity)]
        if alive:
            raise ClusterBusy(_refusal(alive[0]))

    async def _give_up(self, other: Entry) -> None:
        await report_waiting(f"gives up {other.operation} operation {other.operation_id}: it died")
        abandoned = await self.abandon(other.operation_id)
        if abandoned.stuck_on:  # one that is away is not in the way: there it stays open, named
            raise _stuck(other, abandoned)

    async def abandon(
        self, operation_id: str, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> Abandoned:
        """Give up an operation whose flow is gone, or going: our own, or another one's."""
        return await abandon(
            self._cluster,
            operation_id,
            lease=self._lock,
            width=self._options.concurrency,
            patience_seconds=patience_seconds,
        )

    async def begin(
        self, observed: Observation, *, name: str, request: dict[str, Any], steps: int
    ) -> Fleet:
        """Be written down on every replica that answers, before any command: then go on alone.

        `name` and `request` are what a rerun must repeat; `steps` is how many make the progress
        whole. Raises ClusterBusy naming the other operation, NotAllowed where `chops` cannot be
        written, PreflightFailed where two replicas of the inventory are one server.
        """
        own = self.attempt.operation_id
        facts = asdict(self._lock.facts)
        payload = json.dumps({"name": name, "request": request, "lock": facts})
        self._sessions = tuple(self._session(seen) for seen in observed.inspections)
        await self._everywhere(begin(session, payload) for session in self._sessions)
        # written first, read then: of two operations under different locks one sees the other
        reading = (read_journal(session.server, operation_id=own) for session in self._sessions)
        journals = await self._everywhere(reading)
        self._demand_dead(others_under_way(journals, operation_id=own), journals)
        self._demand_apart(journals)
        progress = await Progress.of(steps, what=f"{self.attempt.operation} {name}")
        return Fleet(self._sessions, width=self._options.concurrency, progress=progress)

    async def end(self) -> None:
        """Write down the end on each replica where it ended: elsewhere it stays open, the truth."""
        instance = self._lock.ours.instance
        closing = (end(session, instance) for session in self._sessions)
        await fan_out(closing, width=self._options.concurrency)

    async def clear_away(self) -> None:
        """Leave nothing of a cancelled operation at work, or half done, as far as time allows.

        What is left stays open in the journals: the next operation, or an abort, does the rest.
        """
        self._lock.keep()
        await self._lock.fences_passed()
        if self._sessions:
            abandoned = await self.abandon(
                self.attempt.operation_id, patience_seconds=_CANCELLING_SECONDS / 2
            )
            report_abandoned(abandoned.sentence)

    def _session(self, seen: Inspection) -> ReplicaSession:
        return ReplicaSession(
            self._cluster.server(seen.replica),
            shard=seen.shard,
            operation=self.attempt.operation,
            operation_id=self.attempt.operation_id,
            lease=self._lock,
            timeouts=Timeouts(
                action_seconds=self._options.action_timeout_seconds,
                busy_seconds=self._options.busy_timeout_seconds,
            ),
        )

    async def _everywhere(self, calls: Iterable[Any]) -> list[Any]:
        return all_or_raise(await fan_out(calls, width=self._options.concurrency))


@asynccontextmanager
async def operation_under_way(
    inventory: Inventory,
    attempt: Attempt,
    options: Options,
    *,
    preempts: frozenset[str] = frozenset(),
    aborts: str | None = None,
) -> AsyncIterator[Operation]:
    """Open the cluster and hold its lock until the body ends: what is seen meanwhile stays true.

    `preempts` are operations that need not be waited for; `aborts` is the id of one. When the run
    is cancelled, the operation is given up. Raises ClusterBusy naming the holder, LockLost naming
    who took over, ClusterUnavailable where the lock cannot be asked for.
    """
    claim = Claim(
        operation_id=attempt.operation_id,
        operation=attempt.operation,
        instance=secrets.token_hex(6),
        lease_seconds=options.lease_seconds,
        patience_seconds=options.busy_timeout_seconds,
        preempts=preempts,
        aborts=aborts,
    )
    async with open_cluster(inventory) as cluster:
        await prepare_journal(cluster.lock_server)
        door = TableDoor(cluster.lock_server)
        async with held_lock(door, claim, tell=report_waiting) as lock:
            operation = Operation(cluster, attempt, options, lock)
            try:
                yield operation
                await operation.end()
            except _CANCELLED:
                await _uninterrupted(operation.clear_away(), seconds=_CANCELLING_SECONDS)
                raise
            except BaseException:
                await operation.end()
                raise
            await lock.check()  # whoever lost it has no outcome: another one may undo it already


async def _uninterrupted(work: Coroutine[Any, Any, None], *, seconds: float) -> None:
    """Let work go on though its caller is cancelled, again and again; give it up when time is up.

    Its own failure is nobody's news: what stays open is written down as such.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    working = asyncio.create_task(work)
    while not working.done() and clock() < deadline:
        try:
            await asyncio.wait({working}, timeout=deadline - clock())
        except asyncio.CancelledError:
            continue
    working.cancel()
    try:
        await working
    except (BackupError, asyncio.CancelledError):
        return


def _refusal(other: Entry) -> str:
    facts = other.lock()
    under = f"under the lock {facts.door}, which is not ours" if facts else "under an unknown lock"
    return (
        f"{other.operation} operation {other.operation_id} began here {under}, and never ended: "
        "wait for it; if its process is dead, "
        f"`python -m flows abort --operation-id {other.operation_id}`, with the installation and "
        "its inventory"
    )


def _unended(other: Entry) -> str:
    return (
        f"{other.operation} operation {other.operation_id} died and is still open: run it again "
        "with its operation id, or abort it"
    )


def _stuck(other: Entry, abandoned: Abandoned) -> ClusterBusy | ClusterUnavailable:
    where = "; ".join(f"{replica}: {why}" for replica, why in abandoned.open_on.items())
    message = (
        f"{other.operation} operation {other.operation_id} died, and cannot be given up yet: "
        f"{where}. {' '.join(ways_out(abandoned))}"
    )
    return ClusterUnavailable(message) if abandoned.seen.silent else ClusterBusy(message)


@step(task_run_name="journal-{session.replica}", **PLAIN)
async def begin(session: ReplicaSession, payload: str) -> None:
    """Write down that the operation begins here, before its first command."""
    await prepare_journal(session.server)
    await session.note(Event.STARTED, session.replica, payload)


@step(task_run_name="end-{session.replica}", **HEALING)
async def end(session: ReplicaSession, instance: str) -> None:
    """Write down the end; not while an action still runs, nor when another one took over."""
    await session.lease.check()
    journal = await session.journal()
    names = touched_by(journal.last(Event.STARTED), journal)
    actions = await read_actions(session.server)
    if at_work_for(actions, operation_id=session.operation_id, names=names):
        return
    if journal.unfinished():
        await session.note(Event.FINISHED, instance, end_of(journal).value)
