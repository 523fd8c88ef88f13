"""Start stand-ins that answer as a real node did, and read what they saw."""

import base64
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments.sandbox.members import Node
from deployments.sandbox.processes import HOST, PROJECT
from tasks.clickhouse import replication
from tasks.domain.inventory import Inventory
from tests.benchmarks.standin.sidecar import Durations

INSTALLATION = "demo"
# What depends on nothing that a flow does is taken from a real node, word for word.
_LEARNED = (
    "SELECT version(), timezone()",
    "SELECT name, value, readonly FROM system.settings LIMIT 10000",
    "SELECT 1 AS check",
    "SELECT version() AS version",
    "SELECT name, create_query FROM system.functions WHERE origin = 'SQLUserDefined'",
    "SELECT name FROM system.disks WHERE type NOT IN ('Local', 'local')",
    replication._READ,
    "SELECT min(free_space) AS free FROM system.disks WHERE type IN ('Local', 'local')",
)
_COMMANDS = frozenset(_LEARNED[:1])


def learned(node: Node) -> dict[str, str]:
    """Ask a real node, and keep its very bytes."""
    return {
        statement: base64.b64encode(
            _asked(node, statement, "TabSeparated" if statement in _COMMANDS else "Native")
        ).decode()
        for statement in _LEARNED
    }


def contents_of(node: Node, database: str) -> dict[str, Any]:
    """Read tables with their parts as they stand on a real node."""
    tables = _rows(
        node,
        "SELECT database, name, engine, create_table_query AS definition, toString(uuid) AS uuid, "
        "toUInt32(metadata_modification_time) AS modified FROM system.tables "
        f"WHERE database = '{database}'",
    )
    for table in tables:
        table["parts"] = _rows(
            node,
            "SELECT name, partition_id, rows, bytes_on_disk, hash_of_all_files, active "
            f"FROM system.parts WHERE database = '{database}' AND table = '{table['name']}'",
        )
    databases = _rows(
        node, f"SELECT name, engine FROM system.databases WHERE name IN ('default', '{database}')"
    )
    return {"databases": {row["name"]: row["engine"] for row in databases}, "tables": tables}


@dataclass(frozen=True, slots=True)
class StandIns:
    """A running process of stand-ins."""

    ports: tuple[int, ...]
    traffic_port: int

    @property
    def inventory(self) -> Inventory:
        return inventory_of(self.ports)

    def traffic(self) -> list[dict[str, Any]]:
        """Tell what each shard saw since the start."""
        with urllib.request.urlopen(f"http://{HOST}:{self.traffic_port}/") as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return found


def inventory_of(ports: tuple[int, ...]) -> Inventory:
    shards = [
        {
            "name": str(number),
            "replicas": [
                {"name": f"chi-{INSTALLATION}-main-{number}-0", "host": HOST, "port": port}
            ],
        }
        for number, port in enumerate(ports)
    ]
    return Inventory.model_validate(
        {"installation": INSTALLATION, "cluster": "main", "shards": shards}
    )


@contextmanager
def standins(
    directory: Path,
    shards: int,
    *,
    learned: Mapping[str, str],
    contents: Mapping[str, Any],
    durations: Durations,
) -> Iterator[StandIns]:
    document = {
        "shards": shards,
        "learned": dict(learned),
        "contents": dict(contents),
        "durations": asdict(durations),
    }
    path = directory / f"standins-{shards}.json"
    path.write_text(json.dumps(document))
    command = [sys.executable, "-m", "tests.benchmarks.standin", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT, text=True) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            yield StandIns(tuple(told["shards"]), told["traffic"])
        finally:
            process.terminate()


def _asked(node: Node, statement: str, form: str) -> bytes:
    request = urllib.request.Request(
        f"http://{HOST}:{node.http_port}/?default_format={form}", data=statement.encode()
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        body: bytes = reply.read()
    return body


def _rows(node: Node, statement: str) -> list[dict[str, Any]]:
    text = node.query(f"{statement} FORMAT JSONEachRow")
    number = re.compile(r"^\d+$")
    rows = [json.loads(line) for line in text.splitlines()]
    return [
        {
            name: int(value) if name in _NUMBERS and number.match(str(value)) else value
            for name, value in row.items()
        }
        for row in rows
    ]


_NUMBERS = frozenset({"rows", "bytes_on_disk", "modified", "active"})
