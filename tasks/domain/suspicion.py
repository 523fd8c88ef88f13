"""Suspicion: recovery points that hold less than they should, seen beside those before them."""

from collections.abc import Iterable

from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.requests import Scope


def suspects(points: Iterable[ManifestSummary]) -> dict[str, str]:
    """Say of points, oldest first, which are suspect and why; only full ones are compared.

    A point without a row stays suspect as long as any point before it had rows: else a cluster
    that lost its data would push its last good backups out. A table that vanished makes the first
    point without it suspect: tables are also dropped on purpose.
    """
    why: dict[str, str] = {}
    filled: ManifestSummary | None = None
    for point in points:
        if point.scope is not Scope.FULL or point.adopted:
            continue
        if filled is not None:
            reason = _reason(point, filled)
            if reason:
                why[point.backup_name] = reason
        if point.rows:
            filled = point
    return why


def _reason(point: ManifestSummary, before: ManifestSummary) -> str:
    if not point.rows and point.counted:
        return f"it holds no row, and {before.backup_name} before it held {before.rows:,}"
    held = {name for name, rows in before.rows_by_table().items() if rows}
    gone = sorted(held - point.rows_by_table().keys())
    if not gone:
        return ""
    more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return f"{gone[0]}{more} held rows in {before.backup_name} before it, and is not in it"
