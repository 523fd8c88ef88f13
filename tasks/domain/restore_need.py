"""What a restore has still to do on each replica, told from the journals.

The journal holds an intent before every step that destroys or attaches, and a step after it. An
attach whose fate is unknown is never sent again as it was: its tables are made anew first, and so
are the tables of every replica to which its rows may have been replicated.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from tasks.domain.fingerprint import Verdict
from tasks.domain.journal import Event, Journal, Step


class End(StrEnum):
    """How an attempt left the tables of one replica; stored with its end, so never renamed."""

    UNTOUCHED = ""
    HALF_RESTORED = "half restored"
    RESTORED = "restored"


class Need(StrEnum):
    """The first thing that is still to be done on a replica."""

    REPLACE = "drop what was planned, create, attach"
    REMAKE = "drop our own half-filled tables, create, attach"
    ATTACH = "attach"
    FINISH = "create what starts by itself"
    NOTHING = "nothing"

    @property
    def drops(self) -> bool:
        return self in {Need.REPLACE, Need.REMAKE}

    @property
    def filled(self) -> bool:
        """Tell whether all rows that this replica attaches are attached."""
        return self in {Need.FINISH, Need.NOTHING}


def need_of(journal: Journal) -> Need:
    """Tell how far earlier attempts came on one replica; what came before a drop is gone."""
    if journal.left_open(Step.DATA):
        return Need.REMAKE
    since = _since_last_drop(journal)
    if not since.did(Step.SCHEMA):
        return Need.REMAKE if journal.did(Step.SCHEMA) else Need.REPLACE
    if since.did(Step.LATE):
        return Need.NOTHING
    return Need.FINISH if since.did(Step.DATA) else Need.ATTACH


def end_of(journal: Journal) -> End:
    """Tell how an operation leaves the tables of one replica; only restores touch them."""
    if journal.last(Event.INTENT, Step.DROP) is None:
        return End.UNTOUCHED
    since = _since_last_drop(journal)
    noted = since.last(Event.STEP, Step.DATA)
    compared = noted.document() if noted is not None else None
    failed = any(table["verdict"] == Verdict.FAILED for table in compared or ())
    return End.RESTORED if since.did(Step.LATE) and not failed else End.HALF_RESTORED


def copy_is_refused(journal: Journal) -> bool:
    """Tell whether the local copy is one from which no tables could be made: no retry heals it."""
    for entry in reversed(journal.entries):
        if entry.event is Event.REFUSED:
            return True
        if (entry.event, entry.subject) == (Event.INTENT, Step.DOWNLOAD):
            return False
    return False


def half_restored_by(journal: Journal) -> str | None:
    """Name the restore that ended half way on one replica, if no later one made it whole."""
    ends = (e for e in reversed(journal.entries) if e.event is Event.FINISHED and e.payload)
    last = next(ends, None)
    return last.operation_id if last is not None and last.payload == End.HALF_RESTORED else None


def needs_together(
    needs: Mapping[str, Need], sources: Mapping[str, Collection[str]]
) -> dict[str, Need]:
    """Decide for all replicas what each one's own journal cannot know.

    `sources`: replica -> replicas that attach rows which it gets by replication. Where a source
    makes its tables anew, a follower that may hold their rows would give them back: it makes its
    own anew too.
    """
    found = dict(needs)
    spreading = True
    while spreading:
        doubled = [
            replica
            for replica, others in sources.items()
            if any(_gives_back(found[replica], found[source]) for source in others)
        ]
        found |= dict.fromkeys(doubled, Need.REMAKE)
        spreading = bool(doubled)
    return found


def _gives_back(follower: Need, source: Need) -> bool:
    """Tell whether a follower that is left alone may hold rows that its source attaches again."""
    if follower.drops:
        return False
    return source is Need.REMAKE or (source is Need.REPLACE and follower.filled)


def _since_last_drop(journal: Journal) -> Journal:
    drops = [
        index
        for index, entry in enumerate(journal.entries)
        if (entry.event, entry.subject) == (Event.INTENT, Step.DROP)
    ]
    return Journal(journal.entries[drops[-1] :]) if drops else journal
