"""One node and its sidecar, spoken to as the product does: SQL to the node, and process control."""

import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from deployments.sandbox.client import QueryFailed
from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.members import Node, Sidecar
from deployments.sandbox.processes import wait_until

ONCE = {"http_max_tries": "1", "http_receive_timeout": "60"}
DEADLINE = timedelta(seconds=60)


class Row(dict[str, Any]):
    """A row of `system.backup_actions`."""

    @property
    def running(self) -> bool:
        return bool(self["status"] == "in progress")

    @property
    def outcome(self) -> str:
        """The status, and why."""
        return f"{self['status']}: {self['error']}" if self["error"] else str(self["status"])


class Refused(Exception):
    """The node answered an INSERT with an error; `body` is what the sidecar said, if it did."""

    def __init__(self, error: QueryFailed) -> None:
        text = str(error)
        super().__init__(text)
        self.code = error.code
        status = re.search(r"HTTP status code: (\d+)", text)
        self.status = int(status[1]) if status else 0
        found = re.search(r"body: '?(\{.*\})", text)
        self.body: dict[str, Any] = json.loads(found[1].replace("\\'", "'")) if found else {}


@dataclass(frozen=True, slots=True)
class Bench:
    cluster: Cluster

    @property
    def node(self) -> Node:
        return self.cluster.members[0].node

    @property
    def sidecar(self) -> Sidecar:
        sidecar = self.cluster.members[0].sidecar
        assert sidecar is not None
        return sidecar

    @property
    def kind(self) -> SidecarKind:
        return self.cluster.layout.sidecar

    @property
    def home(self) -> Path:
        return self.sidecar.program.home

    @property
    def local_folder(self) -> Path:
        return self.node.data_dir / "backup"

    @property
    def remote_folder(self) -> Path:
        """The shard's prefix: of the double a folder, of the real one a folder of the S3 server."""
        bucket = "" if self.kind is SidecarKind.DOUBLE else "backups"
        return self.cluster.directory / "remote" / bucket / "backup" / "shard-0"

    def sql(self, statement: str, settings: Mapping[str, str] | None = None) -> str:
        return self.node.query(statement, ONCE | dict(settings or {}))

    def select(self, statement: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines(f"{statement} FORMAT JSONEachRow")]

    def get(self, path: str) -> list[dict[str, Any]]:
        """Read what the sidecar answers at an address of its own, through the node."""
        statement = f"SELECT * FROM url('{self.address}{path}', 'LineAsString', 'line String')"
        return [json.loads(line["line"]) for line in self.select(statement)]

    @property
    def address(self) -> str:
        created = self.sql("SHOW CREATE TABLE system.backup_actions")
        found = re.search(r"(http://[^/]+)/backup/actions", created)
        assert found
        return found[1]

    def submit(self, *commands: str) -> None:
        """Send the commands as one INSERT."""
        values = ", ".join(f"({_literal(command)})" for command in commands)
        try:
            self.sql(f"INSERT INTO system.backup_actions (command) VALUES {values}")
        except QueryFailed as error:
            raise Refused(error) from error

    def rows(self, *, of: str = "") -> list[Row]:
        found = self.select(
            "SELECT command, toUInt32(start) AS start, toUInt32(finish) AS finish, status, error,"
            " operation_id FROM system.backup_actions"
        )
        return [Row(row) for row in found if of in row["command"]]

    def last(self, command: str) -> Row:
        return next(row for row in reversed(self.rows()) if row["command"] == command)

    def finished(self, command: str) -> Row:
        """Wait until the newest row of the command has ended."""
        self.wait(lambda: not self.last(command).running, f"{command} ends")
        return self.last(command)

    def run(self, command: str) -> Row:
        self.submit(command)
        return self.finished(command)

    def succeed(self, *commands: str) -> None:
        for command in commands:
            assert self.run(command).outcome == "success", command

    def fail(self, command: str) -> str:
        row = self.run(command)
        assert row["status"] == "error"
        return str(row["error"])

    def backups(self, location: str) -> dict[str, dict[str, Any]]:
        where = f"WHERE location = '{location}'"
        rows = self.select(f"SELECT * FROM system.backup_list {where}")
        return {row["name"]: row for row in rows}

    def tables_of(self, backup: str, location: str = "local") -> dict[str, dict[str, Any]]:
        rows = self.get(f"/backup/tables?{location}_backup={backup}&list_parts=1")
        return {f"{row['database']}.{row['table']}": row for row in rows}

    def count(self, table: str) -> int:
        return int(self.sql(f"SELECT count() FROM {table}"))

    def checksum(self, table: str) -> str:
        return self.sql(f"SELECT count(), sum(cityHash64(*)) FROM {table}")

    def hashes(self, table: str) -> list[str]:
        """Hashes of the parts of a table, which do not depend on the parts' names."""
        database, name = table.split(".")
        return self._lines(
            "SELECT partition_id, rows, hash_of_all_files FROM system.parts WHERE active"
            f" AND database = '{database}' AND table = '{name}' ORDER BY ALL"
        )

    def wait(self, condition: Any, what: str) -> None:
        wait_until(condition, what=what, within=DEADLINE)

    def wait_until_idle(self) -> None:
        self.wait(lambda: not any(row.running for row in self.rows()), "nothing is running")

    def wait_until_resumed(self, command: str) -> None:
        """Wait until the sidecar has, by itself, brought this command to a good end."""
        self.wait(lambda: bool(self.rows(of=command)), f"{command} is resumed")
        assert self.finished(command).outcome == "success"

    def kill(self) -> None:
        self.sidecar.kill()

    def restart(self) -> None:
        self.sidecar.kill()
        self.sidecar.start()

    def restart_forgetting_remote(self) -> None:
        """Let the sidecar see what the test did in the bucket: the real one caches metadata."""
        self.kill()
        self._forget_transfers()
        for cache in (self.home / "tmp").glob(".clickhouse-backup-metadata.cache.*"):
            cache.unlink()
        self.sidecar.start()

    def signal(self, number: signal.Signals) -> None:
        pid = self.sidecar.pid
        assert pid
        os.kill(pid, number)

    @contextmanager
    def sidecar_with(self, **environment: str) -> Iterator[None]:
        """Run the sidecar with more in its environment for a while, resuming nothing."""
        usual = self.sidecar.program
        changed = replace(usual, environment=dict(usual.environment) | environment)
        self.sidecar.kill()
        self._forget_transfers()
        self.sidecar.program = changed
        try:
            self.sidecar.start()
            yield
        finally:
            self.sidecar.kill()
            self._forget_transfers()
            self.sidecar.program = usual
            self.sidecar.start()

    def clean(self) -> None:
        """Leave nothing behind: no backups, databases, functions, state files or history."""
        if not self.sidecar.alive:
            self._forget_transfers()
            self.sidecar.start()
        for running in (row for row in self.rows() if row.running):
            self.submit(f"kill {shlex.quote(running['command'])}")
        for row in self.select("SELECT name, location FROM system.backup_list"):
            self.submit(f"delete --force {row['location']} {row['name']}")
        for row in self.select("SELECT name FROM system.databases WHERE name LIKE 'app%'"):
            self.sql(f"DROP DATABASE `{row['name']}` SYNC SETTINGS max_table_size_to_drop=0")
        for row in self.select("SELECT name FROM system.functions WHERE create_query != ''"):
            self.sql(f"DROP FUNCTION `{row['name']}`")

    def _forget_transfers(self) -> None:
        for state in self.local_folder.glob("*/*.state2"):
            state.unlink()

    def _lines(self, statement: str) -> list[str]:
        text = self.sql(statement)
        return text.split("\n") if text else []


