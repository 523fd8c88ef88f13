"""The chDB engine of one node: sessions on one data path, and what a real server has beyond it.

A process holds one data path at most, and a data path is held by one process at most.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

import chdb

from deployments.sandbox.inline_data import readable
from deployments.sandbox.users import User

UNKNOWN_SETTING = 115
UNKNOWN_EXCEPTION = 1002
FIRST_WORD = re.compile(rb"(?:--[^\n]*(?:\n|$)|/\*.*?\*/|[\s(])*(\w+)", re.DOTALL)
DEFINES = frozenset({"CREATE", "ATTACH", "DROP", "DETACH", "RENAME", "EXCHANGE", "REPLACE"})

# The engine takes a bare expression for a query; a server does not, unless told.
AS_A_SERVER = {"implicit_select": "0"}

# Read by the sidecar for its metrics; the embedded engine does not have it.
ASYNCHRONOUS_METRICS = """
CREATE OR REPLACE VIEW system.asynchronous_metrics AS
SELECT 'TotalBytesOfMergeTreeTables' AS metric, toFloat64(sum(bytes_on_disk)) AS value
FROM system.parts WHERE active
"""
URL_TABLES = """
SELECT create_table_query FROM system.tables
WHERE database = 'system' AND engine = 'URL' ORDER BY name
"""


class EngineError(Exception):
    """The engine refused a statement. `code` is ClickHouse's own number."""

    def __init__(self, text: str) -> None:
        super().__init__(text.removeprefix("Streaming query failed: "))
        number = re.search(r"Code: (\d+)", text)
        self.code = int(number[1]) if number else UNKNOWN_EXCEPTION


class Session:
    """One connection with its own settings and current database. Not for two threads at once."""

    def __init__(self, engine: "Engine", connection: chdb.state.sqlitelike.Connection) -> None:
        self._engine = engine
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def run(
        self,
        statement: str | bytes,
        output_format: str = "TabSeparated",
        parameters: Mapping[str, str] | None = None,
    ) -> bytes:
        text = statement.encode() if isinstance(statement, str) else statement
        answer = self.ask(text, output_format, parameters)
        if first_word(text) in DEFINES:
            self._engine.remember_system_tables(self)
        return answer

    def ask(
        self,
        statement: bytes,
        output_format: str = "TabSeparated",
        parameters: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one statement, data inline: the engine's streaming insert hides a sink's error."""
        try:
            with readable(statement) as complete:
                # Declared for str; bytes pass too, and data need not be valid UTF-8.
                answer: bytes = self._connection.query(
                    cast("str", complete), output_format, params=dict(parameters or {})
                ).bytes()
        except chdb.ChdbError as error:
            raise EngineError(str(error)) from error
        return answer

    def stream(self, statement: str) -> Iterator[bytes]:
        """Blocks of the Native format, one at a time. For SELECT and WITH only."""
        try:
            for block in self._connection.send_query(statement, "Native"):
                yield block.bytes()
        except chdb.ChdbError as error:
            raise EngineError(str(error)) from error

    def rows(self, statement: str) -> list[list[str]]:
        found: list[list[str]] = json.loads(self.run(statement, "JSONCompactStrings"))["data"]
        return found

    def set(self, settings: Mapping[str, str]) -> None:
        if settings:
            values = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
            self.run(f"SET {values}")

    def set_known(self, settings: Mapping[str, str]) -> None:
        """Leave out what the engine does not know, or takes from its own kind of client only."""
        for name, value in settings.items():
            try:
                self.set({name: value})
            except EngineError as error:
                if error.code != UNKNOWN_SETTING and "per query" not in str(error):
                    raise

    @contextmanager
    def with_settings(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Set them for one request of a session that goes on after it."""
        names = ", ".join(quoted(name) for name in settings) or "''"
        before = self.rows(
            f"SELECT name, if(changed, value, '') FROM system.settings WHERE name IN ({names})"
        )
        self.set(settings)
        try:
            yield
        finally:
            for name, value in before:
                self.run(f"SET {name} = {quoted(value) if value else 'DEFAULT'}")


class Engine:
    def __init__(self, data_dir: Path, config: Path) -> None:
        self._target = f"{data_dir}?config-file={config}"
        self._remembered = data_dir / "system_tables.json"
        self._remembering = threading.Lock()
        self._keeper = Session(self, chdb.connect(self._target))
        # The sidecar touches a file in it before it drops a large table.
        (data_dir / "flags").mkdir(exist_ok=True)
        # Not by `run`: it would write down what is there before all of it is there again.
        for definition in (ASYNCHRONOUS_METRICS, *self._read_remembered()):
            self._keeper.ask(definition.encode())
        [[self.version, self.timezone]] = self._keeper.rows("SELECT version(), timezone()")

    def close(self) -> None:
        self._keeper.close()

    def open_session(
        self, user: User, *, database: str = "", settings: Mapping[str, str] | None = None
    ) -> Session:
        session = Session(self, chdb.connect(self._target))
        try:
            session.set(AS_A_SERVER | dict(settings or {}))
            if database:
                session.run(f"USE {identifier(database)}")
            if user.readonly:
                session.run("SET readonly = 2")
        except EngineError:
            session.close()
            raise
        return session

    def remember_system_tables(self, session: Session) -> None:
        """Write down the URL tables of database `system`: the engine keeps them in memory only."""
        with self._remembering:
            definitions = [definition for [definition] in session.rows(URL_TABLES)]
            if definitions == self._read_remembered():
                return
            draft = self._remembered.with_suffix(".new")
            draft.write_text(json.dumps(definitions, indent=1))
            draft.replace(self._remembered)

    def _read_remembered(self) -> list[str]:
        if not self._remembered.exists():
            return []
        definitions: list[str] = json.loads(self._remembered.read_text())
        return definitions


def first_word(statement: bytes) -> str:
    found = FIRST_WORD.match(statement)
    return found[1].decode().upper() if found else ""


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
