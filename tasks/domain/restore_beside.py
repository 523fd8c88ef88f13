"""Restoring beside what stands: plain tables in databases of their own, and how to use them.

Only tables with rows are brought back, and none of them replicates, fills itself or others.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tasks.domain.errors import InvalidRequest
from tasks.domain.inspection import Inspection
from tasks.domain.journal import Journal, Step
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.restore_plan import ReplicaRestore, partitions_of
from tasks.domain.scratch_tables import scratch_definition
from tasks.domain.tables import Table, TableClass

_REPLICATED = "Replicated"


def databases_beside(manifest: Manifest, mapping: Mapping[str, str]) -> dict[str, str]:
    """Tell into which database each one of the backup goes; `mapping` is what was asked for.

    Raises InvalidRequest for one that the backup does not hold, and where two would become one.
    """
    held = sorted({t.database for record in manifest.replicas for t in record.tables})
    unknown = sorted(set(mapping) - set(held))
    if unknown:
        message = (
            f"backup {manifest.backup_name} holds no tables of {', '.join(unknown)} to be mapped"
        )
        raise InvalidRequest(message)
    # the same name each time: a plan that was approved is the plan that is carried out
    mark = hashlib.sha256(manifest.backup_name.encode()).hexdigest()[:6]
    found = {name: mapping.get(name, f"{name}_restored_{mark}") for name in held}
    if len(set(found.values())) < len(found):
        message = f"two databases would become one: {found}"
        raise InvalidRequest(message)
    return found


def beside(
    part: ReplicaRestore, databases: Mapping[str, str], *, by_partition: bool
) -> ReplicaRestore:
    """Bring the rows that this replica attaches into plain tables of other databases."""
    aside = {f"{databases[t.database]}.{t.name}": t for t in part.fill}
    made = tuple(_plain(record, databases[record.database]) for record in aside.values())
    return replace(
        part,
        drop=(),
        create=made,
        late=(),
        fill=made,
        follow=(),
        functions=(),
        entries={},
        aside=aside,
        by_partition=by_partition,
    )


def in_the_way_of(part: ReplicaRestore, seen: Inspection, journal: Journal) -> Iterator[str]:
    """Name the tables that stand where others are to be made, and are not this operation's."""
    made, unfinished = journal.identities(), journal.left_open(Step.SCHEMA)
    for table in seen.tables:
        ours = made.get(table.full_name) == table.identity or (unfinished and table.rows == 0)
        if table.full_name in part.aside and not ours:
            yield table.full_name


def moves(part: ReplicaRestore, seen: Inspection, *, whole: bool) -> Iterator[str]:
    """Say for each table which statements bring its rows to where they are used.

    Not `whole`: what is brought back are some partitions of each table.
    """
    standing = {table.full_name: table for table in seen.tables}
    pairs = list(zip(part.create, part.aside.values(), strict=True)) if part.aside else []
    for target, record in pairs:
        swappable = whole and seen.database_engines.get(record.database) == "Atomic"
        live = standing.get(record.full_name)
        ways = _ways(record, target, live, swappable=swappable)
        yield f"{record.full_name} on {part.replica}: {' | '.join(ways)}"
    if pairs:
        names = sorted({target.database for target, _ in pairs})
        drops = "; ".join(f"DROP DATABASE {_quoted(name)}" for name in names)
        yield f"when nothing of it is needed any more, on {part.replica}: {drops}"


def _ways(
    record: TableRecord, target: TableRecord, live: Table | None, *, swappable: bool
) -> Iterable[str]:
    source = _quoted(target.database, target.name)
    own = _quoted(record.database, record.name)
    plain, name = record.table_class is TableClass.LOCAL, record.full_name
    if live is None and plain:
        return (f"RENAME TABLE {source} TO {own}",)
    if live is None:
        return (f"its table is gone: restore it with mode='missing' and tables=['{name}']",)
    ids = partitions_of(record)[:1] or ("all",)
    ways = [f"ALTER TABLE {own} REPLACE PARTITION ID '{ids[0]}' FROM {source}"]
    ways.append(f"INSERT INTO {own} SELECT * FROM {source}")  # noqa: S608 - told, never sent
    if plain and swappable:
        ways.insert(0, f"EXCHANGE TABLES {own} AND {source}")
    return ways


def _plain(record: TableRecord, database: str) -> TableRecord:
    return record.model_copy(
        update={
            "database": database,
            "engine": record.engine.removeprefix(_REPLICATED),
            "definition": scratch_definition(record),
            "uuid": "",
        }
    )


def _quoted(*names: str) -> str:
    return ".".join(f"`{name}`" for name in names)
