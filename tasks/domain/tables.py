"""Tables: which class each belongs to, and which of them a request means."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate

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
# characters: a server takes 128 KiB in one parameter of a request
_LONGEST_LIST = 60_000
_PATTERN = re.compile(r"[\w*?-]+\.[\w.*?-]+")
_DATABASE = re.compile(r"[\w-]+")
_PARTITION = re.compile(r"([\w-]+\.[\w-]+:)?[A-Za-z0-9_-]+")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A table that was dropped, and whose server has not deleted it yet."""

    database: str
    name: str
    uuid: str

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def undrop(self) -> str:
        return f"UNDROP TABLE `{self.database}`.`{self.name}` UUID '{self.uuid}'"


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


def checked_partitions(partitions: tuple[str, ...]) -> tuple[str, ...]:
    """Ids of partitions, each with or without its table; InvalidRequest names the first bad one."""
    for partition in partitions:
        if not _PARTITION.fullmatch(partition):
            message = (
                f"{partition!r} is not a partition id: write the id as system.parts shows it, "
                "or database.table:id (a tuple would hang the sidecar)"
            )
            raise InvalidRequest(message)
    return partitions


def checked_mapping(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Pairs `database:other`, all different; InvalidRequest names the first bad one."""
    for pair in pairs:
        source, _, target = pair.partition(":")
        usable = _DATABASE.fullmatch(source) and _DATABASE.fullmatch(target)
        if not usable or source == target or not is_user_database(target):
            message = (
                f"{pair!r} is not a mapping of databases: write database:other, where other is a "
                "database of its own, of letters, digits, '_' and '-'"
            )
            raise InvalidRequest(message)
    for side in (0, 2):
        if len({pair.partition(":")[side] for pair in pairs}) < len(pairs):
            message = f"a database stands twice in {', '.join(pairs)}"
            raise InvalidRequest(message)
    return pairs


def selected(tables: Sequence[Table], patterns: Sequence[str]) -> tuple[Table, ...]:
    """User tables that any pattern means (no pattern: all), inner tables with their views."""
    own = [table for table in tables if is_user_database(table.database)]
    if not patterns:
        return tuple(own)
    meant = re.compile("|".join(translate(pattern) for pattern in patterns)).match
    named = {table.full_name: table for table in own if meant(table.full_name)}
    inner = {inner_name for table in named.values() for inner_name in inner_names(table)}
    return tuple(t for t in own if t.full_name in named or t.full_name in inner)


def inner_names(table: Table) -> tuple[str, ...]:
    """Full names that the inner table of a materialized view may have; none for other tables."""
    if table.engine not in _SELF_FILLING_VIEWS:
        return ()
    names = (f".inner.{table.name}", f".inner_id.{table.uuid}")
    return tuple(f"{table.database}.{name}" for name in names)


def database_patterns(tables: Iterable[Table]) -> tuple[str, ...]:
    """Patterns for a command that mean the whole databases of these tables."""
    return tuple(f"{name}.*" for name in _speakable({table.database for table in tables}))


def table_patterns(tables: Iterable[Table], *, apart_from: Iterable[Table] = ()) -> tuple[str, ...]:
    """Patterns for a command that mean these tables.

    Where their names are too many for one command, a database is named as a whole, unless one of
    `apart_from` stands in it. InvalidRequest where a name cannot stand in one, or all cannot.
    """
    chosen = tuple(tables)
    names = _speakable({table.full_name for table in chosen})
    if len(",".join(names)) <= _LONGEST_LIST:
        return names
    mixed = {other.database for other in apart_from}
    whole = database_patterns(table for table in chosen if table.database not in mixed)
    single = _speakable({table.full_name for table in chosen if table.database in mixed})
    if len(",".join((*whole, *single))) > _LONGEST_LIST:
        message = (
            f"{len(single)} names are too many for one command of a sidecar, and the databases "
            f"{', '.join(sorted(mixed))} cannot be named as a whole: choose fewer tables"
        )
        raise InvalidRequest(message)
    return (*whole, *single)


def _speakable(names: Iterable[str]) -> tuple[str, ...]:
    for name in names:
        if not _PLAIN.fullmatch(name):
            message = (
                f"{name} cannot be named in a sidecar's command: only letters, digits, '_', '-' "
                "and '.' can; rename it, or choose other tables"
            )
            raise InvalidRequest(message)
    return tuple(sorted(names))


def late_tables(tables: Sequence[Table]) -> tuple[Table, ...]:
    """Tables that a restore creates last: those that start by themselves, and views fed by them.

    A view with an inner table cannot wait, since its rows need the inner table; what feeds it
    then cannot wait either.
    """
    present = {table.full_name for table in tables}
    inner_owners = {t.full_name for t in tables if not present.isdisjoint(inner_names(t))}
    views = [table for table in tables if table.engine in _SELF_FILLING_VIEWS]
    late = [t for t in tables if t.starts_by_itself and t.full_name not in inner_owners]
    for source in tuple(late):
        fed = [view for view in views if _reads(view, source)]
        if any(view.full_name in inner_owners for view in fed):
            late.remove(source)
            continue
        late.extend(view for view in fed if view not in late)
    return tuple(late)


def _reads(view: Table, source: Table) -> bool:
    quoted = re.escape(source.name)
    return bool(
        re.search(rf"(FROM|JOIN)\s+`?{re.escape(source.database)}`?\.`?{quoted}\b", view.definition)
    )
