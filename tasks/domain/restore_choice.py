"""What of a backup is restored: the tables that a request means, and some partitions of them."""

from collections.abc import Callable, Iterable, Mapping

from tasks.domain.errors import InvalidRequest
from tasks.domain.manifest import Manifest, ReplicaRecord, TableRecord
from tasks.domain.restore_request import RestoreRequest
from tasks.domain.tables import selected

_TOLD = 20


def chosen_of(manifest: Manifest, request: RestoreRequest) -> Manifest:
    """Narrow a manifest to what is restored.

    Rows that go into standing tables are told partition by partition: tables without any are left
    out. Raises InvalidRequest naming what is asked for and is not in the backup.
    """
    narrowed = _of_tables(manifest, request.tables) if request.tables else manifest
    return _of_partitions(narrowed, request.partitions) if request.by_partition else narrowed


def _of_tables(manifest: Manifest, patterns: tuple[str, ...]) -> Manifest:
    unmet = [
        pattern
        for pattern in patterns
        if not any(_meant(record, (pattern,)) for record in manifest.replicas)
    ]
    if unmet:
        message = (
            f"backup {manifest.backup_name} holds no table {', '.join(unmet)}; it holds "
            f"{_some(t.full_name for r in manifest.replicas for t in r.tables)}"
        )
        raise InvalidRequest(message)
    return _narrowed(manifest, lambda record: _meant(record, patterns))


def _of_partitions(manifest: Manifest, partitions: tuple[str, ...]) -> Manifest:
    tables = [table for record in manifest.replicas for table in record.tables]
    unknown = [t.full_name for t in tables if t.fingerprint is None and t.as_table().saveable]
    if unknown:
        message = (
            f"backup {manifest.backup_name} does not tell which partitions it holds of "
            f"{_some(unknown)}: such tables can only be restored whole"
        )
        raise InvalidRequest(message)
    held = {table.full_name: set[str]() for table in tables}
    for table in tables:
        held[table.full_name].update(table.fingerprint.partitions if table.fingerprint else ())
    unmet = [wanted for wanted in partitions if not _is_held(wanted, held)]
    if unmet:
        message = (
            f"backup {manifest.backup_name} holds no partition {', '.join(unmet)} of these "
            f"tables; it holds {_some(id_ for ids in held.values() for id_ in ids)}"
        )
        raise InvalidRequest(message)
    return _narrowed(
        manifest,
        lambda record: tuple(
            found for table in record.tables if (found := _with_partitions(table, partitions))
        ),
    )


def _is_held(wanted: str, held: Mapping[str, set[str]]) -> bool:
    name, colon, partition = wanted.rpartition(":")
    return any(partition in ids for table, ids in held.items() if not colon or table == name)


def _with_partitions(table: TableRecord, partitions: tuple[str, ...]) -> TableRecord | None:
    """Keep what is wanted of a table; none where the backup has nothing of it."""
    if table.fingerprint is None:
        return None
    split = (wanted.rpartition(":") for wanted in partitions)
    ids = {partition for name, colon, partition in split if not colon or name == table.full_name}
    kept = table.fingerprint.of_partitions(ids) if partitions else table.fingerprint
    return table.model_copy(update={"fingerprint": kept}) if kept.partitions else None


def _meant(record: ReplicaRecord, patterns: tuple[str, ...]) -> tuple[TableRecord, ...]:
    meant = {t.full_name for t in selected([t.as_table() for t in record.tables], patterns)}
    return tuple(table for table in record.tables if table.full_name in meant)


def _narrowed(
    manifest: Manifest, keep: Callable[[ReplicaRecord], tuple[TableRecord, ...]]
) -> Manifest:
    records = (record.model_copy(update={"tables": keep(record)}) for record in manifest.replicas)
    return manifest.model_copy(update={"replicas": tuple(records)})


def _some(names: Iterable[str]) -> str:
    found = sorted(set(names))
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return (", ".join(found[:_TOLD]) or "nothing") + more
