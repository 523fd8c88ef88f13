"""Planning a restore: which tables are dropped, created and filled where, and which rows are lost.

With `overwrite` only what this backup can refill on that very replica is dropped; anything else
that holds rows must be named in `accept_loss`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.replication import keeper_entry
from tasks.domain.requests import Scope
from tasks.domain.restore_beside import beside, databases_beside, moves
from tasks.domain.restore_choice import chosen_of
from tasks.domain.restore_layout import Followed, Layout, demand_homes, layout_of
from tasks.domain.restore_modes import by_partition, missing_of, without_live_rows
from tasks.domain.restore_need import need_of, needs_together
from tasks.domain.restore_plan import Loss, ReplicaRestore, RestorePlan
from tasks.domain.restore_request import Mode, RestoreRequest
from tasks.domain.tables import Table, TableClass, inner_names, late_tables
from tasks.domain.topology import Topology


def plan_restore(
    request: RestoreRequest,
    manifest: Manifest,
    topology: Topology,
    observed: Observation,
    *,
    operation_id: str,
    undone: Mapping[str, Mapping[str, str]] | None = None,
) -> RestorePlan:
    """Decide what is done on each replica. Whether it may be done: `restore_guard`.

    Tables that an earlier attempt of this operation made are its own: neither guarded nor dropped.
    `undone`: replica -> tables that the restore which is undone made where none stood, by identity.
    Raises TopologyMismatch where the backup does not fit the cluster.
    """
    whole, manifest = manifest, chosen_of(manifest, request)
    whole_tables = not (request.partitions or whole.request.get("partitions"))
    layout = layout_of(manifest, topology, observed)
    if _brings_rows(request, manifest):
        demand_homes(layout, manifest)
    strays = undone or {}

    def planned(seen: Inspection) -> ReplicaRestore:
        part = _replica_restore(request, manifest, layout, seen, operation_id=operation_id)
        if request.mode is Mode.MISSING:
            part = without_live_rows(part, observed, operation_id=operation_id)
        if request.mode is Mode.BESIDE:
            part = beside(
                part,
                databases_beside(manifest, request.databases),
                by_partition=request.by_partition,
            )
        return _with_strays(_with_spared(part, whole), strays.get(seen.replica, {}), seen)

    parts = _needed_together(
        planned(seen) for shard in topology.shards for seen in observed.of_shard(shard.name)
    )
    _demand_nameable(parts)
    return RestorePlan(
        backup_name=request.backup,
        backup_operation_id=manifest.operation_id,
        request=request,
        replicas=parts,
        losses=tuple(loss for part in parts for loss in _losses(request, manifest, part)),
        notes=(*_missing_copies(request, observed), *_left_alone(strays, observed)),
        choices=_choices(layout, parts),
        moves=tuple(
            move
            for part in parts
            for move in moves(part, observed.of(part.replica), whole=whole_tables)
        ),
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


def _with_strays(part: ReplicaRestore, made: Mapping[str, str], seen: Inspection) -> ReplicaRestore:
    """Drop what the undone restore made where none stood, if it is that very table still."""
    known = part.names
    strays = tuple(
        table
        for table in seen.tables
        if made.get(table.full_name) == table.identity and table.full_name not in known
    )
    if not strays or part.need.filled:
        return part
    names = frozenset(table.full_name for table in strays)
    return replace(part, drop=(*part.drop, *strays), strays=names)


def _left_alone(strays: Mapping[str, Mapping[str, str]], observed: Observation) -> Iterable[str]:
    """Name the tables that the undone restore made and somebody else changed or made anew."""
    for seen in observed.inspections:
        made = strays.get(seen.replica, {})
        for table in seen.tables:
            if table.full_name in made and made[table.full_name] != table.identity:
                yield (
                    f"{table.full_name} on {seen.replica} did not stand before the restore that is "
                    "undone, but is not as that made it: it is left alone"
                )


def _missing_copies(request: RestoreRequest, observed: Observation) -> tuple[str, ...]:
    if request.undoes:
        return ()
    having = {
        s.shard
        for s in observed.inspections
        if s.listing.holds(manifest_name(request.backup), location="remote")
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
    journal = seen.journal.of(operation_id)
    tables = record.tables if record else ()
    if request.mode is Mode.MISSING:
        tables = missing_of(tables, seen, journal)
    late = {t.full_name for t in late_tables([table.as_table() for table in tables])}
    entries = {t.full_name: keeper_entry(t.as_table(), seen.macros) for t in tables}
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
        functions=tuple(
            n for n, text in functions.items() if tables and seen.functions.get(n, text) != text
        ),
        entries={name: entry for name, entry in entries.items() if entry is not None},
    )
    if part.need.filled:
        part = replace(part, drop=())
    if not _brings_rows(request, manifest):
        return part
    part = _filled(part, tables, layout, own=own is not None)
    into_standing = request.by_partition and request.mode is not Mode.BESIDE
    return by_partition(part, seen) if into_standing else part


def _with_spared(part: ReplicaRestore, manifest: Manifest) -> ReplicaRestore:
    """Note what else the backup holds in this shard: no command may mean it."""
    known = part.names | {table.full_name for table in part.needed}
    others = {
        table.full_name: table
        for record in manifest.replicas
        if record.shard == part.shard
        for table in record.tables
        if table.full_name not in known
    }
    return replace(part, spared=tuple(others.values()))


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


def _demand_nameable(parts: Iterable[ReplicaRestore]) -> None:
    """Raise InvalidRequest before anything is sent where a command could not name its tables."""
    for part in parts:
        _ = part.schema_patterns, part.late_patterns, part.data_patterns, part.needed_patterns


def _losses(request: RestoreRequest, manifest: Manifest, part: ReplicaRestore) -> Iterable[Loss]:
    filled = {table.full_name for table in part.fill}
    followed = {followed.record.full_name for followed in part.follow}
    partitions = bool(manifest.request.get("partitions"))
    for table in part.drop:
        if not table.holds_rows or table.rows == 0:
            continue
        replicated = table.table_class is TableClass.REPLICATED  # a local one's rows are its own
        refilled = table.full_name in filled or (replicated and table.full_name in followed)
        stray = table.full_name in part.strays and request.keeps_safety_copy
        why = _why_lost(request, table, refilled=refilled or stray, whole=stray or not partitions)
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
