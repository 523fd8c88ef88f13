"""Names: what a sidecar would change, misread or die of is refused before anything is sent."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.errors import InvalidRequest
from tasks.domain.names import (
    checked_backup_name,
    checked_operation_id,
    default_backup_name,
    is_companion,
    manifest_name,
    probe_name,
    safety_name,
)
from tests.unit.tasks.domain.hostile import HOSTILE

words = st.text("abcXYZ019_-", min_size=1, max_size=12).filter(lambda word: word[0] != "-")
plain_names = st.lists(words, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_backup_name_is_refused(name: str) -> None:
    """Weak point 21: values of a form were pasted into shell and SQL."""
    with pytest.raises(InvalidRequest, match="backup name"):
        checked_backup_name(name)


@pytest.mark.parametrize("operation_id", [*HOSTILE, pytest.param("a.b", id="dot")])
def test_a_hostile_operation_id_is_refused(operation_id: str) -> None:
    with pytest.raises(InvalidRequest, match="operation id"):
        checked_operation_id(operation_id)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("latest", id="latest"),
        pytest.param("previous", id="previous"),
        pytest.param("pre-restore-op-1", id="safety-copy"),
        pytest.param("weekly.manifest", id="manifest"),
        pytest.param("weekly.probe3", id="probe"),
    ],
)
def test_a_name_with_a_meaning_of_its_own_is_reserved(name: str) -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        checked_backup_name(name)


@pytest.mark.parametrize("non_ascii", ["größe", "резерв", "備份", "a\u0661"])
def test_a_backup_name_is_plain_ascii(non_ascii: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_backup_name(non_ascii)


def test_a_backup_name_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert checked_backup_name("a" * 128) == "a" * 128
    with pytest.raises(InvalidRequest, match="129 characters"):
        checked_backup_name("a" * 129)


@pytest.mark.parametrize(("length", "accepted"), [(64, True), (65, False)])
def test_an_operation_id_has_at_most_64_characters(length: int, *, accepted: bool) -> None:
    if accepted:
        assert checked_operation_id("a" * length)
        return
    with pytest.raises(InvalidRequest):
        checked_operation_id("a" * length)


@given(plain_names)
def test_a_plain_name_is_kept_as_it_is(name: str) -> None:
    try:
        assert checked_backup_name(name) == name
    except InvalidRequest as refused:
        assert "reserved" in str(refused)  # noqa: PT017 - both ends are right


@given(st.text(max_size=30))
def test_whatever_passes_needs_no_quoting_anywhere(name: str) -> None:
    try:
        checked_backup_name(name)
    except InvalidRequest:
        return
    assert name.replace(".", "").replace("-", "").replace("_", "").isalnum()
    assert name.isascii()
    assert ".." not in name


def test_the_default_name_tells_the_installation_and_the_second() -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert default_backup_name("demo", moment) == "demo-20260203T040506Z"


def test_default_names_sort_by_time() -> None:
    moment = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    later = default_backup_name("demo", moment + timedelta(seconds=1))
    assert default_backup_name("demo", moment) < later


@given(plain_names, st.integers(min_value=0, max_value=99))
def test_companions_are_told_from_backups(name: str, number: int) -> None:
    assert is_companion(manifest_name(name))
    assert is_companion(probe_name(name, number))
    assert not is_companion(f"{name}-daily")


def test_nobody_can_ask_for_a_backup_under_the_name_of_a_safety_copy() -> None:
    with pytest.raises(InvalidRequest):
        checked_backup_name(safety_name("op-1"))
