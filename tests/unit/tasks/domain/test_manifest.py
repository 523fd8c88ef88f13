"""Manifests: what was written is read back; what is corrupt or newer is refused, never guessed."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.domain.errors import BackupUnusable
from tasks.domain.fingerprint import Fingerprint, Part
from tasks.domain.manifest import FORMAT, Manifest, ReplicaRecord, TableRecord
from tasks.domain.requests import Scope
from tasks.domain.tables import TableClass
from tests.builders import (
    make_fingerprint,
    make_manifest,
    make_replica_record,
    make_table,
    make_table_record,
)

texts = st.text(max_size=12)
counts = st.integers(min_value=0, max_value=2**63)
moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - given its zone below
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
parts = st.builds(
    Part,
    name=texts,
    partition_id=texts,
    rows=counts,
    size_bytes=counts,
    hash=st.text("0123456789abcdef", min_size=32, max_size=32),
)
fingerprints = st.lists(parts, max_size=3).map(Fingerprint.of)
tables = st.builds(
    TableRecord,
    database=texts,
    name=texts,
    engine=texts,
    definition=texts,
    rows=st.none() | counts,
    fingerprint=st.none() | fingerprints,
)
replicas = st.builds(
    ReplicaRecord,
    shard=texts,
    replica=texts,
    macros=st.dictionaries(texts, texts, max_size=2),
    tables=st.lists(tables, max_size=3).map(tuple),
    functions=st.dictionaries(texts, texts, max_size=2),
    frozen_from=moments,
    frozen_until=moments,
    size_bytes=counts,
)
manifests = st.builds(
    Manifest,
    backup_name=texts,
    operation_id=texts,
    installation=texts,
    cluster=texts,
    scope=st.sampled_from(Scope),
    request=st.dictionaries(texts, st.none() | st.booleans() | texts, max_size=3),
    shards=st.dictionaries(texts, st.lists(texts, max_size=2).map(tuple), max_size=3),
    replicas=st.lists(replicas, min_size=1, max_size=3).map(tuple),
    uncovered=st.lists(texts, max_size=2).map(tuple),
)


def altered(**changes: Any) -> str:
    return json.dumps(json.loads(make_manifest().to_text()) | changes)


@settings(max_examples=15)
@given(manifests)
def test_what_was_written_is_read_back(manifest: Manifest) -> None:
    assert Manifest.from_text(manifest.to_text(), origin="b") == manifest


@settings(max_examples=15)
@given(manifests)
def test_writing_it_again_gives_the_same_text(manifest: Manifest) -> None:
    text = manifest.to_text()
    assert Manifest.from_text(text, origin="b").to_text() == text


@given(st.text() | st.lists(st.none() | st.text()).map(json.dumps) | st.just('{"format": 1}'))
def test_a_foreign_text_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BackupUnusable, match="manifest of weekly is corrupt"):
        Manifest.from_text(text, origin="weekly")


@given(st.data())
def test_any_character_changed_is_refused(data: st.DataObject) -> None:
    text = make_manifest().to_text()
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    letter = data.draw(
        st.characters(codec="ascii").filter(lambda c: c not in text[place] + " \t\n\r")
    )
    with pytest.raises(BackupUnusable):
        Manifest.from_text(text[:place] + letter + text[place + 1 :], origin="weekly")


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_manifest_is_refused(cut: int) -> None:
    with pytest.raises(BackupUnusable, match="corrupt"):
        Manifest.from_text(make_manifest().to_text()[:cut], origin="weekly")


def test_a_newer_manifest_is_refused_by_its_format() -> None:
    with pytest.raises(
        BackupUnusable, match=f"has format {FORMAT + 1}; this version reads {FORMAT}"
    ):
        Manifest.from_text(altered(format=FORMAT + 1), origin="weekly")


def test_a_manifest_without_what_is_needed_names_every_missing_field() -> None:
    whole = make_manifest().model_copy(update={"replicas": ({"shard": "0"},)})
    with pytest.warns(UserWarning, match="serialized"):
        text = whole.to_text()
    with pytest.raises(BackupUnusable, match=r"replicas\.0\.tables: Field required"):
        Manifest.from_text(text, origin="weekly")


def test_fields_of_a_later_version_are_ignored() -> None:
    class Later(Manifest):
        mood: str = "fine"

    later = Later(**make_manifest().model_dump(), mood="better")
    assert Manifest.from_text(later.to_text(), origin="weekly") == make_manifest()


def test_rows_are_those_of_all_fingerprints() -> None:
    record = make_table_record(fingerprint=make_fingerprint("1_1_1_0", "1_2_2_0"))
    unknown = make_table_record(fingerprint=None)
    manifest = make_manifest(make_replica_record(0, tables=[]), make_replica_record(1)).model_copy(
        update={
            "replicas": (make_replica_record(0).model_copy(update={"tables": (record, unknown)}),)
        }
    )
    assert manifest.rows == 20


def test_size_is_that_of_all_replicas() -> None:
    assert make_manifest(make_replica_record(0), make_replica_record(1)).size_bytes == 2000


def test_a_recorded_table_keeps_its_class() -> None:
    record = make_table_record(make_table(engine="ReplicatedMergeTree"))
    assert record.table_class is TableClass.REPLICATED


def test_a_frozen_part_costs_the_manifest_few_characters() -> None:
    def text_of(parts: int) -> str:
        names = (f"202601_{number}_{number}_0" for number in range(parts))
        record = make_table_record(fingerprint=make_fingerprint(*names))
        replica = make_replica_record(0).model_copy(update={"tables": (record,)})
        return make_manifest(replica).to_text()

    assert len(text_of(1001)) - len(text_of(1)) < 30 * 1000


def test_a_manifest_that_names_a_table_of_our_own_is_refused() -> None:
    record = make_replica_record(0, tables=[make_table("operations", database="chops")])
    forged = make_manifest().model_copy(update={"replicas": (record,)})
    with pytest.raises(BackupUnusable, match=r"chops\.operations"):
        Manifest.from_text(forged.to_text(), origin="weekly")
