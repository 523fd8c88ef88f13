"""Replication: how far each replica is, and where a table lives in the coordination service."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.domain.tables import Table, TableClass

_ARGUMENT = r"\s*'((?:[^'\\]|\\.)*)'\s*"
_ENGINE = re.compile(rf"\bENGINE\s*=\s*Replicated\w*MergeTree\({_ARGUMENT},{_ARGUMENT}[,)]")
_MACRO = re.compile(r"\{(\w+)\}")
_NO_UUID = frozenset({"", "00000000-0000-0000-0000-000000000000"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replication:
    """One Replicated table on one replica, as system.replicas shows it."""

    table: str  # full name
    path: str
    replica_name: str
    readonly: bool = False
    session_expired: bool = False
    delay_seconds: int = 0
    queue_size: int = 0
    inserts_queued: int = 0

    @property
    def trouble(self) -> str:
        """Say why it does not follow its siblings; empty when it does."""
        if self.session_expired:
            return "lost its session with the coordination service"
        return "is read-only" if self.readonly else ""

    @property
    def backlog(self) -> str:
        """Say how far behind it is, whatever the reason."""
        told = f"{self.queue_size} entries in its queue, {self.delay_seconds} s behind"
        return f"{self.trouble}; {told}" if self.trouble else told


@dataclass(frozen=True, slots=True)
class KeeperEntry:
    """Where a Replicated table of one replica is registered."""

    path: str
    replica_name: str


def keeper_entry(table: Table, macros: Mapping[str, str]) -> KeeperEntry | None:
    """Tell from its definition where a table would be registered; None where nobody can tell.

    A server gives defaults to an engine without arguments, and knows macros that are not listed.
    """
    if table.table_class is not TableClass.REPLICATED:
        return None
    found = _ENGINE.search(table.definition)
    if found is None:
        return None
    known = {**macros, "database": table.database, "table": table.name}
    if table.uuid not in _NO_UUID:
        known["uuid"] = table.uuid
    path, name = (_expanded(argument, known) for argument in found.groups())
    if not path or not name or not path.startswith("/"):  # e.g. of another, named Keeper
        return None
    return KeeperEntry(path.rstrip("/"), name)


def _expanded(argument: str, macros: Mapping[str, str]) -> str | None:
    if any(name not in macros for name in _MACRO.findall(argument)):
        return None
    return _MACRO.sub(lambda macro: macros[macro[1]], argument)
