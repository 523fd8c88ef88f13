"""The plan of a restore: what is dropped, created and filled on which replica, and what is lost.

With `overwrite` only what this backup can refill on that very replica is dropped; anything else
that holds rows must be named in `accept_loss`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.domain.errors import (
    BackupError,
    TopologyMismatch,
)
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.journal import Step
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.requests import RestoreRequest, Scope
from tasks.domain.tables import Table, TableClass, inner_names, late_tables
from tasks.domain.topology import Shard, Topology

_HEADROOM = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRestore:
    """One replica's part. `fill` are the tables whose rows are attached here, out of `create`."""

    shard: str
    replica: str
    drop: tuple[Table, ...]
    create: tuple[TableRecord, ...]
    late: tuple[TableRecord, ...]
    fill: tuple[TableRecord, ...]
    functions: tuple[str, ...] = ()  # SQL functions of another definition, which are replaced

    @property
    def definitions(self) -> dict[str, str]:
        return {table.full_name: table.definition for table in (*self.create, *self.late)}

    @property
    def lines(self) -> tuple[str, ...]:
        """The same words whenever the same is done: the plan's digest is made of them."""
        place = f"shard {self.shard}, {self.replica}:"
        return (
            *(f"{place} drop {table.full_name}" for table in self.drop),
            *(f"{place} replace SQL function {name}" for name in self.functions),
            *(f"{place} create {table.full_name}" for table in (*self.create, *self.late)),
            *(f"{place} attach the rows of {table.full_name}" for table in self.fill),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Rows that would be dropped and that this backup does not bring back here."""

    shard: str
    replica: str
    table: Table
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """One restore of a whole cluster, decided."""

    backup_name: str
    request: RestoreRequest
    replicas: tuple[ReplicaRestore, ...]
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, replica: str) -> ReplicaRestore:
        return next(part for part in self.replicas if part.replica == replica)

    def unhurt(self, errors: Mapping[str, BackupError]) -> list[str]:
        """List the replicas of shards where nothing failed: a shard goes on whole or not at all."""
        hurt = {self.of(replica).shard for replica in errors}
        return [part.replica for part in self.replicas if part.shard not in hurt]

    @property
    def lines(self) -> tuple[str, ...]:
        losses = (f"lost for good: {loss}" for loss in self.lost)
        return (*losses, *(line for part in self.replicas for line in part.lines))

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(f"{loss.table.full_name} on {loss.replica}" for loss in self.losses)

    @property
    def digest(self) -> str:
        """SHA-256 of the lines and of what is dropped, hexadecimal: what `approved_plan` pins."""
        saving = f"safety copy: {self.request.options.keep_safety_copy}"
        # the very tables that were looked at, not others of their names
        doomed = [f"{t.full_name} {t.identity}" for part in self.replicas for t in part.drop]
        text = "\n".join((self.backup_name, saving, *doomed, *self.lines))
        return hashlib.sha256(text.encode()).hexdigest()


def plan_restore(
    request: RestoreRequest,
    manifest: Manifest,
    topology: Topology,
    observed: Observation,
    *,
    operation_id: str,
) -> RestorePlan:
    """Decide what is done on each replica. Whether it may be done: `restore_guard`.

    Tables that an earlier attempt of this operation made are its own: neither guarded nor dropped.
    Raises TopologyMismatch where the backup does not fit the cluster.
    """
    _demand_same_layout(manifest, topology, observed)
    _demand_homes(request, manifest, topology)
    parts = tuple(
        _replica_restore(request, manifest, shard, seen, operation_id=operation_id)
        for shard in topology.shards
        for seen in observed.of_shard(shard.name)
    )
    return RestorePlan(
        backup_name=request.backup,
        request=request,
        replicas=parts,
        losses=tuple(loss for part in parts for loss in _losses(request, manifest, part)),
        notes=_missing_copies(request.backup, observed),
    )


def _missing_copies(backup: str, observed: Observation) -> tuple[str, ...]:
    having = {
        s.shard
        for s in observed.inspections
        if s.listing.holds(manifest_name(backup), location="remote")
    }
    missing = sorted({seen.shard for seen in observed.inspections} - having)
    if not missing:
        return ()
    note = (
        f"shard {', '.join(missing)} lacks its copy of the manifest: run the backup again with its "
        "operation id to write it"
    )
    return (note,)


def _demand_same_layout(manifest: Manifest, topology: Topology, observed: Observation) -> None:
    wanted, standing = set(manifest.shards), {shard.name for shard in topology.shards}
    if wanted != standing:
        message = (
            f"backup {manifest.backup_name} was taken from shards {', '.join(sorted(wanted))}; "
            f"this cluster has {', '.join(sorted(standing))}"
        )
        raise TopologyMismatch(message)
    for record in manifest.replicas:
        for seen in observed.of_shard(record.shard):
            before, now = record.macros.get("shard"), seen.macros.get("shard")
            if None not in (before, now) and before != now:
                message = (
                    f"{seen.place}: its macro {{shard}} is {now!r}, but the backup of this shard "
                    f"was taken where it was {before!r}: its remote path is another shard's"
                )
                raise TopologyMismatch(message)


def _demand_homes(request: RestoreRequest, manifest: Manifest, topology: Topology) -> None:
    """Rows without a replica to go to would be left out, and nothing would miss them."""
    if not _brings_rows(request, manifest):
        return
    shards = {shard.name: shard for shard in topology.shards}
    homeless = [
        f"{record.replica} of shard {record.shard}"
        for record in manifest.replicas
        if _home_of(record, manifest, shards[record.shard]) is None
    ]
    if homeless:
        message = (
            f"backup {manifest.backup_name} holds the rows of {', '.join(homeless)}; this cluster "
            "has no replica of that name to bring them to"
        )
        raise TopologyMismatch(message)


def _home_of(record: ReplicaRecord, manifest: Manifest, shard: Shard) -> str | None:
    """Find the replica that a record's rows go to; names may differ where there is one choice."""
    standing = [replica.name for replica in shard.replicas]
    if record.replica in standing:
        return record.replica
    recorded = [other for other in manifest.replicas if other.shard == shard.name]
    return standing[0] if len(recorded) == len(standing) == 1 else None


def _brings_rows(request: RestoreRequest, manifest: Manifest) -> bool:
    return not request.schema_only and manifest.scope is not Scope.SCHEMA


def _replica_restore(
    request: RestoreRequest,
    manifest: Manifest,
    shard: Shard,
    seen: Inspection,
    *,
    operation_id: str,
) -> ReplicaRestore:
    of_shard = [record for record in manifest.replicas if record.shard == shard.name]
    own = [record for record in of_shard if _home_of(record, manifest, shard) == seen.replica]
    record = next(iter(own or of_shard), None)
    tables = record.tables if record else ()
    late = {t.full_name for t in late_tables([table.as_table() for table in tables])}
    filled = tables if own and _brings_rows(request, manifest) else ()
    journal = seen.journal.of(operation_id)
    made = set(journal.identities().items())
    filled_before = journal.did(Step.DATA) and not journal.left_open(Step.DATA)
    names = {table.full_name for table in tables}
    standing = [table for table in seen.tables if table.full_name in names]
    inner = {name for table in standing for name in inner_names(table)}
    doomed = set() if filled_before else names | inner
    drop = [table for table in seen.tables if table.full_name in doomed]
    functions = record.functions if record else {}
    return ReplicaRestore(
        shard=seen.shard,
        replica=seen.replica,
        drop=tuple(table for table in drop if (table.full_name, table.identity) not in made),
        create=tuple(table for table in tables if table.full_name not in late),
        late=tuple(table for table in tables if table.full_name in late),
        fill=tuple(table for table in filled if table.engine.endswith("MergeTree")),
        functions=tuple(n for n, text in functions.items() if seen.functions.get(n, text) != text),
    )


def _losses(request: RestoreRequest, manifest: Manifest, part: ReplicaRestore) -> Iterable[Loss]:
    refilled = {table.full_name for table in part.fill}
    partitions = bool(manifest.request.get("partitions"))
    for table in part.drop:
        if not table.holds_rows or table.rows == 0:
            continue
        why = _why_lost(request, table, refilled=table.full_name in refilled, whole=not partitions)
        if why:
            yield Loss(shard=part.shard, replica=part.replica, table=table, why=why)


def _why_lost(request: RestoreRequest, table: Table, *, refilled: bool, whole: bool) -> str:
    if refilled and whole:
        return ""
    if refilled:
        return "the backup holds only some of its partitions"
    if request.schema_only:
        return "a schema-only restore does not bring its rows back"
    if table.table_class in {TableClass.LOCAL, TableClass.REPLICATED}:
        return "the backup holds no rows of it for this replica"
    return f"a sidecar keeps no rows of a {table.engine} table"
