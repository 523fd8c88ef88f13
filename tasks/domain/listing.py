"""Listings: which backups a sidecar shows, local and remote.

A listing proves presence only: with the object store away it answers with the local rows alone.
"""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One row of system.backup_list. `created_at`: the sidecar's clock, seconds since 1970."""

    name: str
    location: str
    size_bytes: int
    created_at: int
    required: str
    desc: str

    @property
    def broken(self) -> bool:
        """Tell a dead or unfinished copy; nothing distinguishes the one from the other."""
        return self.desc.startswith(("broken", "parse metadata.json error"))


@dataclass(frozen=True)  # without slots: indices are made once, when first asked for
class Listing:
    """All rows of one sidecar."""

    rows: tuple[Listed, ...]

    def local(self, name: str) -> Listed | None:
        return self._find("local", name)

    def remote(self, name: str) -> Listed | None:
        return self._find("remote", name)

    @cached_property
    def remote_rows(self) -> frozenset[Listed]:
        return frozenset(row for row in self.rows if row.location == "remote")

    def holds(self, name: str, *, location: str | None = None) -> bool:
        """Tell whether a whole copy is listed, there or anywhere."""
        places = ("local", "remote") if location is None else (location,)
        return any((row := self._find(where, name)) and not row.broken for where in places)

    def chain(self, name: str) -> tuple[Listed, ...]:
        """Follow what a remote backup needs, down to its full one, as far as it is there whole."""
        found: list[Listed] = []
        while name and (row := self.remote(name)) and not row.broken and row not in found:
            found.append(row)
            name = row.required
        return tuple(found)

    def gap(self, name: str) -> str:
        """Say what a remote backup lacks of itself or of what it needs; empty: nothing."""
        chain = self.chain(name)
        wanted = chain[-1].required if chain else name
        if not wanted:
            return ""
        row = self.remote(wanted)
        if row is None:
            return f"{wanted} is not listed remotely"
        if row.broken:
            return f"{wanted} is listed as {row.desc}"
        return f"its chain comes back to {wanted}"

    def has(self, name: str) -> bool:
        return any(self._find(location, name) for location in ("local", "remote"))

    def _find(self, location: str, name: str) -> Listed | None:
        return self._by_place.get((location, name))

    @cached_property
    def _by_place(self) -> dict[tuple[str, str], Listed]:
        return {(row.location, row.name): row for row in reversed(self.rows)}  # the first counts
