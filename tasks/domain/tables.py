"""Tables: which class each belongs to, and which of them a request means."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from tasks.domain.errors import InvalidRequest

SYSTEM_DATABASES = frozenset(
    {"system", "INFORMATION_SCHEMA", "information_schema", "_temporary_and_external_tables"}
)
RESERVED_DATABASE = "chops"

_SCRATCH = re.compile(rf"{RESERVED_DATABASE}_scratch_[0-9a-f]{{8}}")
_STREAMS = frozenset(
    {"Kafka", "RabbitMQ", "NATS", "S3Queue", "AzureQueue", "FileLog", "MaterializedPostgreSQL"}
)
_SELF_FILLING_VIEWS = frozenset({"MaterializedView", "WindowView", "LiveView"})
_REFRESH = re.compile(r"\bREFRESH\s+(EVERY|AFTER)\b", re.IGNORECASE)
# engines whose rows no sidecar keeps
_KEEPS_ROWS_ITSELF = frozenset(
    {"Log", "TinyLog", "StripeLog", "Memory", "Set", "Join", "EmbeddedRocksDB", "KeeperMap", "File"}
)
_INNER = re.compile(r"\.inner(_id)?\.")
# what neither a shell splitter, a regular expression nor a glob reads as anything but itself
_PLAIN = re.compile(r"[\w.-]+")
_PATTERN = re.compile(r"[\w*?-]+\.[\w.*?-]+")


class TableClass(StrEnum):
    """What a backup has to do with a table's rows."""

    REPLICATED = "replicated"  # the same rows on every replica of the shard
    LOCAL = "local"  # rows of its own on every replica
    SCHEMA_ONLY = "schema-only"  # the sidecar keeps the definition only
    ACTIVE = "active"  # fills itself or others


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table as a server shows it. `rows` is None where the engine does not count."""

    database: str
    name: str
    engine: str
    uuid: str = ""
    modified: int = 0  # metadata_modification_time, seconds since 1970
    definition: str = ""  # create_table_query
    rows: int | None = None
    size_bytes: int | None = None

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def table_class(self) -> TableClass:
        return classify(self.engine)

    @property
    def identity(self) -> str:
        """Tell this table from a recreated one: a restored table keeps its UUID."""
        return f"{self.uuid}/{self.modified}"

    @property
    def holds_rows(self) -> bool:
        """Tell whether rows lie in this very table: not so in views, streams and links."""
        return self.engine.endswith("MergeTree") or self.engine in _KEEPS_ROWS_ITSELF

    @property
    def saveable(self) -> bool:
        """Tell whether it holds rows that a sidecar can keep."""
        return self.engine.endswith("MergeTree") and bool(self.rows)

    @property
    def starts_by_itself(self) -> bool:
        """Tell whether creating it makes it consume or write without anybody inserting."""
        if self.engine in _STREAMS:
            return True
        return self.engine in _SELF_FILLING_VIEWS and bool(_REFRESH.search(self.definition))

    @property
    def is_inner(self) -> bool:
        """Tell whether a materialized view made this table for itself."""
        return bool(_INNER.match(self.name))


def classify(engine: str) -> TableClass:
    """Class of a table engine, by its name in system.tables."""
    if engine.endswith("MergeTree"):
        replicated = engine.startswith(("Replicated", "Shared"))
        return TableClass.REPLICATED if replicated else TableClass.LOCAL
    if engine in _STREAMS or engine in _SELF_FILLING_VIEWS or engine == "Buffer":
        return TableClass.ACTIVE
    return TableClass.SCHEMA_ONLY


def scratch_database(suffix: str) -> str:
    """Name a database of our own for a moment; `suffix` is eight hexadecimal digits."""
    return f"{RESERVED_DATABASE}_scratch_{suffix}"


def is_scratch_database(name: str) -> bool:
    return _SCRATCH.fullmatch(name) is not None


def is_user_database(name: str) -> bool:
    """Tell databases of users from the system's and from our own, scratch ones included."""
    reserved = name == RESERVED_DATABASE or is_scratch_database(name)
    return name not in SYSTEM_DATABASES and not reserved


def checked_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns `database.table` with `*` and `?`; InvalidRequest names the first bad one."""
    found = tuple(pattern.strip() for pattern in patterns)
    for pattern in found:
        if not _PATTERN.fullmatch(pattern):
            message = (
                f"table pattern {pattern!r} is not usable: write database.table, where both may "
                "hold letters, digits, '_', '-', '*' and '?'"
            )
            raise InvalidRequest(message)
        if not is_user_database(pattern.partition(".")[0]):
            message = f"table pattern {pattern!r} names a database that is never backed up"
            raise InvalidRequest(message)
    return found


def selected(tables: Sequence[Table], patterns: Sequence[str]) -> tuple[Table, ...]:
    """User tables that any pattern means (no pattern: all), inner tables with their views."""
    own = [table for table in tables if is_user_database(table.database)]
    if not patterns:
        return tuple(own)
    named = [t for t in own if any(fnmatchcase(t.full_name, pattern) for pattern in patterns)]
    inner = {inner_name for table in named for inner_name in inner_names(table)}
    return tuple(t for t in own if t in named or t.full_name in inner)


def inner_names(table: Table) -> tuple[str, ...]:
    """Full names that the inner table of a materialized view may have; none for other tables."""
    if table.engine not in _SELF_FILLING_VIEWS:
        return ()
    names = (f".inner.{table.name}", f".inner_id.{table.uuid}")
    return tuple(f"{table.database}.{name}" for name in names)


def sidecar_patterns(tables: Iterable[Table], *, whole_databases: bool) -> tuple[str, ...]:
    """Patterns for a command. InvalidRequest where a name cannot stand in one."""
    if whole_databases:
        names = sorted({table.database for table in tables})
    else:
        names = sorted({table.full_name for table in tables})
    for name in names:
        if not _PLAIN.fullmatch(name):
            message = (
                f"{name} cannot be named in a sidecar's command: only letters, digits, '_', '-' "
                "and '.' can; rename it, or choose other tables"
            )
            raise InvalidRequest(message)
    return tuple(f"{name}.*" for name in names) if whole_databases else tuple(names)


def late_tables(tables: Sequence[Table]) -> tuple[Table, ...]:
    """Tables that a restore creates last: those that start by themselves, and views fed by them.

    A view with an inner table cannot wait, since its rows need the inner table; what feeds it
    then cannot wait either.
    """
    inner_owners = {name for table in tables for name in _owners_of_inner(table, tables)}
    late = [t for t in tables if t.starts_by_itself and t.full_name not in inner_owners]
    for source in tuple(late):
        fed = [t for t in tables if t.engine in _SELF_FILLING_VIEWS and _reads(t, source)]
        if any(view.full_name in inner_owners for view in fed):
            late.remove(source)
            continue
        late.extend(view for view in fed if view not in late)
    return tuple(late)


def _owners_of_inner(table: Table, tables: Sequence[Table]) -> tuple[str, ...]:
    present = {other.full_name for other in tables}
    return (table.full_name,) if present & set(inner_names(table)) else ()


def _reads(view: Table, source: Table) -> bool:
    quoted = re.escape(source.name)
    return bool(
        re.search(rf"(FROM|JOIN)\s+`?{re.escape(source.database)}`?\.`?{quoted}\b", view.definition)
    )
