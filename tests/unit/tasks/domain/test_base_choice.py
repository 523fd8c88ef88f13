"""Bases: the newest whole one of the same kind is built on; everything else is refused in words."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tasks.domain.base_choice import Base, base_for
from tasks.domain.catalogue_merge import catalogue_of
from tasks.domain.errors import PreflightFailed
from tasks.domain.inspection import Inspection
from tasks.domain.journal import Event
from tasks.domain.listing import Listed
from tasks.domain.look import Look
from tasks.domain.manifest import Manifest
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import manifest_name
from tasks.domain.requests import Scope
from tests.builders import (
    BACKUP,
    NOW,
    OPERATION,
    backup_request,
    make_backup_plan,
    make_entry,
    make_inspection,
    make_journal,
    make_listed,
    make_listing,
    make_manifest,
    make_observation,
    make_replica_record,
    make_topology,
    make_wish,
    replica_name,
)

HOUR = 3600
MADE = 1_700_000_000
NEXT = "next"
BROKEN = "broken (can't stat metadata.json)"
MANY = {"full_every_count": 100}
ORDERS = {"scope": Scope.PARTIAL, "request": {"tables": ["shop.orders"]}}


def listed(name: str = BACKUP, *, hours: int = 0, base: str = "", **fields: Any) -> list[Listed]:
    """List a backup with its manifest, made so many hours after the first one."""
    made = {"created_at": MADE + hours * HOUR}
    return [
        make_listed(name, required=base, **(made | fields)),
        make_listed(manifest_name(name), **made),
    ]


def manifest(name: str = BACKUP, *, hours: int = 0, **fields: Any) -> Manifest:
    """Make a manifest frozen so many hours after the first one, which is a hundred hours old."""
    at = NOW - timedelta(hours=100 - hours)
    records = [make_replica_record(n, frozen_from=at, frozen_until=at) for n in range(2)]
    return make_manifest(*fields.pop("records", records), backup_name=name, **fields)


class Seen:
    """Two shards, each with the same rows, and what their catalogue makes of them."""

    def __init__(
        self, rows: Sequence[Listed], manifests: Sequence[Manifest], **fields: Any
    ) -> None:
        listing = make_listing(*rows)
        made = {row.name: row.created_at for row in rows}
        known: Mapping[str, Any] = {
            one.backup_name: (made.get(manifest_name(one.backup_name), 0), ManifestSummary.of(one))
            for one in manifests
        }
        self.inspections = tuple(
            make_inspection(shard, listing=listing, **fields) for shard in range(2)
        )
        looks = [
            Look(shard=str(n), replica=replica_name(n), listing=listing, known=known)
            for n in range(2)
        ]
        self.catalogue = catalogue_of(make_topology(), looks)

    def base(self, incremental: str = "auto", *, seen: Inspection | None = None, **asked: Any):
        request = backup_request(incremental=incremental, **asked)
        wish = make_wish(request, backup_name=NEXT, catalogue=self.catalogue)
        return base_for(seen or self.inspections[0], wish)


def chain(length: int) -> Seen:
    """Make a full backup and its increments, one each hour."""
    names = [f"b{number}" for number in range(length)]
    rows = [
        row
        for number, name in enumerate(names)
        for row in listed(name, hours=number, base=names[number - 1] if number else "")
    ]
    return Seen(rows, [manifest(name, hours=number) for number, name in enumerate(names)])


def test_the_newest_whole_backup_is_built_on() -> None:
    found = chain(3).base(options=MANY)
    assert found == Base(name="b2", reason="the newest usable one")
    assert found.sentence == "as an increment of b2"


def test_without_a_wish_for_an_increment_nothing_is_built_on() -> None:
    assert chain(3).base("none") == Base()
    assert Base().sentence == ""


def test_with_no_earlier_backup_the_first_one_is_full_and_says_so() -> None:
    assert Seen([], []).base().sentence == f"in full: {replica_name()} lists no earlier backup"


UNUSABLE = [
    pytest.param(listed(desc=BROKEN), {}, "is listed as broken", id="broken"),
    pytest.param(listed(base="gone"), {}, "gone is not listed remotely", id="chain-cut"),
    pytest.param(listed(base=BACKUP), {}, f"comes back to {BACKUP}", id="chain-in-a-ring"),
    pytest.param(listed()[:1], {}, "it has no manifest", id="no-manifest"),
    pytest.param(listed(), None, "its manifest cannot be read", id="manifest-unread"),
    pytest.param(listed(), {"installation": "other"}, "is of other", id="other-installation"),
    pytest.param(listed(), {"cluster": "side"}, "cluster side", id="other-cluster"),
    pytest.param(listed(), {"scope": Scope.SCHEMA}, "definitions only", id="schema-only"),
    pytest.param(
        listed(),
        {"records": [make_replica_record(0, tables=()), make_replica_record(1)]},
        "holds nothing of shard 0",
        id="no-table-of-the-shard",
    ),
]


@pytest.mark.parametrize(("rows", "fields", "why"), UNUSABLE)
def test_what_cannot_be_restored_is_never_built_on(
    rows: list[Listed], fields: dict[str, Any] | None, why: str
) -> None:
    manifests = [] if fields is None else [manifest(**fields)]
    found = Seen(rows, manifests).base()
    assert found.name == ""
    assert why in found.sentence


@pytest.mark.parametrize(
    ("rows", "fields", "why"), [case for case in UNUSABLE if case.id != "manifest-unread"]
)
def test_a_named_base_that_is_unusable_is_refused_by_name_with_the_reason(
    rows: list[Listed], fields: dict[str, Any] | None, why: str
) -> None:
    seen = Seen(rows, [] if fields is None else [manifest(**fields)])
    assert why in seen.base(BACKUP).refused
    with pytest.raises(PreflightFailed, match=f"{BACKUP} cannot be the base") as refused:
        make_backup_plan(
            backup_request(incremental=BACKUP),
            observed=make_observation(*seen.inspections),
            catalogue=seen.catalogue,
            backup_name=NEXT,
        )
    assert why in str(refused.value)


def test_a_base_that_nobody_lists_is_refused() -> None:
    assert "nobody lists nosuch" in chain(1).base("nosuch").refused


def test_a_named_base_may_wait_for_its_manifest_to_be_read() -> None:
    assert Seen(listed(), []).base(BACKUP).name == BACKUP


@pytest.mark.parametrize(
    ("fields", "asked", "why"),
    [
        pytest.param(
            {"request": {"schedule": "weekly"}}, {}, "to the schedule weekly", id="of-a-schedule"
        ),
        pytest.param({}, {"schedule": "nightly"}, "to no schedule", id="of-none"),
        pytest.param(ORDERS, {}, "it holds only shop.orders", id="partial"),
        pytest.param(ORDERS, {"tables": ["shop.items"]}, "only shop.orders", id="other-tables"),
    ],
)
def test_what_is_pruned_by_other_rules_is_built_on_only_when_named(
    fields: dict[str, Any], asked: dict[str, Any], why: str
) -> None:
    seen = Seen(listed(), [manifest(**fields)])
    assert why in seen.base(**asked).sentence
    assert seen.base(BACKUP, **asked).name == BACKUP


def test_an_older_base_is_built_on_where_a_newer_one_is_unusable() -> None:
    rows = [*listed("old"), *listed("torn", hours=1, base="gone")]
    assert Seen(rows, [manifest("old"), manifest("torn", hours=1)]).base().name == "old"


def test_the_newest_is_told_by_when_it_was_frozen_since_clocks_of_sidecars_differ() -> None:
    rows = [*listed("old", hours=9), *listed("new", hours=1)]
    assert Seen(rows, [manifest("old"), manifest("new", hours=5)]).base().name == "new"


@pytest.mark.parametrize(
    "fields",
    [pytest.param({}, id="a-full-one"), pytest.param(ORDERS, id="one-of-the-same-tables")],
)
def test_a_partial_backup_builds_on_what_holds_its_tables(fields: dict[str, Any]) -> None:
    found = Seen(listed(), [manifest(**fields)]).base(tables=["shop.orders"])
    assert found.name == BACKUP


@pytest.mark.parametrize(
    ("options", "base"),
    [
        pytest.param({}, "", id="a-week-of-nights-by-default"),
        pytest.param({"full_every_count": 7}, "", id="count-reached"),
        pytest.param({"full_every_count": 8}, "b6", id="count-not-reached"),
        pytest.param({"full_every_hours": 100}, "", id="old"),
        pytest.param({"full_every_hours": 101}, "b6", id="young"),
        pytest.param({"full_every_count": 8, "full_every_hours": 100}, "", id="either"),
    ],
)
def test_a_full_backup_is_due_by_the_length_of_the_chain_or_by_its_age(
    options: dict[str, int], base: str
) -> None:
    found = chain(7).base(options=options)
    assert found.name == base
    assert base or "a full one is due" in found.sentence


def test_a_chain_that_was_named_may_grow() -> None:
    assert chain(9).base("b8").name == "b8"


def test_a_rerun_keeps_the_base_of_its_first_attempt() -> None:
    """The first upload may have begun: parts of two bases in one backup would be a mixture."""
    begun = make_journal(make_entry(Event.BASE, NEXT, payload="b0", operation_id=OPERATION))
    seen = chain(3)
    assert seen.base(seen=make_inspection(journal=begun)).name == "b0"


def test_a_rerun_that_began_in_full_stays_full() -> None:
    begun = make_journal(make_entry(Event.BASE, NEXT, payload="", operation_id=OPERATION))
    assert chain(3).base(seen=make_inspection(journal=begun)).name == ""


def test_a_base_that_another_replica_stored_saves_less_and_says_so() -> None:
    sibling = make_inspection(0, 1, listing=chain(1).inspections[0].listing)
    found = chain(1).base(seen=sibling)
    assert (found.name, found.stored_by) == ("b0", replica_name(0, 0))
    assert "less may be saved" in found.sentence


def pair_plan(first: Mapping[str, Any], second: Mapping[str, Any], *, stored: int) -> Any:
    """Plan an increment on one shard of two replicas, of which `stored` stored the base."""
    pair = [make_inspection(0, 0, **first), make_inspection(0, 1, **second)]
    topology = make_topology(shards=1, replicas=2)
    record = make_replica_record(0, stored)
    known = {"base": (MADE, ManifestSummary.of(make_manifest(record, backup_name="base")))}
    looks = [
        Look(shard="0", replica=seen.replica, listing=seen.listing, known=known) for seen in pair
    ]
    return make_backup_plan(
        backup_request(incremental="auto"),
        topology=topology,
        observed=make_observation(*pair),
        catalogue=catalogue_of(topology, looks),
    ).replicas[0]


SHARED = {"listing": make_listing(*listed("base"))}


def test_the_replica_that_stored_the_base_is_preferred_and_the_reason_says_so() -> None:
    plan = pair_plan(SHARED, SHARED, stored=1)
    assert (plan.replica, plan.base.name) == (replica_name(0, 1), "base")
    assert "it stored base" in plan.reason


def test_with_a_path_of_its_own_only_the_holder_can_build_on_the_base() -> None:
    plan = pair_plan({"listing": make_listing(*listed("other"))}, SHARED, stored=1)
    assert (plan.replica, plan.base.stored_by) == (replica_name(0, 1), "")


def test_a_healthy_replica_is_better_than_one_with_the_base() -> None:
    plan = pair_plan(SHARED, {**SHARED, "busy_with": "create x"}, stored=1)
    assert (plan.replica, plan.base.stored_by) == (replica_name(0, 0), replica_name(0, 1))


def test_where_a_full_backup_is_made_though_an_increment_was_wanted_a_note_says_why() -> None:
    plan = make_backup_plan(backup_request(incremental="auto"))
    assert [note for note in plan.notes if "in full: " in note] == [
        f"shard {shard}, replica {replica_name(shard)}: in full: {replica_name(shard)} lists no "
        "earlier backup"
        for shard in range(2)
    ]
