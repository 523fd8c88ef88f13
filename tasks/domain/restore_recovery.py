"""What a restore may drop, create and fill on one replica, told from its journal and what stands.

The journal holds the identity of each table that this operation made: what is dropped is what was
planned and is unchanged, or what is provably our own.
"""

from collections.abc import Iterable, Mapping

from tasks.domain.errors import TargetChanged
from tasks.domain.fingerprint import Fingerprint, Part, content_of
from tasks.domain.journal import Journal, Step
from tasks.domain.manifest import TableRecord
from tasks.domain.restore_plan import ReplicaRestore, partitions_of
from tasks.domain.tables import Table


def tables_to_drop(
    part: ReplicaRestore, journal: Journal, standing: Mapping[str, Table], *, overwrite: bool
) -> tuple[Table, ...]:
    """Choose what is dropped now: what was planned and is unchanged, or what is our own.

    Raises TargetChanged for a table that somebody else made or filled since it was looked at.
    """
    names = {record.full_name for record in (*part.create, *part.late)}
    planned = {} if journal.did(Step.DROP) else {t.full_name: t for t in part.drop}
    doomed = [standing[name] for name in sorted(names | set(planned)) if name in standing]
    refilled = {record.full_name for record in part.refilled} if overwrite else set()
    made, unfinished = journal.identities(), _left_a_create_open(journal)
    for table in doomed:
        ours = made.get(table.full_name) == table.identity or (unfinished and _is_empty(table))
        if not ours:
            _demand_unchanged(table, planned.get(table.full_name), refilled=refilled)
    return tuple(sorted(doomed, key=lambda table: (table.holds_rows, table.full_name)))


def demand_same(
    part: ReplicaRestore, standing: Mapping[str, Table], seen: Mapping[str, tuple[Part, ...]]
) -> None:
    """Raise TargetChanged when a table whose partitions are replaced is not as it was planned.

    `seen`: its parts, where rows that came since the plan was made must not be lost.
    """
    for swap in part.swap:
        name, ids = swap.table.full_name, swap.partitions
        if name not in standing or standing[name].identity != swap.table.identity:
            message = f"{name} was changed by somebody else during the restore"
            raise TargetChanged(message)
        rows = sum(p.rows for p in seen.get(name, ()) if p.active and p.partition_id in ids)
        if rows and not swap.rows:
            message = f"rows came to partitions of {name} that were empty when it was planned"
            raise TargetChanged(message)


def demand_creatable(names: Iterable[str], journal: Journal, standing: Mapping[str, Table]) -> None:
    """Raise TargetChanged when creating would drop a table that is not our own: a sidecar does."""
    made, unfinished = journal.identities(), _left_a_create_open(journal)
    foreign = [
        name
        for name in names
        if name in standing
        and standing[name].identity != made.get(name)
        and not (unfinished and _is_empty(standing[name]))
    ]
    if foreign:
        message = f"somebody else made {', '.join(foreign)} during the restore"
        raise TargetChanged(message)


def demand_not_recreated(
    names: Iterable[str], journal: Journal, standing: Mapping[str, Table]
) -> None:
    """Raise TargetChanged for a table that stands in the place of the one that was compared.

    Altering a table is no reason: its UUID stays. A table that is gone is told by the comparison.
    """
    made = journal.identities()
    foreign = [
        name
        for name in names
        if name in standing and name in made and not made[name].startswith(standing[name].uuid)
    ]
    if foreign:
        message = (
            f"{', '.join(foreign)} was dropped and made anew by somebody else after its rows were "
            "attached: what stands there was not compared"
        )
        raise TargetChanged(message)


def demand_own(names: Iterable[str], journal: Journal, standing: Mapping[str, Table]) -> None:
    """Raise TargetChanged when a table is not the one that this restore made."""
    made = journal.identities()
    for name in names:
        if name not in standing or standing[name].identity != made.get(name):
            message = (
                f"{name} is not the table that this restore made: somebody else dropped or "
                "recreated it"
            )
            raise TargetChanged(message)


def demand_not_attached(fill: Iterable[TableRecord], seen: Mapping[str, tuple[Part, ...]]) -> None:
    """Raise TargetChanged when a table to be filled holds parts of the backup already.

    A replica that kept them may have given them back by replication: attached, they would double.
    """
    held = [
        record.full_name
        for record in fill
        if record.fingerprint and record.fingerprint.found_among(seen.get(record.full_name, ()))
    ]
    if held:
        message = (
            f"{', '.join(held)} holds rows of the backup before they were attached: another "
            "replica gave them back, so attaching would double them"
        )
        raise TargetChanged(message)


def demand_only_backup_rows(
    expected: Mapping[str, Fingerprint | None], seen: Mapping[str, tuple[Part, ...]]
) -> None:
    """Raise TargetChanged when a half-filled table of ours holds rows that somebody else wrote.

    Parts that were inserted or attached, and not merged, must all be of the backup.
    """
    foreign = [
        name
        for name, parts in seen.items()
        if (wanted := expected.get(name)) is None or wanted.foreign_among(parts)
    ]
    if foreign:
        message = (
            f"{', '.join(sorted(foreign))} may hold rows written after an attempt of this "
            "restore was interrupted; making the tables anew would lose them: move such rows away, "
            "drop the tables, and run it again"
        )
        raise TargetChanged(message)


def unsaved_parts(
    part: ReplicaRestore,
    seen: Mapping[str, tuple[Part, ...]],
    saved: Mapping[str, Fingerprint | None],
) -> dict[str, tuple[Part, ...]]:
    """Keep the parts that lie in partitions which are replaced, and in no safety copy."""
    found = {}
    for record in part.refilled:
        ids, copy = partitions_of(record), saved.get(record.full_name)
        held = set(copy.contents) if copy else set()
        found[record.full_name] = tuple(
            one
            for one in seen.get(record.full_name, ())
            if one.partition_id in ids and content_of(one) not in held
        )
    return found


def _demand_unchanged(table: Table, planned: Table | None, *, refilled: set[str]) -> None:
    name = table.full_name
    if planned is None or planned.identity != table.identity:
        message = f"{name} was made by somebody else during the restore"
        raise TargetChanged(message)
    filled = table.holds_rows and planned.rows == 0 and table.rows != 0
    if filled and name not in refilled:
        message = f"{name} was empty when the restore was planned and has rows now"
        raise TargetChanged(message)


def _left_a_create_open(journal: Journal) -> bool:
    """Tell whether a create of ours ended before it could be written down: empty, and no other."""
    return journal.left_open(Step.SCHEMA) or journal.left_open(Step.LATE)


def _is_empty(table: Table) -> bool:
    return not (table.holds_rows and table.rows != 0)
