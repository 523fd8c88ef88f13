"""The sidecar's own retention, which runs at the end of its commands unless it is switched off."""

from collections.abc import Sequence

from deployments.sandbox.double.bucket import NO_DATE
from deployments.sandbox.double.local import Listed
from deployments.sandbox.double.site import Site


def remote_to_delete(listed: Sequence[Listed], keep: int) -> list[Listed]:
    """Choose all but the newest and what these require; broken ones have no date and stay."""
    newest_first = sorted(listed, key=lambda row: row.created, reverse=True)
    kept = newest_first[:keep]
    needed = {row.required for row in kept}
    old = {row.name: row for row in newest_first[keep:]}
    while needed & old.keys():
        needed = {old.pop(name).required for name in needed & old.keys()}
    return [row for row in old.values() if row.created != NO_DATE]


def local_to_delete(listed: Sequence[Listed], keep: int) -> list[Listed]:
    """Choose without regard to chains; commands in progress count as backups."""
    newest_first = sorted(listed, key=lambda row: row.created, reverse=True)
    return newest_first[keep:]


def keep_newest_remote(site: Site) -> None:
    if site.settings.keep_remote > 0:
        for row in remote_to_delete(site.bucket.list(), site.settings.keep_remote):
            site.bucket.remove(row.name)


def keep_newest_local(site: Site, *, after_create: bool) -> None:
    """Keep the newest; a negative number keeps one after a create and none after an upload."""
    keep = site.settings.keep_local
    if keep == 0:
        return
    if keep < 0:
        keep = 1 if after_create else 0
    for row in local_to_delete(site.local.list(), keep):
        site.local.remove(row.name)
