"""Domain values for tests: whole and plausible by default, any field overridden by keyword."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.domain.backup_plan import BackupPlan, plan_backup
from tasks.domain.base_choice import Wish
from tasks.domain.fingerprint import Fingerprint, Part
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.inventory import Inventory
from tasks.domain.journal import Entry, Event, Journal
from tasks.domain.listing import Listed, Listing
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.outcomes import Attempt, BackupOutcome, ReplicaOutcome, RestoreOutcome, Status
from tasks.domain.requests import BackupRequest, Scope
from tasks.domain.restore_guard import demand_allowed
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_planning import plan_restore
from tasks.domain.restore_request import RestoreRequest
from tasks.domain.tables import Table
from tasks.domain.topology import Replica, Shard, Topology

OPERATION = "op-1"
BACKUP = "before-upgrade"
NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def replica_name(shard: int = 0, replica: int = 0) -> str:
    return f"chi-demo-main-{shard}-{replica}"


def make_topology(*, shards: int = 2, replicas: int = 1, **fields: Any) -> Topology:
    made = tuple(
        Shard(
            name=str(shard),
            replicas=tuple(
                Replica(name=replica_name(shard, replica), host=f"10.0.{shard}.{replica}")
                for replica in range(replicas)
            ),
        )
        for shard in range(shards)
    )
    return Topology(**({"installation": "demo", "cluster": "main", "shards": made} | fields))


def make_inventory(*, shards: int = 2, replicas: int = 1, **fields: Any) -> Inventory:
    topology = make_topology(shards=shards, replicas=replicas)
    return Inventory.model_validate(topology.model_dump() | fields)


def make_table(name: str = "orders", **fields: Any) -> Table:
    database = fields.get("database", "shop")
    engine = fields.get("engine", "MergeTree")
    defaults: dict[str, Any] = {
        "database": database,
        "name": name,
        "engine": engine,
        "uuid": f"uuid-of-{database}-{name}",
        "modified": 1_700_000_000,
        "definition": f"CREATE TABLE {database}.{name} (id UInt64) ENGINE = {engine}",
        "rows": 10,
        "size_bytes": 1000,
    }
    return Table(**(defaults | fields))


def make_view(name: str = "sums", *, source: str = "shop.orders", **fields: Any) -> Table:
    definition = f"CREATE MATERIALIZED VIEW shop.{name} TO shop.target AS SELECT id FROM {source}"
    defaults: dict[str, Any] = {
        "engine": "MaterializedView",
        "definition": definition,
        "rows": None,
    }
    return make_table(name, **(defaults | fields))


def inner_of(view: Table, **fields: Any) -> Table:
    return make_table(f".inner_id.{view.uuid}", **({"database": view.database} | fields))


def make_part(name: str = "202601_1_1_0", **fields: Any) -> Part:
    defaults: dict[str, Any] = {
        "name": name,
        "partition_id": name.partition("_")[0],
        "rows": 10,
        "size_bytes": 100,
        "hash": hash_of(name),
    }
    return Part(**(defaults | fields))


def hash_of(text: str) -> str:
    """Make what stands for the hash of a part's files."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def make_fingerprint(*names: str) -> Fingerprint:
    return Fingerprint.of(make_part(name) for name in names or ("202601_1_1_0",))


def make_listed(name: str = BACKUP, **fields: Any) -> Listed:
    defaults: dict[str, Any] = {
        "name": name,
        "location": "remote",
        "size_bytes": 1000,
        "created_at": 1_700_000_000,
        "required": "",
        "desc": "tar, regular",
    }
    return Listed(**(defaults | fields))


def make_listing(*rows: Listed) -> Listing:
    return Listing(rows)


def complete_listing(backup: str = BACKUP) -> Listing:
    return make_listing(make_listed(backup), make_listed(manifest_name(backup)))


def make_entry(event: Event = Event.STEP, subject: str = "", **fields: Any) -> Entry:
    defaults: dict[str, Any] = {
        "at": 1_700_000_000,
        "operation_id": OPERATION,
        "operation": "backup",
        "event": event,
        "subject": subject,
    }
    return Entry(**(defaults | fields))


def make_journal(*entries: Entry) -> Journal:
    return Journal(entries)


def started(request: BackupRequest | RestoreRequest, *, name: str = BACKUP, **fields: Any) -> Entry:
    document = {"name": name, "request": request.without_options()}
    return make_entry(Event.STARTED, **({"payload": json.dumps(document)} | fields))


def made(*tables: Table, **fields: Any) -> Entry:
    """Make the entry by which an operation knows its own tables."""
    identities = {table.full_name: table.identity for table in tables}
    return make_entry(Event.IDENTITY, **({"payload": json.dumps(identities)} | fields))


def make_inspection(shard: int = 0, replica: int = 0, **fields: Any) -> Inspection:
    defaults: dict[str, Any] = {
        "shard": str(shard),
        "replica": replica_name(shard, replica),
        "clickhouse_version": "25.8.1.1",
        "sidecar_version": "2.6.39",
        "macros": {"shard": str(shard), "replica": str(replica)},
        "tables": (make_table(),),
        "database_engines": {"shop": "Atomic"},
        "functions": {},
        "listing": make_listing(),
        "journal": make_journal(),
        "free_bytes": 10**12,
    }
    return Inspection(**(defaults | fields))


