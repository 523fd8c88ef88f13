"""Which point a drill takes by itself: one that counts, at either end of the catalogue."""

from datetime import timedelta

import pytest

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.errors import BackupNotFound
from tasks.domain.manifest_summary import ManifestSummary
from tasks.domain.names import LATEST, OLDEST
from tasks.domain.requests import Scope
from tasks.domain.verify_choice import point_of
from tests.builders import NOW, make_manifest, make_replica_record


def make_point(name: str, *, age: int, scope: Scope = Scope.FULL, **fields: object) -> Backup:
    frozen = NOW - timedelta(days=age)
    record = make_replica_record(frozen_from=frozen, frozen_until=frozen)
    summary = ManifestSummary.of(make_manifest(record, backup_name=name, scope=scope))
    defaults: dict[str, object] = {
        "name": name,
        "state": State.COMPLETE,
        "why": "",
        "copies": (),
        "manifest": summary,
        "ours": True,
    }
    return Backup(**(defaults | fields))  # type: ignore[arg-type]


CATALOGUE = Catalogue(
    (
        make_point("lost", age=9, state=State.INCOMPLETE),
        make_point("a", age=8),
        make_point("b", age=7),
        make_point("c", age=6),
        make_point("some", age=5, scope=Scope.PARTIAL),
        make_point("theirs", age=4, ours=False),
        make_point("empty", age=3, suspect="no rows"),
        make_point("half-seen", age=2, state=State.UNKNOWN),
    )
)


@pytest.mark.parametrize(("which", "name"), [(LATEST, "c"), (OLDEST, "a")], ids=[LATEST, OLDEST])
def test_a_point_that_counts_is_chosen(which: str, name: str) -> None:
    chosen, notes = point_of(CATALOGUE, which)
    assert chosen == name
    assert notes[0].startswith(f"{name} is the {which} recovery point")


def test_what_nobody_can_tell_of_is_passed_over_and_told() -> None:
    _, notes = point_of(CATALOGUE, LATEST)
    assert [note for note in notes if "half-seen" in note]
    assert not [note for note in point_of(CATALOGUE, OLDEST)[1] if "half-seen" in note]


def test_where_nothing_counts_nothing_is_chosen() -> None:
    with pytest.raises(BackupNotFound, match="no recovery point"):
        point_of(Catalogue(CATALOGUE.backups[4:]), LATEST)
