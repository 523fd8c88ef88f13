"""The plan of a restore: what is dropped, created and filled on which replica, and what is lost.

With `overwrite` only what this backup can refill on that very replica is dropped; anything else
that holds rows must be named in `accept_loss`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tasks.domain.errors import BackupError
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.replication import KeeperEntry, keeper_entry
from tasks.domain.requests import RestoreRequest, Scope
from tasks.domain.restore_layout import Followed, Layout, demand_homes, layout_of
from tasks.domain.restore_need import Need, need_of, needs_together
from tasks.domain.tables import Table, TableClass, inner_names, late_tables, sidecar_patterns
from tasks.domain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRestore:
    """One replica's part. `fill` are the tables whose rows are attached here, out of `create`.

    Rows of those in `follow` come by replication. `entries`: where each replicated table will be
    registered, as far as it can be told.
    """

    shard: str
    replica: str
    need: Need = Need.REPLACE
    drop: tuple[Table, ...]
    create: tuple[TableRecord, ...]
    late: tuple[TableRecord, ...]
    fill: tuple[TableRecord, ...]
    follow: tuple[Followed, ...] = ()
    functions: tuple[str, ...] = ()  # SQL functions of another definition, which are replaced
    entries: Mapping[str, KeeperEntry] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Tell every table that this restore makes or drops here."""
        made = (table.full_name for table in (*self.create, *self.late))
        return frozenset(made) | {table.full_name for table in self.drop}

    @property
    def refilled(self) -> tuple[TableRecord, ...]:
        """List the tables that will hold the backup's rows, whoever attaches them."""
        return (*self.fill, *(followed.record for followed in self.follow))

    @property
    def replicates(self) -> bool:
        """Tell whether it drops or makes a table that the coordination service knows."""
        made = (table.table_class for table in (*self.create, *self.late))
        classes = {*made, *(table.table_class for table in self.drop)}
        return TableClass.REPLICATED in classes

    @property
    def sources(self) -> frozenset[str]:
        """Name the replicas that attach rows which come here by replication."""
        return frozenset(followed.source for followed in self.follow)

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
            *(
                f"{place} get the rows of {followed.record.full_name} from {followed.source}"
                for followed in self.follow
            ),
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
    choices: tuple[str, ...] = ()  # which replica attaches replicated rows, and why that one

    def of(self, replica: str) -> ReplicaRestore:
        return next(part for part in self.replicas if part.replica == replica)

    def unhurt(self, errors: Mapping[str, BackupError]) -> list[str]:
        """List the replicas of shards where nothing failed: a shard goes on whole or not at all.

        So do shards that share a replicated table.
        """
        shard_of = {part.replica: part.shard for part in self.replicas}
        hurt = {shard_of[replica] for replica in errors}
        ties = {
            frozenset({part.shard, shard_of[source]})
            for part in self.replicas
            for source in part.sources
        }
        while spread := [tie for tie in ties if tie & hurt and not tie <= hurt]:
            hurt |= frozenset().union(*spread)
        return [part.replica for part in self.replicas if part.shard not in hurt]

    @property
    def lines(self) -> tuple[str, ...]:
        losses = (f"lost for good: {loss}" for loss in self.lost)
        steps = (line for part in self.replicas for line in part.lines)
        return (*losses, *self.choices, *steps)

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


def patterns_of(tables: Iterable[TableRecord]) -> tuple[str, ...]:
    """Patterns that name these tables in a command."""
    return sidecar_patterns((table.as_table() for table in tables), whole_databases=False)


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
    layout = layout_of(manifest, topology, observed)
    if _brings_rows(request, manifest):
        demand_homes(layout, manifest)
    parts = _needed_together(
        _replica_restore(request, manifest, layout, seen, operation_id=operation_id)
        for shard in topology.shards
        for seen in observed.of_shard(shard.name)
    )
    return RestorePlan(
        backup_name=request.backup,
        request=request,
        replicas=parts,
        losses=tuple(loss for part in parts for loss in _losses(request, manifest, part)),
        notes=_missing_copies(request.backup, observed),
        choices=_choices(layout, parts),
    )


