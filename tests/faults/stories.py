"""Stories: an operation on a cluster with known rows, and what must hold when it is over."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.names import safety_name
from tests.faults.shops import Shop
from tests.integration.bench import Bench
from tests.integration.killing import FlowProcess, another_process
from tests.moments import Moment

LEASE_SECONDS = 12
CELL = "cell-"  # what the names of backups begin with that only one story needs
_BASE = "base"
_OPEN = (
    "SELECT operation_id FROM chops.operations WHERE event IN ('started', 'finished') "
    "GROUP BY operation_id HAVING argMax(event, sequence) = 'started'"
)
_LOCKS = (
    "SELECT max(toUInt32(substring(name, 6))) FROM system.tables "
    "WHERE database = 'chops' AND name LIKE 'lock%'"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where stories happen: a cluster, what stands on it, and the Prefect server of its flows."""

    bench: Bench
    prefect: PrefectServer
    shop: Shop

    @property
    def remote(self) -> Path:
        return self.bench.cluster.directory / "remote"

    def tidy(self) -> None:
        """Leave nothing for the next story but the base backup."""
        if not self.prefect.process.alive:
            self.prefect.process.start()
        self.bench.clean()
        for copy in self.remote.glob(f"backup/*/{CELL}*"):
            shutil.rmtree(copy)

    @contextmanager
    def running(
        self, operation: str, form: Mapping[str, Any], moment: Moment | None = None
    ) -> Iterator[FlowProcess]:
        options = {"lease_seconds": LEASE_SECONDS}
        run = another_process(self.prefect, self.bench, operation, moment, **form, options=options)
        with run as flow:
            yield flow

    def sent(self, number: int) -> Counter[str]:
        """Count what a sidecar was told, without the options in which two attempts differ."""
        commands = (command.split() for command in self.bench.commands(number))
        return Counter(" ".join(w for w in words if "=" not in w) for words in commands)

    def complete(self, operation: str, **form: Any) -> None:
        with self.running(operation, form) as flow:
            end = flow.end()
        assert end.completed, f"{end.error}: {end.told}"


class Story(Protocol):
    """One operation from its beginning to its proof. `once`: commands never to be repeated."""

    form: Mapping[str, Any]
    once: frozenset[str]

    def prepare(self) -> None: ...

    def demand_done(self) -> None: ...


class BackupStory:
    def __init__(self, scene: Scene, key: str) -> None:
        self._scene = scene
        self._name = key
        self.form: Mapping[str, Any] = {"backup_name": key, "operation_id": f"op-{key}"}
        copies = (key, f"{key}.manifest")
        self.once = frozenset(f"{verb} {copy}" for verb in ("create", "upload") for copy in copies)

    def prepare(self) -> None:
        self._scene.shop.fill(self._scene.bench)
        self._rows = self._scene.shop.rows(self._scene.bench)

    def demand_done(self) -> None:
        """Bring it back shard by shard, without a flow: nothing else proves a backup."""
        bench, shop = self._scene.bench, self._scene.shop
        demand_nothing_left(bench, remote={self._name, f"{self._name}.manifest"})
        bench.drop("shop")
        shop.bring_back(bench, self._name)
        assert shop.rows(bench) == self._rows


class RestoreStory:
    def __init__(self, scene: Scene, key: str) -> None:
        self._scene = scene
        self._saved = safety_name(f"op-{key}")
        own = {"backup": _BASE, "operation_id": f"op-{key}", "overwrite": True}
        self.form: Mapping[str, Any] = {**own, "accept_loss": list(scene.shop.losses)}
        commands = (f"download {_BASE}", f"create {self._saved}", f"restore --data {_BASE}")
        self.once = frozenset(commands)

    def prepare(self) -> None:
        """Stand more rows there than the backup holds: those it drops."""
        bench, shop = self._scene.bench, self._scene.shop
        shop.fill(bench)
        if _BASE not in bench.listed(shop.struck, "remote"):
            self._scene.complete("backup", backup_name=_BASE)
        shop.add(bench)

    def demand_done(self) -> None:
        bench, shop = self._scene.bench, self._scene.shop
        found = shop.rows(bench)
        demand_nothing_left(bench, local={self._saved}, remote=set())
        shop.fill(bench)
        assert found == shop.rows(bench)


STORIES: Mapping[str, Callable[[Scene, str], Story]] = {
    "backup": BackupStory,
    "restore": RestoreStory,
}


def demand_nothing_left(
    bench: Bench, *, remote: set[str], local: frozenset[str] | set[str] = frozenset()
) -> None:
    """Demand exactly these copies on every shard, no orphan of any kind, and no lock."""
    base = {_BASE, f"{_BASE}.manifest"}
    for number, member in enumerate(bench.members):
        assert bench.listed(number, "local") == local
        assert bench.listed(number, "remote") - base - {f"seed-{member.shard}"} == remote
        assert [row for row in bench.actions(number) if row["status"] == "in progress"] == []
        node = member.node
        assert node.query("SELECT name FROM system.databases WHERE name LIKE 'chops%'") == "chops"
        tables = "SELECT name FROM system.tables WHERE database = 'chops' AND name NOT LIKE 'lock%'"
        assert node.query(tables) == "operations"
        assert node.query(_OPEN) == ""
    lock_node = bench.nodes[0]
    newest = lock_node.query(_LOCKS)
    released = f"SELECT count() FROM chops.lock_{newest} WHERE event = 'released'"
    assert lock_node.query(released) == "1"
