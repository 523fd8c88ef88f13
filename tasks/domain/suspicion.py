"""Suspicion: recovery points that hold less than they should, seen beside those before them."""

from collections.abc import Collection, Iterable, Mapping

from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.requests import Scope

Filled = tuple[str, int]  # a point, and how many rows it holds


def suspects(points: Iterable[ManifestSummary], *, shards: Collection[str]) -> dict[str, str]:
    """Say of points, oldest first, which are suspect and why; only full ones are compared.

    `shards`: those of the cluster as it is.

    A shard without a row stays suspect as long as any point before it had rows there: else a
    cluster that lost its data would push its last good backups out. A table that vanished from a
    shard makes the first point without it suspect: tables are also dropped on purpose. A point
    that was taken in doubt says so itself.
    """
    why: dict[str, str] = {}
    filled: dict[str, Filled] = {}
    before: ManifestSummary | None = None
    for point in points:
        if point.scope is not Scope.FULL or point.adopted:
            continue
        reasons = (*point.doubts, *_emptied(point, filled, shards), *_vanished(point, before))
        if reasons:
            why[point.backup_name] = reasons[0]
        filled |= {shard: (point.backup_name, n) for shard, n in _by_shard(point).items() if n}
        before = point
    return why


def _emptied(
    point: ManifestSummary, filled: Mapping[str, Filled], shards: Collection[str]
) -> list[str]:
    if not point.counted:
        return []
    now = _by_shard(point)
    return [
        f"it holds no row of shard {shard}, and {name} before it held {rows:,}"
        for shard, (name, rows) in filled.items()
        if shard in shards and not now.get(shard)
    ]


def _vanished(point: ManifestSummary, before: ManifestSummary | None) -> list[str]:
    if before is None:
        return []
    held = {place for place, rows in before.rows_by_place().items() if rows}
    gone = sorted(held - point.rows_by_place().keys())
    if not gone:
        return []
    (shard, table), more = gone[0], f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    told = f"{table} on shard {shard}{more} held rows in {before.backup_name} before it"
    return [f"{told}, and is not in it"]


def _by_shard(point: ManifestSummary) -> dict[str, int]:
    counted: dict[str, int] = {}
    for (shard, _), rows in point.rows_by_place().items():
        counted[shard] = counted.get(shard, 0) + rows
    return counted
