"""A cluster with its sidecars and the two flows: what tests of backup and restore are made of."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import pytest
from prefect.client.schemas.objects import State

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.double.knobs import Knobs
from deployments.sandbox.members import Member, Node, Sidecar
from deployments.sandbox.processes import wait_until
from flows.backup import backup_cluster
from flows.restore import restore_cluster
from flows.verify import verify_backup
from tasks.domain.errors import BackupError, OperationIncomplete
from tasks.domain.outcomes import BackupOutcome, RestoreOutcome
from tasks.domain.verify_outcome import VerifyOutcome

ONCE = {"http_max_tries": "1", "http_receive_timeout": "60"}
_SEED = "seed-"
DEADLINE = timedelta(seconds=60)
QUICK = {"lease_seconds": 12, "busy_timeout_seconds": 5, "action_timeout_seconds": 60}
OF_USERS = "name NOT IN ('system', 'default', 'INFORMATION_SCHEMA', 'information_schema')"
ORDERS = """
CREATE TABLE shop.orders (id UInt64, day Date, text String)
ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY id
"""
SHOP = ("CREATE DATABASE IF NOT EXISTS shop", ORDERS)


@dataclass(frozen=True, slots=True)
class Bench:
    """Nodes are spoken to by their number, in the order of the inventory."""

    cluster: Cluster

    @property
    def members(self) -> tuple[Member, ...]:
        return self.cluster.members

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(member.node for member in self.members)

    def sidecar(self, number: int) -> Sidecar:
        found = self.members[number].sidecar
        assert found is not None
        return found

    async def backup(self, name: str, **form: Any) -> BackupOutcome:
        made: BackupOutcome = await backup_cluster(**self.form(form, backup_name=name))
        return made

    async def backup_run(self, name: str, **form: Any) -> State[Any]:
        """Run it to its end, whatever that is."""
        state: State[Any] = await backup_cluster(
            **self.form(form, backup_name=name), return_state=True
        )
        return state

    async def restore(self, name: str, **form: Any) -> RestoreOutcome:
        done: RestoreOutcome = await restore_cluster(**self.form(form, backup=name))
        return done

    async def restore_run(self, name: str, **form: Any) -> State[Any]:
        state: State[Any] = await restore_cluster(**self.form(form, backup=name), return_state=True)
        return state

    async def verify(self, name: str, **form: Any) -> VerifyOutcome:
        """Verify it, and take the outcome of one that did not pass too."""
        state: State[Any] = await verify_backup(**self.form(form, backup=name), return_state=True)
        ended = await state.aresult(raise_on_failure=False)
        if isinstance(ended, OperationIncomplete):
            ended = ended.outcome
        elif isinstance(ended, BackupError):
            raise ended
        assert isinstance(ended, VerifyOutcome)
        return ended

    def form(self, form: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Fill in what every run on this cluster needs."""
        options = QUICK | form.get("options", {})
        inventory = form.get("inventory", self.cluster.inventory)
        usual = {"installation": "demo", "inventory": inventory}
        return usual | fields | form | {"options": options}

    def everywhere(self, *statements: str) -> list[list[str]]:
        return [[node.query(statement) for statement in statements] for node in self.nodes]

    def fill_shop(self, *, rows: int = 300, parts: int = 3) -> None:
        """Make shop.orders on every node, other rows on each, in that many months."""
        self.everywhere(*SHOP)
        for number in range(len(self.nodes)):
            self.add_orders(number, rows=rows, parts=parts)

    def add_orders(self, number: int, *, rows: int = 300, parts: int = 3, first: int = 0) -> None:
        self.nodes[number].query(
            f"INSERT INTO shop.orders SELECT {number} * 1000000 + {first} + number AS id, "
            f"toDate('2026-01-15') + 31 * (number % {parts}), "
            f"concat('order ', toString(id)) FROM numbers({rows})"
        )

    def contents(self, *tables: str) -> list[dict[str, str]]:
        """Every row of every table on every node, in one order."""
        return [
            {table: node.query(f"SELECT * FROM {table} ORDER BY ALL") for table in tables}
            for node in self.nodes
        ]

    def drop(self, *databases: str) -> None:
        for database in databases:
            self.everywhere(f"DROP DATABASE IF EXISTS {database} SYNC")

    def tables(self, database: str) -> list[str]:
        """Names on each node, one line each."""
        found = self.everywhere(
            f"SELECT name FROM system.tables WHERE database = '{database}' ORDER BY name"
        )
        return [node[0] for node in found]

    def commands(self, number: int, *, of: str = "") -> list[str]:
        """List what the sidecar's history holds, oldest first."""
        return [row["command"] for row in self.actions(number) if row["command"].startswith(of)]

    def actions(self, number: int) -> list[dict[str, Any]]:
        return self._select(number, "SELECT command, status, error FROM system.backup_actions")

    def listed(self, number: int, location: str) -> set[str]:
        where = f"WHERE location = '{location}'"
        rows = self._select(number, f"SELECT name FROM system.backup_list {where}")
        return {row["name"] for row in rows}

    def tell(self, number: int, command: str) -> None:
        """Give a sidecar a command as a stranger would, and wait for its end."""
        self.nodes[number].query(
            f"INSERT INTO system.backup_actions (command) VALUES ('{command}')", ONCE
        )
        self.wait_for_end(number, command)

    def wait_for_end(self, number: int, start: str) -> None:
        def ended() -> bool:
            rows = [row for row in self.actions(number) if row["command"].startswith(start)]
            return bool(rows) and all(row["status"] != "in progress" for row in rows)

        wait_until(ended, what=f"{start} has ended", within=DEADLINE)

    async def wait_for(self, condition: Callable[[], bool], *, what: str) -> None:
        """Wait while flows of this process go on; what was true once need not stay so."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                # other processes tell no events
                while not await asyncio.to_thread(condition):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"not within {DEADLINE}: {what}")

    def is_at_work(self, number: int, verb: str) -> bool:
        rows = self.actions(number)
        return any(r["command"].startswith(verb) and r["status"] == "in progress" for r in rows)

    def state(self) -> object:
        """All that a refused operation must leave as it was."""
        tables = (
            "SELECT database, name, uuid, total_rows FROM system.tables "
            f"WHERE database != 'chops' AND {OF_USERS.replace('name', 'database')} "
            "ORDER BY database, name"
        )
        numbers = range(len(self.nodes))
        listings = [(self.listed(n, "local"), self.listed(n, "remote")) for n in numbers]
        return self.everywhere(tables), listings

    def sent(self) -> list[list[str]]:
        return [self.commands(number) for number in range(len(self.nodes))]

    @contextmanager
    def refusal(
        self,
        error: type[Exception] | tuple[type[Exception], ...],
        *words: str,
        after_asking: bool = False,
    ) -> Iterator[pytest.ExceptionInfo[Exception]]:
        """Demand a refusal in one sentence that leaves everything as it was.

        Only `after_asking` the sidecars may commands have been sent.
        """
        before, sent = self.state(), self.sent()
        with pytest.raises(error) as caught:
            yield caught
        told = str(caught.value)
        assert [word for word in words if word not in told] == [], told
        assert not isinstance(caught.value, BackupError) or "\n" not in told
        assert self.state() == before
        assert after_asking or self.sent() == sent

    def has_begun(self, number: int, verb: str, name: str) -> bool:
        return any(command.endswith(f" {name}") for command in self.commands(number, of=verb))

    def holds_orders(self, number: int) -> bool:
        counted = "SELECT sum(rows) FROM system.parts WHERE active AND database = 'shop'"
        return self.nodes[number].query(counted) != "0"

    def revive(self, number: int) -> None:
        """Kill a sidecar without a chance to tidy up, and start it again."""
        self.sidecar(number).kill()
        self.sidecar(number).start()

    @contextmanager
    def turned(self, number: int, **knobs: Any) -> Iterator[None]:
        """Turn knobs of one double for a while."""
        self._turn(number, **knobs)
        try:
            yield
        finally:
            self._turn(number)

    def _turn(self, number: int, **knobs: Any) -> None:
        """Let the clocks of sidecars differ, so that no row of two listings is ever the same."""
        knobs["clock_offset_seconds"] = 600 * number
        Knobs(**knobs).write(self.sidecar(number).knobs)

    def tell_shards_apart(self) -> None:
        """Put another backup into each shard's path: flows need no probes to tell them apart."""
        for number, member in enumerate(self.members):
            self._turn(number)
            name = f"{_SEED}{member.shard}"
            if name in self.listed(number, "remote"):
                continue
            self.nodes[number].query("CREATE DATABASE seed")
            self.nodes[number].query("CREATE TABLE seed.t (a UInt8) ENGINE = MergeTree ORDER BY a")
            for command in ("create --tables=seed.*", "upload", "delete local"):
                self.tell(number, f"{command} {name}")
            self.nodes[number].query("DROP DATABASE seed SYNC")

    def cleaned(self) -> Iterator[Self]:
        """Lend it to one test, and leave nothing for the next one, whatever this one did."""
        yield self
        self.clean()
        if self.cluster.store is None:  # names are free again: for other tests, and for a retry
            for copy in self.cluster.remote.glob("backup/*/*"):
                if not copy.name.startswith(_SEED):
                    shutil.rmtree(copy)

    def clean(self) -> None:
        """Leave no database, function, local copy, journal or knob; remote backups stay."""
        for number in range(len(self.nodes)):
            self._turn(number)
        self.cluster.start_what_is_down()
        for number, node in enumerate(self.nodes):
            for name in self._names(node, "databases", OF_USERS):
                node.query(f"DROP DATABASE `{name}` SYNC")
            for name in self._names(node, "functions", "origin = 'SQLUserDefined'"):
                node.query(f"DROP FUNCTION `{name}`")
            for name in self.listed(number, "local"):
                self.tell(number, f"delete local {name}")

    def _names(self, node: Node, table: str, where: str) -> Sequence[str]:
        return node.query(f"SELECT name FROM system.{table} WHERE {where}").split()

    def _select(self, number: int, statement: str) -> list[dict[str, Any]]:
        text = self.nodes[number].query(f"{statement} FORMAT JSONEachRow", ONCE)
        return [json.loads(line) for line in text.splitlines()]