def make_observation(
    *inspections: Inspection, unreachable: Mapping[str, str] | None = None
) -> Observation:
    return Observation(
        inspections or (make_inspection(0), make_inspection(1)), dict(unreachable or {})
    )


def backup_request(**fields: Any) -> BackupRequest:
    return BackupRequest.from_form(**fields)


def restore_request(**fields: Any) -> RestoreRequest:
    return RestoreRequest.from_form(**({"backup": BACKUP} | fields))


def make_backup_plan(
    request: BackupRequest | None = None,
    *,
    topology: Topology | None = None,
    observed: Observation | None = None,
    **fields: Any,
) -> BackupPlan:
    return plan_backup(
        make_wish(request, **fields),
        topology or make_topology(),
        observed or make_observation(),
    )


def make_wish(request: BackupRequest | None = None, **fields: Any) -> Wish:
    defaults: dict[str, Any] = {
        "request": request or backup_request(),
        "backup_name": BACKUP,
        "operation_id": OPERATION,
        "now": NOW,
    }
    return Wish(**(defaults | fields))


def make_table_record(table: Table | None = None, **fields: Any) -> TableRecord:
    found = table or make_table()
    defaults: dict[str, Any] = {
        "database": found.database,
        "name": found.name,
        "engine": found.engine,
        "definition": found.definition,
        "uuid": found.uuid,
        "rows": found.rows,
        "fingerprint": make_fingerprint() if found.engine.endswith("MergeTree") else None,
    }
    return TableRecord(**(defaults | fields))


def make_replica_record(
    shard: int = 0,
    replica: int = 0,
    *,
    name: str | None = None,
    tables: Iterable[Table] | None = None,
    **fields: Any,
) -> ReplicaRecord:
    found = [make_table()] if tables is None else tables
    defaults: dict[str, Any] = {
        "shard": str(shard),
        "replica": name or replica_name(shard, replica),
        "macros": {"shard": str(shard), "replica": str(replica)},
        "tables": tuple(make_table_record(table) for table in found),
        "frozen_from": NOW,
        "frozen_until": NOW + timedelta(seconds=2),
        "size_bytes": 1000,
    }
    return ReplicaRecord(**(defaults | fields))


def make_manifest(*records: ReplicaRecord, **fields: Any) -> Manifest:
    found = records or (make_replica_record(0), make_replica_record(1))
    shards: dict[str, tuple[str, ...]] = {}
    for record in found:
        shards[record.shard] = (*shards.get(record.shard, ()), record.replica)
    defaults: dict[str, Any] = {
        "backup_name": BACKUP,
        "operation_id": "op-of-backup",
        "installation": "demo",
        "cluster": "main",
        "scope": Scope.FULL,
        "request": backup_request().model_dump(mode="json"),
        "shards": shards,
        "replicas": found,
    }
    return Manifest(**(defaults | fields))


def make_restore_plan(
    request: RestoreRequest | None = None,
    *,
    manifest: Manifest | None = None,
    topology: Topology | None = None,
    observed: Observation | None = None,
    operation_id: str = OPERATION,
) -> RestorePlan:
    """Plan onto two shards that hold nothing, unless told otherwise, and ask whether it may be."""
    found = manifest or make_manifest()
    seen = observed or make_observation(make_target(0), make_target(1))
    plan = plan_restore(
        request or restore_request(),
        found,
        topology or make_topology(),
        seen,
        operation_id=operation_id,
    )
    demand_allowed(plan, seen, operation_id=operation_id)
    return plan


def make_target(shard: int = 0, replica: int = 0, *tables: Table, **fields: Any) -> Inspection:
    """Make what a restore sees: a replica that lists the backup and holds `tables`, here none."""
    defaults: dict[str, Any] = {"tables": tables, "listing": complete_listing()}
    return make_inspection(shard, replica, **(defaults | fields))


def make_attempt(**fields: Any) -> Attempt:
    defaults: dict[str, Any] = {
        "operation": "backup",
        "installation": "demo",
        "operation_id": OPERATION,
        "started": NOW,
    }
    return Attempt(**(defaults | fields))


def make_replica_outcome(**fields: Any) -> ReplicaOutcome:
    defaults: dict[str, Any] = {
        "shard": "0",
        "replica": replica_name(),
        "done": True,
        "phase": "committed",
    }
    return ReplicaOutcome(**(defaults | fields))


def make_backup_outcome(**fields: Any) -> BackupOutcome:
    return BackupOutcome(**(_outcome("backup") | {"scope": "full"} | fields))


def make_restore_outcome(**fields: Any) -> RestoreOutcome:
    return RestoreOutcome(**(_outcome("restore") | fields))


def _outcome(operation: str) -> dict[str, Any]:
    return {
        "operation": operation,
        "operation_id": OPERATION,
        "installation": "demo",
        "backup_name": BACKUP,
        "status": Status.COMPLETED,
        "started": NOW,
        "finished": NOW + timedelta(seconds=90),
        "replicas": (make_replica_outcome(),),
    }
