"""What a person is told before a restore: what is not lost yet, and how long it will take."""

from datetime import timedelta
from typing import Any

import pytest

from tasks.domain.fingerprint import Verdict
from tasks.domain.proofs import Proof
from tasks.domain.restore_hints import expected_seconds, undrops
from tasks.domain.tables import Dropped
from tests.builders import (
    BACKUP,
    NOW,
    make_manifest,
    make_observation,
    make_replica_record,
    make_restore_plan,
    make_table,
    make_target,
    make_topology,
    replica_name,
    restore_request,
)

HERE = replica_name(0)


def plan_over(*standing: Any) -> Any:
    return make_restore_plan(
        restore_request(overwrite=True),
        manifest=make_manifest(make_replica_record(0)),
        topology=make_topology(shards=1),
        observed=make_observation(make_target(0, 0, *standing)),
    )


def dropped(name: str = "orders", uuid: str = "one") -> Dropped:
    return Dropped(database="shop", name=name, uuid=uuid)


def proof(backup: str = BACKUP, *, days: int = 1, **fields: Any) -> Proof:
    defaults: dict[str, Any] = {
        "verification_id": f"v-{backup}-{days}",
        "backup_operation_id": "op",
        "level": "restore",
        "verdict": Verdict.PASSED,
        "at": NOW - timedelta(days=days),
        "seconds": {"0": 90.0, "1": 120.0},
    }
    return Proof(backup_name=backup, **(defaults | fields))


def test_a_table_that_was_dropped_lately_can_be_undropped_the_latest_of_its_name() -> None:
    found = list(undrops(plan_over(), {HERE: (dropped(uuid="new"), dropped(uuid="old"))}))
    assert len(found) == 1
    assert found[0].endswith("UNDROP TABLE `shop`.`orders` UUID 'new'")


@pytest.mark.parametrize(
    ("standing", "of"),
    [
        pytest.param([make_table()], dropped(), id="one-stands-in-its-place"),
        pytest.param([], dropped("other"), id="not-of-this-backup"),
    ],
)
def test_what_does_not_help_is_not_told(standing: list[Any], of: Dropped) -> None:
    assert list(undrops(plan_over(*standing), {HERE: (of,)})) == []


@pytest.mark.parametrize(
    ("proofs", "expected"),
    [
        pytest.param([], "", id="no-drill"),
        pytest.param([proof(seconds={})], "", id="nothing-measured"),
        pytest.param([proof()], f"about 2.0 minutes, as a drill of {BACKUP}", id="the-slowest"),
        pytest.param(
            [proof(days=9), proof("other", days=1)], f"a drill of {BACKUP}", id="this-backup-first"
        ),
        pytest.param([proof("older", days=2), proof("other")], "of other", id="else-the-last"),
    ],
)
def test_the_last_drill_tells_how_long_it_takes(proofs: list[Proof], expected: str) -> None:
    told = expected_seconds(plan_over(), proofs)
    assert expected in told
    assert bool(told) == bool(expected)


def test_figures_that_change_while_somebody_reads_the_plan_do_not_change_its_digest() -> None:
    few, many = plan_over(make_table(rows=10)), plan_over(make_table(rows=99))
    assert few.lines != many.lines
    assert few.digest == many.digest
