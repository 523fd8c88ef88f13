"""How a restore meets tables that stand: into their partitions, or only where none stand."""

import json
from collections.abc import Iterable
from dataclasses import replace

from tasks.domain.inspection import Inspection, Observation
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.manifest import TableRecord
from tasks.domain.restore_plan import ReplicaRestore, Swap, partitions_of
from tasks.domain.tables import TableClass, inner_names


def by_partition(part: ReplicaRestore, seen: Inspection) -> ReplicaRestore:
    """Put rows into tables that stand; only what does not stand is created."""
    standing = {table.full_name: table for table in seen.tables}
    brought = {record.full_name: record for record in part.refilled}
    missing = tuple(record for name, record in brought.items() if name not in standing)
    names = {record.full_name for record in missing}
    return replace(
        part,
        by_partition=True,
        drop=(),
        create=missing,
        late=(),
        functions=part.functions if missing else (),
        entries={name: entry for name, entry in part.entries.items() if name in names},
        swap=tuple(
            Swap(record=record, table=standing[name], rows=_rows_in(record, seen))
            for name, record in brought.items()
            if name in standing
        ),
    )


def missing_of(
    tables: Iterable[TableRecord], seen: Inspection, journal: Journal
) -> tuple[TableRecord, ...]:
    """Keep the tables that do not stand here; a rerun keeps what the first attempt chose.

    `journal`: that of this operation. An inner table goes with its view.
    """
    records = tuple(tables)
    pinned = missing_in(journal)
    if pinned is None:
        standing = {table.full_name for table in seen.tables}
        inner = {n: t.full_name for t in records for n in inner_names(t.as_table())}
        pinned = frozenset(
            t.full_name for t in records if inner.get(t.full_name, t.full_name) not in standing
        )
    return tuple(table for table in records if table.full_name in pinned)


def missing_in(journal: Journal) -> frozenset[str] | None:
    """Read which tables an earlier attempt found missing; None where none has planned yet."""
    noted = journal.last(Event.INTENT, Step.PLAN)
    return None if noted is None else frozenset(json.loads(noted.payload))


def without_live_rows(
    part: ReplicaRestore, observed: Observation, *, operation_id: str
) -> ReplicaRestore:
    """Attach no replicated rows where a replica still has the table: it gives them back."""
    live = [table for seen in observed.inspections for table in _live(seen, operation_id)]
    paths = {path for path, _, _ in live}
    names = {(shard, name) for _, shard, name in live}

    def comes_back(record: TableRecord) -> bool:
        entry = part.entries.get(record.full_name)
        known = entry is not None and entry.path in paths
        return record.table_class is TableClass.REPLICATED and (
            known or (part.shard, record.full_name) in names
        )

    return replace(
        part,
        fill=tuple(record for record in part.fill if not comes_back(record)),
        follow=tuple(one for one in part.follow if not comes_back(one.record)),
    )


def _live(seen: Inspection, operation_id: str) -> Iterable[tuple[str, str, str]]:
    """List the replicated tables that stood here before this operation, by path, shard and name."""
    chosen = missing_in(seen.journal.of(operation_id)) or frozenset()
    paths = {state.table: state.path for state in seen.replication}
    for table in seen.tables:
        if table.table_class is TableClass.REPLICATED and table.full_name not in chosen:
            yield paths.get(table.full_name, ""), seen.shard, table.full_name


def _rows_in(record: TableRecord, seen: Inspection) -> int:
    """Count the rows of the partitions that a record brings."""
    ids = partitions_of(record)
    parts = seen.parts.get(record.full_name, ())
    return sum(part.rows for part in parts if part.active and part.partition_id in ids)