def _needed_together(parts: Iterable[ReplicaRestore]) -> tuple[ReplicaRestore, ...]:
    alone = tuple(parts)
    needs = needs_together(
        {part.replica: part.need for part in alone},
        {part.replica: part.sources for part in alone},
    )
    return tuple(replace(part, need=needs[part.replica]) for part in alone)


def _choices(layout: Layout, parts: Iterable[ReplicaRestore]) -> tuple[str, ...]:
    followed = {source: part.shard for part in parts for source in part.sources}
    return tuple(
        f"shard {record.shard}: replicated rows are attached on {replica}: "
        f"{layout.reasons[record.shard]}"
        if replica == layout.first_of(record.shard)
        else f"shard {record.shard}: replicated rows of tables that no sibling's copy holds are "
        f"attached on {replica}"
        for replica, record in layout.homes.items()
        if replica in followed
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


def _brings_rows(request: RestoreRequest, manifest: Manifest) -> bool:
    return not request.schema_only and manifest.scope is not Scope.SCHEMA


def _replica_restore(
    request: RestoreRequest,
    manifest: Manifest,
    layout: Layout,
    seen: Inspection,
    *,
    operation_id: str,
) -> ReplicaRestore:
    own = layout.homes.get(seen.replica)
    record = own or next((r for r in manifest.replicas if r.shard == seen.shard), None)
    tables = record.tables if record else ()
    late = {t.full_name for t in late_tables([table.as_table() for table in tables])}
    entries = {t.full_name: keeper_entry(t.as_table(), seen.macros) for t in tables}
    journal = seen.journal.of(operation_id)
    made = set(journal.identities().items())
    functions = record.functions if record else {}
    part = ReplicaRestore(
        shard=seen.shard,
        replica=seen.replica,
        need=need_of(journal),
        drop=tuple(t for t in _in_the_way(tables, seen) if (t.full_name, t.identity) not in made),
        create=tuple(table for table in tables if table.full_name not in late),
        late=tuple(table for table in tables if table.full_name in late),
        fill=(),
        functions=tuple(n for n, text in functions.items() if seen.functions.get(n, text) != text),
        entries={name: entry for name, entry in entries.items() if entry is not None},
    )
    if part.need.filled:
        part = replace(part, drop=())
    if not _brings_rows(request, manifest):
        return part
    return _filled(part, tables, layout, own=own is not None)


def _in_the_way(tables: Iterable[TableRecord], seen: Inspection) -> Iterable[Table]:
    """List what stands under the backup's names, and the inner tables of its views."""
    names = {table.full_name for table in tables}
    views = [table for table in seen.tables if table.full_name in names]
    doomed = names | {name for table in views for name in inner_names(table)}
    return (table for table in seen.tables if table.full_name in doomed)


def _filled(
    part: ReplicaRestore, tables: Iterable[TableRecord], layout: Layout, *, own: bool
) -> ReplicaRestore:
    """Tell which rows are attached here, and which come from another replica."""
    fill: list[TableRecord] = []
    follow: list[Followed] = []
    for table in tables:
        if not table.engine.endswith("MergeTree"):
            continue
        source = None
        if table.table_class is TableClass.REPLICATED:
            entry = part.entries.get(table.full_name)
            source = layout.source_of(table, shard=part.shard, entry=entry)
        if source is not None and source.source != part.replica:
            follow.append(source)
        elif own:
            fill.append(table)
    return replace(part, fill=tuple(fill), follow=tuple(follow))


def _losses(request: RestoreRequest, manifest: Manifest, part: ReplicaRestore) -> Iterable[Loss]:
    filled = {table.full_name for table in part.fill}
    followed = {followed.record.full_name for followed in part.follow}
    partitions = bool(manifest.request.get("partitions"))
    for table in part.drop:
        if not table.holds_rows or table.rows == 0:
            continue
        replicated = table.table_class is TableClass.REPLICATED  # a local one's rows are its own
        refilled = table.full_name in filled or (replicated and table.full_name in followed)
        why = _why_lost(request, table, refilled=refilled, whole=not partitions)
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
