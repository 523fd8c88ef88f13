"""What a restore may drop: the whole cross product of what was asked for and what stands there."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from tasks.domain.errors import TargetNotEmpty
from tasks.domain.manifest import Manifest
from tasks.domain.requests import Scope
from tasks.domain.restore_plan import RestorePlan
from tasks.domain.restore_request import RestoreRequest
from tasks.domain.tables import Table
from tests.builders import (
    backup_request,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_target,
    make_topology,
    restore_request,
)

ENGINES = ("MergeTree", "ReplicatedMergeTree", "Log", "View")
HOLDING_ROWS = {"MergeTree", "ReplicatedMergeTree", "Log"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One table on one replica, and what somebody wants of it. `rows` None: not counted."""

    engine: str
    rows: int | None
    own_backup: bool  # the backup holds rows of this very replica
    scope: Scope
    partitions: bool
    overwrite: bool
    accept_loss: bool
    schema_only: bool

    def __str__(self) -> str:
        told = [self.engine, f"rows={self.rows}", self.scope.value]
        switches = ("own_backup", "partitions", "overwrite", "accept_loss", "schema_only")
        return "-".join([*told, *(switch for switch in switches if getattr(self, switch))])

    @property
    def is_possible(self) -> bool:
        asked = self.overwrite or not self.accept_loss
        kept = not (self.partitions and self.scope is not Scope.PARTIAL)
        provable = self.own_backup or self.engine != "ReplicatedMergeTree"
        return asked and kept and provable

    @property
    def destroys_rows(self) -> bool:
        return self.engine in HOLDING_ROWS and self.rows != 0

    @property
    def brings_them_back(self) -> bool:
        from_here = self.own_backup and self.engine.endswith("MergeTree")
        whole = self.scope is not Scope.SCHEMA and not self.partitions
        return from_here and whole and not self.schema_only

    @property
    def is_allowed(self) -> bool:
        if not self.destroys_rows:
            return True
        return self.overwrite and (self.brings_them_back or self.accept_loss)

    @property
    def table(self) -> Table:
        return make_table(engine=self.engine, rows=self.rows)

    @property
    def request(self) -> RestoreRequest:
        losses = ["shop.ord*"] if self.accept_loss else []
        return restore_request(
            overwrite=self.overwrite, schema_only=self.schema_only, accept_loss=losses
        )

    @property
    def manifest(self) -> Manifest:
        asked = backup_request(partitions=["202601"] if self.partitions else [])
        return make_manifest(
            make_replica_record(0, 0, tables=[make_table(engine=self.engine)]),
            scope=self.scope,
            request=asked.model_dump(mode="json"),
        )

    def planned(self) -> RestorePlan:
        """Let the table stand on the replica that the backup is of, or on its sibling."""
        replicas = 1 if self.own_backup else 2
        targets = [make_target(0, n) for n in range(replicas - 1)]
        targets.append(make_target(0, replicas - 1, self.table))
        return make_restore_plan(
            self.request,
            manifest=self.manifest,
            topology=make_topology(shards=1, replicas=replicas),
            observed=make_observation(*targets),
        )


SWITCH = (False, True)
FACTORS: dict[str, tuple[Any, ...]] = {
    "engine": ENGINES,
    "rows": (None, 0, 5),
    "own_backup": SWITCH,
    "scope": tuple(Scope),
    "partitions": SWITCH,
    "overwrite": SWITCH,
    "accept_loss": SWITCH,
    "schema_only": SWITCH,
}
EVERY = [Case(**dict(zip(FACTORS, values, strict=True))) for values in product(*FACTORS.values())]
CASES = [case for case in EVERY if case.is_possible]


@pytest.mark.parametrize("case", [case for case in CASES if not case.is_allowed], ids=str)
def test_rows_are_never_dropped_without_being_brought_back_or_given_up(case: Case) -> None:
    """Weak point 5: the guard looked at first replicas only."""
    with pytest.raises(TargetNotEmpty, match=r"shop\.orders on chi-demo-main-0-"):
        case.planned()


@pytest.mark.parametrize("case", [case for case in CASES if case.is_allowed], ids=str)
def test_what_is_allowed_is_planned_with_every_loss_named(case: Case) -> None:
    plan = case.planned()
    assert case.table in [table for part in plan.replicas for table in part.drop]
    assert bool(plan.lost) is (case.destroys_rows and not case.brings_them_back)


def test_the_cross_product_is_not_one_sided() -> None:
    refused = sum(not case.is_allowed for case in CASES)
    assert len(CASES) > 400
    assert 100 < refused < len(CASES) - 100
