"""Coverage: rows that nobody could bring back are named, and what changed since a point."""

from collections.abc import Iterable
from typing import Any

import pytest

from tasks.domain.catalogue import Catalogue
from tasks.domain.catalogue_merge import catalogue_of
from tasks.domain.coverage import Coverage, coverage_of
from tasks.domain.look import Look
from tasks.domain.manifest import Manifest
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import manifest_name
from tasks.domain.requests import Scope
from tasks.domain.tables import Table
from tests.builders import (
    BACKUP,
    make_inspection,
    make_listed,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    make_table,
    make_topology,
    replica_name,
)

PAIR = make_topology(shards=1, replicas=2)
SHARED = make_table("shared", engine="ReplicatedMergeTree")
LOCAL, NEW = make_table("local"), make_table("new")
MEMORY = make_table("memory", engine="Memory")
FIRST, SECOND = replica_name(0, 0), replica_name(0, 1)


def point(*tables: Table, **fields: Any) -> Manifest:
    """Make a point of one shard, stored by its first replica."""
    return make_manifest(make_replica_record(0, tables=tables), **fields)


def catalogue(*points: Manifest, unread: Iterable[str] = ()) -> Catalogue:
    names = [*(one.backup_name for one in points), *unread]
    rows = [row for n in names for row in (make_listed(n), make_listed(manifest_name(n)))]
    known = {one.backup_name: (rows[0].created_at, ManifestSummary.of(one)) for one in points}
    look = Look(shard="0", replica=FIRST, listing=make_listing(*rows), known=known)
    return catalogue_of(PAIR, [look])


def covered(
    first: Iterable[Table], second: Iterable[Table] = (), *points: Manifest, **fields: Any
) -> Coverage:
    seen = [make_inspection(0, n, tables=tuple(own)) for n, own in enumerate((first, second))]
    return coverage_of(make_observation(*seen), catalogue(*points), **fields)


def test_rows_that_a_point_holds_are_covered() -> None:
    found = covered([SHARED, LOCAL], [SHARED], point(SHARED, LOCAL))
    assert found == Coverage(newest=BACKUP)


def test_a_table_younger_than_every_point_is_named_and_is_a_change() -> None:
    found = covered([LOCAL, NEW], (), point(LOCAL))
    assert found.unheld == (f"shop.new on {FIRST}: 10 rows of its own",)
    assert found.drift == ("shop.new was created (shard 0)",)


def test_local_rows_of_a_replica_that_no_point_stored_are_named() -> None:
    found = covered([SHARED, LOCAL], [SHARED, LOCAL], point(SHARED, LOCAL))
    assert found.unheld == (f"shop.local on {SECOND}: 10 rows of its own",)


def test_replicated_rows_in_no_point_are_named_once_for_their_shard() -> None:
    assert covered([SHARED], [SHARED]).unheld == ("shop.shared on shard 0: 10 rows",)


def test_rows_that_no_sidecar_keeps_are_named_though_a_point_knows_the_table() -> None:
    found = covered([MEMORY], (), point(MEMORY))
    told = f"shop.memory on {FIRST}: 10 rows of a Memory table, which a sidecar does not keep"
    assert found.unheld == (told,)


def test_a_table_without_rows_lacks_nothing() -> None:
    assert covered([make_table("empty", rows=0)]).unheld == ()


@pytest.mark.parametrize(
    ("fields", "held"),
    [
        pytest.param({"scope": Scope.SCHEMA}, False, id="definitions-only"),
        pytest.param(
            {"scope": Scope.PARTIAL, "request": {"partitions": ["202601"]}}, False, id="a-partition"
        ),
        pytest.param(
            {"scope": Scope.PARTIAL, "request": {"partitions": ["shop.local:202601"]}},
            False,
            id="a-partition-of-a-table",
        ),
        pytest.param(
            {"scope": Scope.PARTIAL, "request": {"tables": ["shop.local"]}}, True, id="whole-tables"
        ),
        pytest.param({"installation": "other"}, False, id="of-another-installation"),
    ],
)
def test_only_a_point_with_whole_tables_of_this_cluster_holds_rows(
    fields: dict[str, Any], *, held: bool
) -> None:
    assert (covered([LOCAL], (), point(LOCAL, **fields)).unheld == ()) is held


def test_what_is_made_right_now_holds_rows_and_is_not_what_changes_are_told_since() -> None:
    made = ManifestSummary.of(point(LOCAL, NEW, backup_name="now"))
    found = covered([LOCAL, NEW], (), point(LOCAL), made=made)
    assert found == Coverage(newest=BACKUP, drift=("shop.new was created (shard 0)",))


def test_tables_that_went_and_tables_that_were_redefined_are_changes() -> None:
    other = make_table("local", definition="CREATE TABLE shop.local (id UInt64, more String)")
    found = covered([other], (), point(LOCAL, NEW))
    assert found.drift == (
        "shop.local was defined anew (shard 0)",
        "shop.new was dropped (shard 0)",
    )


def test_a_shard_that_does_not_answer_dropped_nothing() -> None:
    observed = make_observation(make_inspection(1, tables=(LOCAL,)))
    assert coverage_of(observed, catalogue(point(NEW))).drift == ()


def test_what_nobody_has_read_yet_is_told() -> None:
    observed = make_observation(make_inspection(0, tables=()))
    assert coverage_of(observed, catalogue(unread=["old"])).unread == ("old",)
