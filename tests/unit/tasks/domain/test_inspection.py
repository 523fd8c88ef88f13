"""Inspections: what forbids a replica to take part, each finding with its place."""

from typing import Any

import pytest

from tasks.domain.inspection import unfit
from tests.builders import make_inspection, make_observation, make_table


def findings(**fields: Any) -> tuple[str, ...]:
    seen = make_inspection(**fields)
    return unfit(seen, seen.tables)


def test_a_healthy_replica_is_fit() -> None:
    assert findings() == ()


@pytest.mark.parametrize("version", ["2.5.0", "2.6.39", "v2.7.1-rc1", "3.0.0", "10.0.0"])
def test_a_sidecar_that_obeys_overrides_is_new_enough(version: str) -> None:
    assert findings(sidecar_version=version) == ()


@pytest.mark.parametrize("version", ["2.4.35", "1.6.2", "v2.4.99"])
def test_an_old_sidecar_is_refused(version: str) -> None:
    assert "is too old" in findings(sidecar_version=version)[0]


@pytest.mark.parametrize("version", ["", "unknown", "latest"])
def test_a_build_without_a_version_is_judged_by_what_it_does(version: str) -> None:
    assert findings(sidecar_version=version) == ()


@pytest.mark.parametrize("engine", ["Replicated", "Shared", "MaterializedPostgreSQL", "Lazy"])
def test_a_database_engine_that_nobody_proved_is_refused_by_name(engine: str) -> None:
    assert (
        f"database shop has the engine {engine}" in findings(database_engines={"shop": engine})[0]
    )


def test_a_database_that_is_not_asked_for_does_not_hinder() -> None:
    assert findings(database_engines={"shop": "Atomic", "other": "Replicated"}) == ()


def test_a_table_on_an_object_disk_is_refused_by_name() -> None:
    assert "shop.orders lies on an object-store" in findings(object_disk_tables=("shop.orders",))[0]
    assert findings(object_disk_tables=("shop.others",)) == ()


def test_a_shared_merge_tree_is_refused_by_name() -> None:
    tables = (make_table(engine="SharedMergeTree"),)
    assert "unsupported engine SharedMergeTree" in findings(tables=tables)[0]


def test_two_tables_that_a_sidecar_cannot_tell_apart_are_refused() -> None:
    tables = (make_table("b.c", database="a"), make_table("c", database="a.b"))
    assert "two tables are both called a.b.c" in findings(tables=tables)[0]


def test_a_busy_sidecar_is_told_with_what_it_does() -> None:
    assert "at work for somebody else: create x" in findings(busy_with="create x")[0]


def test_every_finding_says_where() -> None:
    found = findings(busy_with="create x", sidecar_version="2.4.0")
    assert len(found) == 2
    assert all(finding.startswith("shard 0, replica chi-demo-main-0-0: ") for finding in found)


def test_a_sight_finds_replicas_by_shard_and_by_name() -> None:
    observed = make_observation(make_inspection(0), make_inspection(1, 0), make_inspection(1, 1))
    assert [seen.replica for seen in observed.of_shard("1")] == [
        "chi-demo-main-1-0",
        "chi-demo-main-1-1",
    ]
    assert observed.of("chi-demo-main-1-1").shard == "1"
