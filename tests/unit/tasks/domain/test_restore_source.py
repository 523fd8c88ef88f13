"""Which backup a restore takes when none is named, and when it refuses to choose."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.domain.catalogue import Backup, State
from tasks.domain.errors import BackupNotFound, BackupUnusable, InvalidRequest, TopologyMismatch
from tasks.domain.manifest_summary import ReplicaSummary, TableSummary
from tasks.domain.requests import Scope
from tasks.domain.restore_source import Choice, demand_origin, newest_of
from tasks.domain.tables import TableClass
from tests.builders import make_manifest, make_topology, replica_name, restore_request
from tests.unit.tasks.domain.catalogues import (
    ago,
    make_backup,
    make_broken,
    make_catalogue,
    make_copy,
    make_stranger,
    make_summary,
)

OLD = make_backup("nightly-1", at=ago(days=3))
NEW = make_backup("nightly-2", at=ago(days=2))


def choice(*backups: Backup, **asked: Any) -> Choice:
    return newest_of(make_catalogue(*backups), restore_request(backup="latest", **asked))


def holding(name: str, *tables: str, days: float = 1, rows: int = 1, **fields: Any) -> Backup:
    at = ago(days=days)
    kept = tuple(TableSummary(name=t, table_class=TableClass.LOCAL, rows=rows) for t in tables)
    replica = ReplicaSummary(
        shard="0",
        replica=replica_name(),
        frozen_from=at,
        frozen_until=at,
        size_bytes=1,
        tables=kept,
    )
    return make_backup(name, manifest=make_summary(name, replicas=(replica,), **fields))


def test_the_newest_point_is_taken() -> None:
    found = choice(OLD, NEW)
    assert (found.name, found.passed_over) == ("nightly-2", ())


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(make_broken("x", at=ago(days=1)), id="broken"),
        pytest.param(
            make_backup("x", at=ago(days=1), state=State.INCOMPLETE, why="missing"), id="incomplete"
        ),
        pytest.param(make_backup("x", at=ago(days=1), suspect="holds no rows"), id="suspect"),
        pytest.param(make_backup("x", at=ago(days=1), scope=Scope.PARTIAL), id="partial"),
        pytest.param(make_backup("x", at=ago(days=1), scope=Scope.SCHEMA), id="schema"),
        pytest.param(
            make_stranger("x", copies=(make_copy(created_at=int(ago(days=1).timestamp())),)),
            id="without-a-manifest",
        ),
    ],
)
def test_what_cannot_bring_everything_back_is_passed_over_and_told(newer: Backup) -> None:
    found = choice(OLD, NEW, newer)
    assert found.name == "nightly-2"
    assert any("x" in note and "passed over" in note for note in found.notes)


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(
            make_backup("x", at=ago(days=1), state=State.UNKNOWN, why="a shard is silent"),
            id="silent-shard",
        ),
        pytest.param(
            make_backup("x", manifest=None, ours=False, unreadable="it is corrupt"),
            id="unreadable-manifest",
        ),
    ],
)
def test_a_newer_backup_that_nobody_can_judge_refuses_the_choice(newer: Backup) -> None:
    old = make_backup("ancient", at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(BackupUnusable, match="nobody can tell whether x"):
        choice(old, newer)
    assert choice(OLD, newer, latest_of="nightly").name == "nightly-1"


def test_a_backup_of_another_installation_is_not_meant() -> None:
    assert choice(OLD, make_backup("x", at=ago(days=1), ours=False)).name == "nightly-1"


def test_backups_of_another_installation_are_taken_only_when_it_is_named() -> None:
    theirs = make_backup("x", manifest=make_summary("x", installation="theirs"), ours=False)
    assert choice(OLD, theirs, from_installation="theirs").name == "x"
    topology, manifest = make_topology(), make_manifest(installation="theirs")
    demand_origin(manifest, restore_request(from_installation="theirs"), topology)
    with pytest.raises(TopologyMismatch, match="from_installation='theirs'"):
        demand_origin(manifest, restore_request(), topology)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"latest_of": "nightly-1"}, "nightly-1", id="prefix"),
        pytest.param({"before": ago(days=2).isoformat()}, "nightly-2", id="at-that-time"),
        pytest.param({"before": ago(days=2.5).isoformat()}, "nightly-1", id="before-it"),
        pytest.param({"latest_of": "weekly"}, None, id="nothing-of-that-name"),
        pytest.param({"before": "2020-01-01T00:00:00Z"}, None, id="nothing-so-old"),
    ],
)
def test_the_choice_is_narrowed_by_name_and_by_time(
    asked: dict[str, Any], expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(BackupNotFound):
            choice(OLD, NEW, **asked)
        return
    assert choice(OLD, NEW, **asked).name == expected


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param(["shop.orders"], "both", id="one"),
        pytest.param(["shop.names", "shop.o*"], "both", id="all-of-them-at-once"),
        pytest.param(["shop.names"], "names-only", id="a-partial-backup-will-do"),
    ],
)
def test_with_tables_the_newest_that_holds_them_all_whole_is_taken(
    tables: list[str], expected: str
) -> None:
    found = choice(
        holding("both", "shop.orders", "shop.names", days=3),
        holding("names-only", "shop.names", days=2, scope=Scope.PARTIAL, selection=("shop.names",)),
        holding("month", "shop.orders", days=1, scope=Scope.PARTIAL, selection=("202601",)),
        tables=tables,
    )
    assert found.name == expected


@pytest.mark.parametrize(("rows", "expected"), [(0, "older"), (1, "emptied")])
def test_of_a_suspect_backup_tables_are_taken_only_with_rows(rows: int, expected: str) -> None:
    older = holding("older", "shop.orders", days=2)
    suspect = holding("emptied", "shop.orders", rows=rows)
    found = choice(older, replace(suspect, suspect="a table is gone"), tables=["shop.orders"])
    assert found.name == expected


def test_partitions_are_taken_from_a_backup_of_partitions_too() -> None:
    month = holding("month", "shop.orders", scope=Scope.PARTIAL, selection=("202601",))
    assert choice(month, tables=["shop.orders"], partitions=["202601"]).name == "month"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param({"backup": "latest", "before": "2026-01-01T00:00:00"}, "zone", id="naive"),
        pytest.param({"backup": "latest", "before": "yesterday"}, "zone", id="no-time"),
        pytest.param({"backup": "nightly-1", "latest_of": "nightly"}, "latest", id="named"),
        pytest.param({"backup": "latest", "latest_of": "a b"}, "usable", id="prefix"),
    ],
)
def test_a_malformed_choice_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        restore_request(**asked)


def test_a_partial_backup_holds_what_a_pattern_means_only_if_it_was_asked_for_as_much() -> None:
    full = holding("full", "shop.orders", "shop.events", days=3)
    narrow = holding(
        "narrow", "shop.orders", days=2, scope=Scope.PARTIAL, selection=("shop.orders",)
    )
    assert choice(full, narrow, tables=["shop.*"]).name == "full"
    assert choice(full, narrow, tables=["shop.orders"]).name == "narrow"
    wide = holding("wide", "shop.orders", scope=Scope.PARTIAL, selection=("shop.*",))
    assert choice(full, wide, tables=["shop.ord*"]).name == "wide"


def test_a_backup_of_another_cluster_of_the_installation_is_not_taken_for_ours() -> None:
    other = make_manifest(cluster="other")
    with pytest.raises(TopologyMismatch, match="the cluster other of demo, not of main"):
        demand_origin(other, restore_request(), make_topology())
    demand_origin(other, restore_request(from_installation="demo"), make_topology())