def fill(bench: Bench, table: str, *, rows: int = 300, partitions: int = 3) -> None:
    """Make a table of that many parts, one for each partition."""
    bench.sql(f"CREATE DATABASE IF NOT EXISTS {_database(table)}")
    bench.sql(
        f"CREATE TABLE {table} (id UInt32, text String) ENGINE = MergeTree"
        f" PARTITION BY id % {partitions} ORDER BY id"
    )
    add(bench, table, rows=rows)


def add(bench: Bench, table: str, *, rows: int = 300) -> None:
    bench.sql(f"INSERT INTO {table} SELECT number, toString(number) FROM numbers({rows})")


def fill_with_noise(bench: Bench, table: str, *, partitions: int = 4, kilobytes: int = 30) -> None:
    """Parts that no compression makes smaller, so that a limit of bytes per second bites."""
    bench.sql(f"CREATE DATABASE IF NOT EXISTS {_database(table)}")
    bench.sql(
        f"CREATE TABLE {table} (id UInt32, noise String CODEC(NONE)) ENGINE = MergeTree"
        f" PARTITION BY id % {partitions} ORDER BY id"
    )
    add_noise(bench, table, rows=partitions * kilobytes)


def add_noise(bench: Bench, table: str, *, rows: int) -> None:
    bench.sql(f"INSERT INTO {table} SELECT number, randomString(1024) FROM numbers({rows})")


def pause(seconds: float) -> None:
    """For the absence of an event, which no condition can show."""
    time.sleep(seconds)


def _database(table: str) -> str:
    return table.partition(".")[0]


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
