"""Verifications, prunes and adoptions that broke off: only what was brought for a while goes."""

import pytest

from tasks.domain.journal import Event, Step
from tasks.domain.recovery import Interrupted, Remains, Way, recover
from tests.builders import (
    BACKUP,
    OPERATION,
    make_entry,
    make_journal,
    make_listed,
    make_listing,
    replica_name,
)

MANIFEST = f"{BACKUP}.manifest"


@pytest.mark.parametrize(
    ("intents", "goes"),
    [
        pytest.param([], [MANIFEST], id="reading-the-manifest"),
        pytest.param([Step.DOWNLOAD], [MANIFEST, BACKUP], id="downloading"),
        pytest.param([Step.DOWNLOAD, Step.DRILL], [MANIFEST, BACKUP], id="drilling"),
    ],
)
@pytest.mark.parametrize("silent", [{}, {"r": "no answer"}], ids=["all-answer", "one-is-silent"])
def test_only_local_copies_that_it_brought_go(
    intents: list[Step], goes: list[str], silent: dict[str, str]
) -> None:
    places = [(where, name) for where in ("local", "remote") for name in (BACKUP, MANIFEST)]
    entries = [make_entry(Event.INTENT, step, operation="verify") for step in intents]
    remains = Remains(
        shard="0",
        replica=replica_name(),
        journal=make_journal(*entries),
        listing=make_listing(*(make_listed(name, location=where) for where, name in places)),
    )
    seen = Interrupted(
        operation="verify", operation_id=OPERATION, name=BACKUP, remains=(remains,), silent=silent
    )
    (remedy,) = recover(seen)
    assert remedy.way is Way.UNDO
    assert remedy.delete == tuple(("local", copy) for copy in goes)


@pytest.mark.parametrize("operation", ["adopt", "prune"])
def test_what_only_marks_or_deletes_is_kept_as_it_stands(operation: str) -> None:
    entry = make_entry(Event.MANIFEST, BACKUP, operation=operation)
    listing = make_listing(make_listed(BACKUP), make_listed(MANIFEST))
    remains = Remains(
        shard="0", replica=replica_name(), journal=make_journal(entry), listing=listing
    )
    seen = Interrupted(operation=operation, operation_id=OPERATION, name=BACKUP, remains=(remains,))
    (remedy,) = recover(seen)
    assert (remedy.way, remedy.delete, remedy.manifest) == (Way.KEEP, (), None)
