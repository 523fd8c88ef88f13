"""Find the cluster, and look once at every replica of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.clickhouse.actions import read_actions
from tasks.clickhouse.client import Cluster, Server
from tasks.clickhouse.journal import read_journal
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.parts import read_parts
from tasks.clickhouse.replication import read_replication
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import (
    read_database_engines,
    read_free_bytes,
    read_functions,
    read_macros,
    read_object_disks,
    read_tables,
    read_tables_on_disks,
)
from tasks.clickhouse.versions import read_sidecar_version, read_version
from tasks.domain.actions import busy_with
from tasks.domain.errors import BackupError, InvalidRequest
from tasks.domain.fingerprint import Part
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.inventory import Inventory
from tasks.fan_out import HEALING, PLAIN, all_or_raise, fan_out, step


def find_inventory(
    inventory: Inventory | dict[str, Any] | str | Path, *, installation: str, namespace: str
) -> Inventory:
    """Read the inventory and check that it is of this installation; nothing is sent.

    Raises InvalidRequest. Without an inventory the cluster would be a ClickHouseInstallation of
    `namespace`, which cannot be discovered yet.
    """
    if inventory == "":
        message = (
            f"no inventory was given for {namespace}/{installation}: installations are not "
            "discovered from Kubernetes yet, so name an inventory file"
        )
        raise InvalidRequest(message)
    found = _read(inventory)
    if found.installation != installation:
        message = (
            f"there is no installation {installation!r} here: the inventory is of "
            f"{found.installation!r}"
        )
        raise InvalidRequest(message)
    return found


async def inspect_cluster(cluster: Cluster, *, operation_id: str, width: int) -> Observation:
    """Look at every replica in parallel. What does not answer is told, not raised."""
    places = [
        (shard.name, cluster.server(replica.name))
        for shard in cluster.topology.shards
        for replica in shard.replicas
    ]
    looks = await fan_out(
        (inspect_replica(server, shard, operation_id) for shard, server in places), width=width
    )
    return Observation(
        inspections=tuple(look for look in looks if isinstance(look, Inspection)),
        unreachable={
            server.name: str(look)
            for (_, server), look in zip(places, looks, strict=True)
            if isinstance(look, BackupError)
        },
    )


@step(task_run_name="inspect-{server.name}", **PLAIN)
async def inspect_replica(server: Server, shard: str, operation_id: str) -> Inspection:
    """Read everything that a decision about this replica needs; write nothing."""
    journal = await read_journal(server, operation_id=operation_id)
    busy = busy_with(
        await read_actions(server),
        operation_id=operation_id,
        own_name=journal.name_of(operation_id),
    )
    return Inspection(
        shard=shard,
        replica=server.name,
        clickhouse_version=await read_version(server),
        sidecar_version=await read_sidecar_version(server),
        macros=await read_macros(server),
        tables=await read_tables(server),
        database_engines=await read_database_engines(server),
        functions=await read_functions(server),
        listing=await read_listing(server),
        journal=journal,
        replication=await read_replication(server),
        object_disk_tables=await read_tables_on_disks(server, await read_object_disks(server)),
        free_bytes=await read_free_bytes(server),
        busy_with=None if busy is None else f"{busy.verb} {busy.name}",
    )


async def with_parts(
    observed: Observation,
    sessions: Mapping[str, ReplicaSession],
    tables: Sequence[str],
    *,
    width: int,
) -> Observation:
    """Look at the parts of some tables, too, on every replica that was seen."""
    looks = await fan_out(
        (parts_of(sessions[seen.replica], tables) for seen in observed.inspections), width=width
    )
    found = zip(observed.inspections, all_or_raise(looks), strict=True)
    return replace(observed, inspections=tuple(replace(seen, parts=parts) for seen, parts in found))


@step(task_run_name="parts-{session.replica}", **HEALING)
async def parts_of(session: ReplicaSession, tables: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    return await read_parts(session.server, tables)


def _read(inventory: Inventory | dict[str, Any] | str | Path) -> Inventory:
    if isinstance(inventory, Inventory):
        return inventory
    if isinstance(inventory, dict):
        return Inventory.from_yaml(json.dumps(inventory), origin="given inline")
    path = Path(inventory).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        message = f"inventory {path} cannot be read: {why}"
        raise InvalidRequest(message) from error
    return Inventory.from_yaml(text, origin=str(path))
