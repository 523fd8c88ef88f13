"""Coverage: rows that no recovery point would bring back, and what changed since the newest one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from tasks.domain.catalogue import Catalogue
from tasks.domain.inspection import Inspection, Observation
from tasks.domain.manifest_summary import ManifestSummary, definition_digest
from tasks.domain.requests import Scope
from tasks.domain.tables import Table, TableClass, is_user_database


class Coverage(BaseModel):
    """`unheld`: rows in no recovery point; `drift`: what changed since `newest` was frozen.

    `unread`: backups that may be recovery points, which nobody can tell before their manifest is
    read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    newest: str = ""
    unheld: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        return {
            "In no recovery point": self.unheld,
            f"Changed since {self.newest}": self.drift,
            "Not looked into, since nobody has read its manifest yet": self.unread,
        }

    def bounded(self, most: int) -> Self:
        kept = {"unheld": self.unheld[:most], "drift": self.drift[:most]}
        return self.model_copy(update={**kept, "unread": self.unread[:most]})


def coverage_of(
    observed: Observation, catalogue: Catalogue, *, made: ManifestSummary | None = None
) -> Coverage:
    """Hold the cluster against its recovery points, and its definitions against the newest one's.

    `made` is a point so new that the catalogue does not show it: it holds rows, and the drift is
    what came before it. Only names are compared: whether a point holds the newest rows of a table
    is not asked.
    """
    own = made.backup_name if made else ""
    points = [b.manifest for b in catalogue.points if b.ours and b.manifest and b.name != own]
    since = _newest_full(points)
    return Coverage(
        newest=since.backup_name if since else "",
        unheld=tuple(_unheld(observed, [*points, made] if made else points)),
        drift=tuple(_drift(observed, since)) if since else (),
        unread=tuple(backup.name for backup in catalogue.unread),
    )


def _newest_full(points: Iterable[ManifestSummary]) -> ManifestSummary | None:
    """Find the newest point that was to hold every table."""
    full = (point for point in points if point.scope is Scope.FULL)
    return max(full, key=lambda point: point.frozen_at, default=None)


def _unheld(observed: Observation, points: Sequence[ManifestSummary]) -> Iterator[str]:
    shared, own = _held(points)
    told = set[tuple[str, str]]()
    for seen in observed.inspections:
        for table in _tables(seen):
            place = (seen.shard, table.full_name)
            if not table.rows:
                continue
            match table.table_class:
                case TableClass.SCHEMA_ONLY if table.holds_rows:
                    yield (
                        f"{table.full_name} on {seen.replica}: {table.rows} rows of a "
                        f"{table.engine} table, which a sidecar does not keep"
                    )
                case TableClass.LOCAL if (seen.replica, table.full_name) not in own:
                    yield f"{table.full_name} on {seen.replica}: {table.rows} rows of its own"
                case TableClass.REPLICATED if place not in shared and place not in told:
                    told.add(place)
                    yield f"{table.full_name} on shard {seen.shard}: {table.rows} rows"
                case _:
                    continue


def _held(points: Sequence[ManifestSummary]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Tell which tables' rows lie in any point: by shard, and by the replica that stored them."""
    shared, own = set[tuple[str, str]](), set[tuple[str, str]]()
    for point in points:
        if point.scope is Scope.SCHEMA or _chose_partitions(point):
            continue
        for record in point.replicas:
            names = [table.name for table in record.tables if table.keeps_rows]
            shared.update((record.shard, name) for name in names)
            own.update((record.replica, name) for name in names)
    return shared, own


def _chose_partitions(point: ManifestSummary) -> bool:
    """Tell whether it was to hold some partitions only, which is not the whole of any table."""
    return any(":" in chosen or "." not in chosen for chosen in point.selection)


def _drift(observed: Observation, since: ManifestSummary) -> Iterator[str]:
    """Say for each table what became of it, and on which shards."""
    changes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for shard in since.shards:
        standing = observed.of_shard(shard)
        stored = {t.name: t.digest for r in since.replicas if r.shard == shard for t in r.tables}
        if not standing:
            continue
        found = {table.full_name for seen in standing for table in _tables(seen)}
        for name in found - stored.keys():
            changes[name, "was created"].add(shard)
        for name in stored.keys() - found:
            changes[name, "was dropped"].add(shard)
        for name in _redefined(standing, stored):
            changes[name, "was defined anew"].add(shard)
    for (name, what), shards in sorted(changes.items()):
        yield f"{name} {what} (shard {', '.join(sorted(shards))})"


def _redefined(standing: Iterable[Inspection], stored: Mapping[str, str]) -> Iterator[str]:
    for seen in standing:
        for table in _tables(seen):
            digest = stored.get(table.full_name, "")
            if digest and digest != definition_digest(table.definition):
                yield table.full_name


def _tables(seen: Inspection) -> Iterator[Table]:
    return (table for table in seen.tables if is_user_database(table.database))
