"""The journal: intents and facts that an operation writes down on each replica before it acts.

Append-only rows of `chops.operations`. What an earlier attempt of the same operation did, and
whether another operation is under way, is read from here and from nowhere else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Event(StrEnum):
    """What a row says."""

    STARTED = "started"  # subject: the replica; payload: the request, and the lock it began under
    FINISHED = "finished"  # subject: the instance that wrote it; payload: how it left the tables
    STEP = "step"  # subject: the step that ended well on this replica
    INTENT = "intent"  # subject: the step that is about to begin
    BASE = "base"  # subject: a backup; payload: the one that it builds on here, empty: none
    FINGERPRINT = "fingerprint"  # payload: what was frozen
    IDENTITY = "identity"  # payload: tables that this operation made, with their identities
    REFUSED = "refused"  # subject: a backup; no tables could be made from its local copy
    MANIFEST = "manifest"  # subject: a backup; payload: its manifest, cached
    KNOWN = "known"  # subject: a backup; payload: the summary of its manifest, as it was read
    VERIFIED = "verified"  # subject: a backup; payload: what a verification found out
    DELETING = "deleting"  # subject: a backup that is about to be deleted; payload: which one
    DELETED = "deleted"  # subject: a backup or manifest that is seen to be gone; payload: bytes
    BROKEN = "broken"  # subject: a backup that is broken, as a prune saw first
    MENDED = "mended"  # subject: a backup that is sound, though it was broken or to be deleted
    HELD = "held"  # payload: why nothing may be deleted until a person says so
    RELEASED = "released"  # a person says so
    UNDONE = "undone"  # what the operation did here is taken back: a rerun starts afresh


class Step(StrEnum):
    """What an intent or a step is about; stored, so never renamed."""

    OVERRIDES = "overrides obeyed"
    CREATE = "create"
    UPLOAD = "upload"
    MANIFEST = "manifest"
    PLAN = "plan"
    SAFETY = "safety"
    DOWNLOAD = "download"
    DROP = "drop"
    SCHEMA = "schema"
    DATA = "data"
    CATCH_UP = "catch up"
    LATE = "late"
    DRILL = "drill"  # payload: the scratch databases that are about to be made
    UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFacts:
    """Under which lock an attempt began; `instance` tells attempts of one operation apart."""

    door: str
    instance: str
    generation: int
    lease_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row. `at` is the server's own clock, seconds since 1970."""

    at: int
    operation_id: str
    operation: str
    event: Event
    subject: str = ""
    payload: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Take a row of the table. Raises ValueError for one that no operation ever wrote."""
        entry = cls(**{**row, "event": Event(row["event"])})
        if entry.event is Event.STARTED:
            document = entry.document()
            if not isinstance(document, dict) or not isinstance(document.get("name"), str):
                message = "a start without a name"
                raise ValueError(message)
            entry.lock()
        return entry

    def document(self) -> Any:
        return json.loads(self.payload) if self.payload else None

    def lock(self) -> LockFacts | None:
        """Tell under which lock a start was written down; None where it does not say."""
        facts = (self.document() or {}).get("lock")
        try:
            return None if facts is None else LockFacts(**facts)
        except TypeError as error:
            message = "a start under a lock that is none"
            raise ValueError(message) from error


@dataclass(frozen=True, slots=True)
class Journal:
    """The rows of one replica, oldest first."""

    entries: tuple[Entry, ...]

    def of(self, operation_id: str) -> "Journal":
        """Keep the rows of one operation; of what it undid, only that it began and ended."""
        own = [entry for entry in self.entries if entry.operation_id == operation_id]
        undone = [i for i, entry in enumerate(own) if entry.event is Event.UNDONE]
        void = own[: undone[-1]] if undone else []
        frame = (entry for entry in void if entry.event in {Event.STARTED, Event.FINISHED})
        return Journal((*frame, *own[len(void) :]))

    def last(self, event: Event, subject: str | None = None) -> Entry | None:
        found = (
            entry
            for entry in reversed(self.entries)
            if entry.event is event and subject in (None, entry.subject)
        )
        return next(found, None)

    def name_of(self, operation_id: str) -> str | None:
        """Tell which backup the operation began; None where it did not begin here."""
        begun = self.of(operation_id).last(Event.STARTED)
        return None if begun is None else str(begun.document()["name"])

    def did(self, step: str) -> bool:
        return self.last(Event.STEP, step) is not None

    def left_open(self, step: str) -> bool:
        """Tell whether the last intent of `step` has no later end: its fate is unknown."""
        open_now = False
        for entry in self.entries:
            if entry.subject == step and entry.event is Event.INTENT:
                open_now = True
            if entry.subject == step and entry.event is Event.STEP:
                open_now = False
        return open_now

    def identities(self) -> dict[str, str]:
        """Tables that this journal's operations made: full name -> identity, the newest one."""
        made: dict[str, str] = {}
        for entry in self.entries:
            if entry.event is Event.IDENTITY:
                made |= entry.document()
        return made

    def deletions(self) -> frozenset[str]:
        """Name the backups whose deletion this journal's operations began."""
        return frozenset(e.subject for e in self.entries if e.event is Event.DELETING)

    def unfinished(self) -> tuple[Entry, ...]:
        """List the starts that no end followed."""
        open_starts: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.event is Event.STARTED:
                open_starts[entry.operation_id] = entry
            if entry.event is Event.FINISHED:
                open_starts.pop(entry.operation_id, None)
        return tuple(open_starts.values())


def begun_as_several(journal: Journal, *, instance: str) -> tuple[str, ...]:
    """Name the replicas as which one attempt began in this one journal: two are one server."""
    starts = (entry for entry in journal.entries if entry.event is Event.STARTED)
    names = {e.subject for e in starts if (lock := e.lock()) and lock.instance == instance}
    return tuple(sorted(names)) if len(names) > 1 else ()


def others_under_way(journals: Iterable[Journal], *, operation_id: str) -> tuple[Entry, ...]:
    """Unfinished operations of anybody else, one entry each, oldest first."""
    found: dict[str, Entry] = {}
    for journal in journals:
        for entry in journal.unfinished():
            if entry.operation_id != operation_id:
                found.setdefault(entry.operation_id, entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.at, entry.operation_id)))


def is_surely_over(started: Entry, journals: Iterable[Journal], *, door: str) -> bool:
    """Tell whether the flow that wrote `started` is gone, seen by whoever holds the lock `door`.

    It held the same lock and does so no more; or that very attempt wrote its end on some replica,
    so that only what it left elsewhere is still open.
    """
    facts = started.lock()
    if facts is None:
        return False
    if facts.door == door:
        return True
    return any(
        entry.event is Event.FINISHED
        and entry.operation_id == started.operation_id
        and entry.subject == facts.instance
        for journal in journals
        for entry in journal.entries
    )
