"""The one recovery rule: what becomes of an operation that was interrupted and is given up.

A backup whose manifest any shard lists is whole: the missing copies are written, no data is
deleted. Any other one is undone, on each replica exactly what its journal proves ours. A restore
is undone before its first drop; after it, tables are left as they are. A verification is always
undone. What cannot be told destroys nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.domain.journal import Entry, Event, Journal, Step
from tasks.domain.listing import Listing
from tasks.domain.names import is_probe_of, manifest_name, safety_name
from tasks.domain.restore_need import Need, need_of

Copy = tuple[str, str]  # where it lies (local, remote), and its name


class Way(StrEnum):
    """What is done about an interrupted operation on one replica."""

    ROLL_FORWARD = "rolled forward"
    UNDO = "undone"
    KEEP = "kept as it stands"
    LEAVE = "left open"


RESTORED = "restored"
_STATES = {
    Need.REPLACE: "tables are dropped, and created in part or not at all",
    Need.REMAKE: "rows are attached in part or all: nobody can tell",
    Need.ATTACH: "tables are created and empty",
    Need.FINISH: "rows are back; what starts by itself is not created yet",
    Need.NOTHING: RESTORED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """One replica as seen: its journal of the operation, and what its sidecar lists.

    `trouble`: why nothing can be done there; then `listing` may be missing. `away`: the trouble is
    that its sidecar does not answer, so that nothing is at work there either.
    """

    shard: str
    replica: str
    journal: Journal
    listing: Listing | None = None
    trouble: str = ""
    away: bool = False

    @property
    def place(self) -> str:
        return f"shard {self.shard}, replica {self.replica}"

    def meant_to(self, step: Step) -> bool:
        return self.journal.last(Event.INTENT, step) is not None

    @property
    def is_undone(self) -> bool:
        """Tell whether an undo was begun, or ended, and nothing was begun since."""
        last = None
        for entry in self.journal.entries:
            if entry.event in {Event.STARTED, Event.UNDONE} or entry.subject == Step.UNDO:
                last = entry.event
        return last in {Event.UNDONE, Event.INTENT}

    def lists(self, location: str, name: str) -> bool:
        """Tell whether a copy is listed, whole or not."""
        rows = self.listing.rows if self.listing else ()
        return any((row.location, row.name) == (location, name) for row in rows)

    def holds(self, location: str, name: str) -> bool:
        """Tell whether a whole copy is listed."""
        return self.listing is not None and self.listing.holds(name, location=location)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """An operation that ended without its end. `silent`: replicas that say nothing, and why."""

    operation: str
    operation_id: str
    name: str
    remains: tuple[Remains, ...]
    silent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What is to be done on one replica.

    `manifest`: its copy is missing; the replica that is named has the text in its journal.
    """

    replica: str
    way: Way
    why: str
    delete: tuple[Copy, ...] = ()
    manifest: str | None = None

    @property
    def closes(self) -> bool:
        return self.way is not Way.LEAVE


def recover(seen: Interrupted) -> tuple[Remedy, ...]:
    """Decide for every replica that answered, in their order."""
    match seen.operation:
        case "backup":
            decide = _backup_rule(seen)
        case "restore":
            decide = _restore_rule(seen)
        case "verify":
            decide = _verify_rule(seen)
        case "prune":
            decide = _keep_pruned
        case "adopt":
            decide = _keep_adopted
        case _:
            decide = _nothing_to_undo
    return tuple(_leave_if_stuck(remains) or decide(remains) for remains in seen.remains)


def touched_by(start: Entry | None, journal: Journal) -> frozenset[str]:
    """Name every backup that what `start` began may have touched, companions included.

    `journal`: what it noted on the replica in question.
    """
    if start is None:
        return frozenset()
    names = {str(start.document()["name"]), *journal.deletions()}
    own = names | {manifest_name(name) for name in names}
    if start.operation == "restore":
        own.add(safety_name(start.operation_id))
    return frozenset(own)


def author_of(seen: Interrupted) -> str | None:
    """Find whose journal has the newest manifest: all have one before a copy is written."""
    noted = {r.replica: r.journal.last(Event.MANIFEST, seen.name) for r in seen.remains}
    found = {replica: entry.at for replica, entry in noted.items() if entry is not None}
    return max(found, key=lambda replica: found[replica], default=None)


def is_committed(seen: Interrupted) -> tuple[bool | None, str]:
    """Tell whether a backup counts as whole, and why; None: nobody can tell."""
    if any(remains.is_undone for remains in seen.remains):
        return False, "it is being undone"
    author, listed = author_of(seen), _manifests(seen)
    if listed and author is not None:
        return True, f"{listed[0]} lists its manifest"
    if author is None and any(remains.meant_to(Step.CREATE) for remains in seen.remains):
        return False, "its manifest was not written: that stands in every journal before"
    doubts = _doubts(seen, listed)
    return (None, doubts[0]) if doubts else (False, "no shard lists its manifest")


def _manifests(seen: Interrupted) -> list[str]:
    manifest = manifest_name(seen.name)
    return [remains.place for remains in seen.remains if remains.holds("remote", manifest)]


def _doubts(seen: Interrupted, listed: Sequence[str]) -> list[str]:
    """Say why a manifest that is not seen may be there all the same."""
    doubts = [f"{place} lists a manifest, and no journal tells whose it is" for place in listed]
    doubts += [f"its manifest may lie at {name}, which does not answer" for name in seen.silent]
    doubts += [
        f"{remains.place} does not list what must lie beside the manifest, so its listing may "
        "lack the manifest too"
        for remains in seen.remains
        if not _proves_absence(remains, seen)
    ]
    return doubts


