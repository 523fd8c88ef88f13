"""Who else is at work on a cluster, by its lock and its journals; how a dead one is given up."""

from collections.abc import Sequence

from tasks.clickhouse.actions import read_actions
from tasks.clickhouse.client import Cluster, Server
from tasks.clickhouse.journal import JournalWriter, read_journal
from tasks.clickhouse.lock import read_holder, release_by_hand
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import ClusterBusy
from tasks.domain.journal import Entry, Event, others_under_way


async def demand_to_be_alone(sessions: Sequence[ReplicaSession], operation_id: str) -> None:
    """Raise ClusterBusy naming another operation that some journal shows as unfinished."""
    journals = [await read_journal(s.server, operation_id=operation_id) for s in sessions]
    others = others_under_way(journals, operation_id=operation_id)
    if others:
        raise ClusterBusy(_refusal(others[0]))


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


def _refusal(other: Entry) -> str:
    return (
        f"{other.operation} operation {other.operation_id} began here and never ended: its process "
        f"is at work or dead. Run it again with operation_id={other.operation_id} to finish it, or "
        f"give it up with `python -m flows unlock --operation-id {other.operation_id}`."
    )
