"""Requests: refused whole, in a sentence, before anything is sent."""

from typing import Any

import pytest

from tasks.domain.errors import InvalidRequest
from tasks.domain.requests import BackupOptions, Scope
from tests.builders import backup_request, restore_request
from tests.unit.tasks.domain.hostile import HOSTILE, UNSPEAKABLE


@pytest.mark.parametrize(
    ("asked", "scope"),
    [
        pytest.param({}, Scope.FULL, id="everything"),
        pytest.param({"tables": ["shop.*"]}, Scope.PARTIAL, id="tables"),
        pytest.param({"partitions": ["202601"]}, Scope.PARTIAL, id="partitions"),
        pytest.param({"schema_only": True}, Scope.SCHEMA, id="schema"),
        pytest.param({"schema_only": True, "tables": ["shop.*"]}, Scope.SCHEMA, id="some-schema"),
    ],
)
def test_the_scope_says_how_much_a_backup_holds(asked: dict[str, Any], scope: Scope) -> None:
    assert backup_request(**asked).scope is scope


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_at_both_doors(name: str) -> None:
    with pytest.raises(InvalidRequest, match="backup_name: "):
        backup_request(backup_name=name)
    with pytest.raises(InvalidRequest, match="backup: "):
        restore_request(backup=name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_base_or_schedule_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="incremental: "):
        backup_request(incremental=name)
    if name:
        with pytest.raises(InvalidRequest, match="schedule: "):
            backup_request(schedule=name)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        pytest.param({"schema_only": True, "incremental": "auto"}, "no rows", id="no-rows"),
        pytest.param({"backup_name": "b", "incremental": "b"}, "base of itself", id="itself"),
        pytest.param({"incremental": "b.manifest"}, "reserved", id="companion"),
        pytest.param({"options": {"full_every_count": 0}}, "full_every_count", id="count"),
        pytest.param({"options": {"full_every_hours": 0}}, "full_every_hours", id="hours"),
    ],
)
def test_an_increment_that_makes_no_sense_is_refused(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        backup_request(**asked)


def test_a_backup_may_bear_the_word_for_no_base() -> None:
    assert backup_request(backup_name="none").base is None


@pytest.mark.parametrize("pattern", UNSPEAKABLE)
def test_a_hostile_pattern_is_refused_at_both_doors(pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="tables: table pattern"):
        backup_request(tables=[f"shop.{pattern}"])
    with pytest.raises(InvalidRequest, match="accept_loss: table pattern"):
        restore_request(overwrite=True, accept_loss=[f"shop.{pattern}"])


@pytest.mark.parametrize(
    "partition", ["202601", "all", "2026-01-01", "0cc175b9c0f1b6a8", "shop.orders:202601"]
)
def test_a_partition_is_named_by_its_id(partition: str) -> None:
    assert backup_request(partitions=[partition]).partitions == (partition,)


@pytest.mark.parametrize(
    "partition",
    [
        *HOSTILE[:3],
        pytest.param("(1,'a')", id="tuple"),
        pytest.param("shop.orders:('2026-02-01')", id="tuple-of-a-table"),
        pytest.param("202601,202602", id="list"),
        pytest.param("shop.*:202601", id="glob"),
        pytest.param("orders:202601", id="no-database"),
        pytest.param("202601 --rm", id="flag"),
    ],
)
def test_a_partition_that_would_hang_the_sidecar_is_refused(partition: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a partition id"):
        backup_request(partitions=[partition])


def test_definitions_without_rows_have_no_partitions() -> None:
    with pytest.raises(InvalidRequest, match="partitions contradict it"):
        backup_request(schema_only=True, partitions=["202601"])


def test_losses_are_accepted_only_where_something_is_overwritten() -> None:
    with pytest.raises(InvalidRequest, match="it needs overwrite"):
        restore_request(accept_loss=["shop.orders"])


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        backup_request(backup_name="-x", partitions=["(1)"], colour="red")
    told = str(refused.value)
    assert all(field in told for field in ("backup_name: ", "partitions: ", "colour: "))
    assert "\n" not in told


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"concurrency": 0}, id="no-width"),
        pytest.param({"lease_seconds": 1}, id="lease-too-short-to-renew"),
        pytest.param({"action_timeout_seconds": 0}, id="no-time"),
        pytest.param({"max_upload_bytes_per_second": 0}, id="no-bandwidth"),
        pytest.param({"colour": "red"}, id="unknown"),
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"options\.{next(iter(wrong))}: "):
        backup_request(options=wrong)


def test_a_rerun_may_be_more_patient_than_the_first_attempt() -> None:
    patient = backup_request(options=BackupOptions(busy_timeout_seconds=7200))
    assert patient.without_options() == backup_request().without_options()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"backup_name": "other"}, id="name"),
        pytest.param({"tables": ["shop.*"]}, id="tables"),
        pytest.param({"schema_only": True}, id="schema"),
        pytest.param({"replica_selection": "AllReplicas"}, id="replicas"),
        pytest.param({"options": {"rbac": True}}, id="users"),
        pytest.param({"options": {"configs": True}}, id="configuration"),
        pytest.param({"options": {"named_collections": True}}, id="named-collections"),
    ],
)
def test_a_request_for_something_else_is_another_request(other: dict[str, Any]) -> None:
    assert backup_request(**other).without_options() != backup_request().without_options()