def _proves_absence(remains: Remains, seen: Interrupted) -> bool:
    """Trust a listing without the manifest if it shows what is known to lie beside it."""
    if remains.journal.last(Event.MANIFEST, seen.name) is None:
        return True
    if remains.meant_to(Step.UPLOAD):
        return remains.holds("remote", seen.name)
    return remains.listing is not None and bool(remains.listing.remote_rows)


def _leave_if_stuck(remains: Remains) -> Remedy | None:
    if remains.listing is not None and not remains.trouble:
        return None
    why = remains.trouble or "its sidecar does not say what it holds"
    return Remedy(replica=remains.replica, way=Way.LEAVE, why=why)


def _nothing_to_undo(remains: Remains) -> Remedy:
    return Remedy(replica=remains.replica, way=Way.UNDO, why="it stores nothing")


def _keep_pruned(remains: Remains) -> Remedy:
    why = "what was deleted is gone; what was begun, the next prune finishes"
    return Remedy(replica=remains.replica, way=Way.KEEP, why=why)


def _keep_adopted(remains: Remains) -> Remedy:
    why = "manifests that are listed stay: the data is whole without them"
    return Remedy(replica=remains.replica, way=Way.KEEP, why=why)


def _backup_rule(seen: Interrupted) -> Callable[[Remains], Remedy]:
    committed, why = is_committed(seen)
    author, manifest = author_of(seen), manifest_name(seen.name)

    def decide(remains: Remains) -> Remedy:
        here = _passing(remains, seen.name)
        if committed is None:
            return Remedy(replica=remains.replica, way=Way.LEAVE, why=why, delete=here)
        if not committed:
            # a manifest of that name is another operation's, and so is the data by now
            remote = () if _manifests(seen) else _own_remote(remains, seen.name)
            gone = (*here, *remote)
            doubt = _unseen_upload(remains) if not remote else ""
            return Remedy(replica=remains.replica, way=Way.UNDO, why=why + doubt, delete=gone)
        lacks = remains.meant_to(Step.CREATE) and not remains.holds("remote", manifest)
        return Remedy(
            replica=remains.replica,
            way=Way.ROLL_FORWARD,
            why=why,
            delete=here,
            manifest=author if lacks else None,
        )

    return decide


def _passing(remains: Remains, name: str) -> tuple[Copy, ...]:
    """List what never outlives a backup: local copies, and probes wherever they are."""
    probes = [
        (row.location, row.name)
        for row in (remains.listing.rows if remains.listing else ())
        if is_probe_of(name, row.name)
    ]
    local = [manifest_name(name)]
    if remains.meant_to(Step.CREATE):
        local.append(name)
    return (*(("local", copy) for copy in local if remains.lists("local", copy)), *probes)


def _unseen_upload(remains: Remains) -> str:
    """Tell that an empty listing proves nothing: with the storage away it is empty too."""
    if not remains.meant_to(Step.UPLOAD) or remains.meant_to(Step.UNDO):
        return ""
    if remains.listing is None or remains.listing.remote_rows:
        return ""
    return "; its listing shows nothing remote, so what was uploaded may still lie there"


def _own_remote(remains: Remains, name: str) -> tuple[Copy, ...]:
    """List what this replica brought to the bucket, the manifest first."""
    own = []
    if remains.journal.last(Event.MANIFEST, name) is not None:
        own.append(manifest_name(name))
    if remains.meant_to(Step.UPLOAD):
        own.append(name)
    return tuple(("remote", copy) for copy in own if remains.lists("remote", copy))


def _restore_rule(seen: Interrupted) -> Callable[[Remains], Remedy]:
    dropped = any(remains.meant_to(Step.DROP) for remains in seen.remains)

    def decide(remains: Remains) -> Remedy:
        local = [manifest_name(seen.name)]
        if remains.meant_to(Step.DOWNLOAD):
            local.append(seen.name)
        if remains.meant_to(Step.SAFETY):
            local.append(safety_name(seen.operation_id))
        here = [copy for copy in local if remains.lists("local", copy)]
        if not dropped and not seen.silent:
            why = "nothing was dropped: tables are as they were"
            gone = tuple(("local", copy) for copy in here)
            return Remedy(replica=remains.replica, way=Way.UNDO, why=why, delete=gone)
        # whole copies may bring the rows back when the bucket cannot
        partial = tuple(("local", c) for c in here if not _is_kept(remains, seen, c))
        why = state_of_restore(remains.journal) if dropped else _may_have_dropped(seen)
        return Remedy(replica=remains.replica, way=Way.KEEP, why=why, delete=partial)

    return decide


def _verify_rule(seen: Interrupted) -> Callable[[Remains], Remedy]:
    def decide(remains: Remains) -> Remedy:
        local = [manifest_name(seen.name)]
        if remains.meant_to(Step.DOWNLOAD):
            local.append(seen.name)
        here = tuple(("local", copy) for copy in local if remains.lists("local", copy))
        why = "it only looks: what it downloaded goes"
        return Remedy(replica=remains.replica, way=Way.UNDO, why=why, delete=here)

    return decide


def _may_have_dropped(seen: Interrupted) -> str:
    """Say why copies are kept: an undo needs those of all replicas, where one has dropped."""
    return f"nothing was dropped here, but {', '.join(seen.silent)} may have dropped its tables"


def _is_kept(remains: Remains, seen: Interrupted, copy: str) -> bool:
    return copy != manifest_name(seen.name) and remains.holds("local", copy)


def state_of_restore(journal: Journal) -> str:
    """Say how far a restore came on one replica."""
    if journal.last(Event.INTENT, Step.DROP) is None and not journal.did(Step.SCHEMA):
        return "nothing was dropped here"
    need = need_of(journal)
    if need is Need.REPLACE and journal.left_open(Step.DROP):
        return "tables are dropped in part"
    return _STATES[need]
