"""Begin and end an operation: the installation's lock, and its word in every replica's journal."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prefect import task

from tasks.clickhouse.actions import Timeouts, read_actions
from tasks.clickhouse.client import Cluster, Server
from tasks.clickhouse.journal import JournalWriter, prepare_journal, read_journal
from tasks.clickhouse.lock import demand_unheld, held_lock, read_holder, release_by_hand
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import ClusterBusy
from tasks.domain.inspection import Observation
from tasks.domain.journal import Entry, Event, others_under_way
from tasks.domain.requests import Options
from tasks.fan_out import HEALING, PLAIN, all_or_raise, fan_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What an operation says of itself when it begins; kept in the journal, word for word."""

    operation: str
    operation_id: str
    name: str
    request: dict[str, Any]
    options: Options

    @property
    def payload(self) -> str:
        return json.dumps({"name": self.name, "request": self.request})


@asynccontextmanager
async def operation_under_way(
    cluster: Cluster, observed: Observation, beginning: Beginning
) -> AsyncIterator[tuple[ReplicaSession, ...]]:
    """Hold the lock and be written down on every replica that answers, until the body ends.

    Raises ClusterBusy naming the other operation, NotAllowed where `chops` cannot be written.
    """
    options = beginning.options
    await prepare_journal(cluster.lock_server)
    async with held_lock(
        cluster.lock_server,
        operation_id=beginning.operation_id,
        operation=beginning.operation,
        lease_seconds=options.lease_seconds,
    ) as lock:
        timeouts = Timeouts(
            action_seconds=options.action_timeout_seconds, busy_seconds=options.busy_timeout_seconds
        )
        sessions = tuple(
            ReplicaSession(
                cluster.server(seen.replica),
                shard=seen.shard,
                operation=beginning.operation,
                operation_id=beginning.operation_id,
                lease=lock,
                timeouts=timeouts,
            )
            for seen in observed.inspections
        )
        width = options.concurrency
        try:
            all_or_raise(
                await fan_out((begin(s, beginning.payload) for s in sessions), width=width)
            )
            await _demand_to_be_alone(sessions, beginning.operation_id)
            yield sessions
        finally:
            # where a replica is away, or still at work, the operation stays open: the truth
            closing = fan_out((end(session) for session in sessions), width=width)
            await asyncio.shield(asyncio.ensure_future(closing))


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


async def demand_free(cluster: Cluster, operation_id: str) -> None:
    """Raise ClusterBusy naming the operation that holds the cluster.

    Asked first: the sidecars that it keeps at work would look like trouble of their own.
    """
    await demand_unheld(cluster.lock_server, operation_id=operation_id)


async def clear_operation(cluster: Cluster, operation_id: str) -> tuple[str, ...]:
    """Give up a dead operation: release its lock and close it in every journal.

    Returns a line for each thing that was done. Its backups and tables are left as they are.
    Raises ClusterBusy while its process shows signs of life.
    """
    holder = await read_holder(cluster.lock_server)
    if holder is not None and holder.operation_id == operation_id and holder.is_alive:
        message = (
            f"operation {operation_id} renewed its lock {holder.silent_seconds} s ago: its process "
            f"is alive. A dead one is silent for {holder.lease_seconds} s."
        )
        raise ClusterBusy(message)
    for server in cluster.servers:
        await _demand_idle(server, operation_id)
    done = []
    if await release_by_hand(cluster.lock_server, operation_id=operation_id):
        done.append(f"released the lock on {cluster.lock_server.name}")
    for server in cluster.servers:
        journal = await read_journal(server, operation_id=operation_id)
        for entry in journal.of(operation_id).unfinished():
            writer = JournalWriter(server, operation_id=operation_id, operation=entry.operation)
            await writer.append(Event.FINISHED, payload="cleared by hand")
            done.append(f"closed the operation on {server.name}")
    return tuple(done)


async def _demand_idle(server: Server, operation_id: str) -> None:
    for action in await read_actions(server):
        if action.running and action.belongs_to(operation_id):
            message = (
                f"the sidecar of {server.name} still runs `{action.verb} {action.name}` for "
                f"operation {operation_id}: wait until it has ended"
            )
            raise ClusterBusy(message)


async def _demand_to_be_alone(sessions: Sequence[ReplicaSession], operation_id: str) -> None:
    journals = [await read_journal(s.server, operation_id=operation_id) for s in sessions]
    others = others_under_way(journals, operation_id=operation_id)
    if others:
        raise ClusterBusy(_refusal(others[0]))


def _refusal(other: Entry) -> str:
    return (
        f"{other.operation} operation {other.operation_id} began here and never ended: its process "
        f"is at work or dead. Run it again with operation_id={other.operation_id} to finish it, or "
        f"give it up with `python -m flows unlock --operation-id {other.operation_id}`."
    )
