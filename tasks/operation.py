"""An operation from its opening to its end: the cluster, its lock, the replicas it began on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from prefect import task

from tasks.clickhouse.actions import Timeouts, read_actions
from tasks.clickhouse.client import Cluster, open_cluster
from tasks.clickhouse.journal import prepare_journal
from tasks.clickhouse.lock import Lock, held_lock
from tasks.clickhouse.session import ReplicaSession
from tasks.discovery import inspect_cluster
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.inventory import Inventory
from tasks.domain.journal import Event
from tasks.domain.outcomes import Attempt
from tasks.domain.requests import Options
from tasks.domain.topology import Topology
from tasks.fan_out import HEALING, PLAIN, all_or_raise, fan_out
from tasks.fleet import Fleet
from tasks.locks import demand_to_be_alone
from tasks.reports import Progress


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

    async def observe(self) -> Observation:
        """Look at every replica; nothing is remembered from an earlier look."""
        return await inspect_cluster(
            self._cluster,
            operation_id=self.attempt.operation_id,
            width=self._options.concurrency,
        )

    async def begin(
        self, observed: Observation, *, name: str, request: dict[str, Any], steps: int
    ) -> Fleet:
        """Be written down on every replica that answers, before any command: then go on alone.

        `name` and `request` are what a rerun must repeat; `steps` is how many make the progress
        whole. Raises ClusterBusy naming the other operation, NotAllowed where `chops` cannot be
        written.
        """
        payload = json.dumps({"name": name, "request": request})
        self._sessions = tuple(self._session(seen) for seen in observed.inspections)
        await self._everywhere(begin(session, payload) for session in self._sessions)
        await demand_to_be_alone(self._sessions, self.attempt.operation_id)
        progress = await Progress.of(steps, what=f"{self.attempt.operation} {name}")
        return Fleet(self._sessions, width=self._options.concurrency, progress=progress)

    async def end(self) -> None:
        """Write down the end on each replica where it ended: elsewhere it stays open, the truth."""
        closing = fan_out((end(s) for s in self._sessions), width=self._options.concurrency)
        await asyncio.shield(asyncio.ensure_future(closing))

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

    async def _everywhere(self, calls: Iterable[Any]) -> None:
        all_or_raise(await fan_out(calls, width=self._options.concurrency))


@asynccontextmanager
async def operation_under_way(
    inventory: Inventory, attempt: Attempt, options: Options
) -> AsyncIterator[Operation]:
    """Open the cluster and hold its lock until the body ends: what is seen meanwhile stays true.

    Raises ClusterBusy naming the holder, ClusterUnavailable where the lock cannot be asked for.
    """
    async with open_cluster(inventory) as cluster:
        await prepare_journal(cluster.lock_server)
        async with held_lock(
            cluster.lock_server,
            operation_id=attempt.operation_id,
            operation=attempt.operation,
            lease_seconds=options.lease_seconds,
        ) as lock:
            operation = Operation(cluster, attempt, options, lock)
            try:
                yield operation
            finally:
                await operation.end()


@task(task_run_name="journal-{session.replica}", **PLAIN)
async def begin(session: ReplicaSession, payload: str) -> None:
    """Write down that the operation begins here, before its first command."""
    await prepare_journal(session.server)
    await session.note(Event.STARTED, payload=payload)


@task(task_run_name="end-{session.replica}", **HEALING)
async def end(session: ReplicaSession) -> None:
    """Write down the end; not while an action still runs, nor when another one took over."""
    await session.lease.check()
    actions = await read_actions(session.server)
    if any(action.running and action.belongs_to(session.operation_id) for action in actions):
        return
    if (await session.journal()).unfinished():
        await session.note(Event.FINISHED)
