"""The plan of a prune: every backup with its fate, what goes in which order, and a digest."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tasks.domain.actions import Action
from tasks.domain.catalogue import Backup, Catalogue
from tasks.domain.errors import InvalidRequest
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.listing import Listing
from tasks.domain.names import manifest_name
from tasks.domain.outcomes import Line, Sheet
from tasks.domain.retention_chain import deletion_order
from tasks.domain.retention_journal import Announced
from tasks.domain.retention_judgement import Decision, Fate
from tasks.domain.units import human_size

_FIRST = (Fate.DELETE, Fate.LEAVE, Fate.KEEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A backup that goes. `copies`: when each replica's copy was made, by replica.

    `listed_on`: the replicas that list its manifest; `children`: what needs it and goes before.
    """

    name: str
    operation_id: str
    copies: Mapping[str, int]
    listed_on: frozenset[str]
    children: frozenset[str]

    @classmethod
    def of(cls, backup: Backup) -> "Doomed":
        return cls(
            name=backup.name,
            operation_id=backup.manifest.operation_id if backup.manifest else "",
            copies={copy.replica: copy.created_at for copy in backup.copies},
            listed_on=frozenset(backup.listed_on),
            children=backup.children,
        )

    @property
    def replicas(self) -> frozenset[str]:
        return self.listed_on | self.copies.keys()

    def announced_on(self, replica: str) -> Announced:
        return Announced(backup_operation_id=self.operation_id, created_at=self.copies.get(replica))

    def hindrance(self, replica: str, listing: Listing, actions: Iterable[Action]) -> str:
        """Say what forbids the deletion as things stand on one replica now; empty for nothing."""
        found = listing.remote(self.name)
        if found is not None and self.copies.get(replica, found.created_at) != found.created_at:
            return f"{replica} lists another backup under that name than the plan was made for"
        needing = sorted(row.name for row in listing.remote_rows if row.required == self.name)
        if needing:
            return f"{needing[0]} needs it on {replica}"
        own = {self.name, manifest_name(self.name)}
        at_work = (a for a in actions if a.running and a.name in own)
        # a deletion that an earlier attempt began is what is wanted: it is waited for
        running = next((a for a in at_work if a.verb != "delete"), None)
        return "" if running is None else f"{replica} is at work on `{running.verb} {running.name}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What becomes of each backup. `doomed`: what goes, children first."""

    decisions: tuple[Decision, ...]
    doomed: tuple[Doomed, ...]
    notes: tuple[str, ...] = ()

    @property
    def sheet(self) -> Sheet:
        """The plan as a table."""
        return Sheet("plan", f"Prune plan {self.digest[:12]}", plan_lines(self.decisions))

    @property
    def digest(self) -> str:
        """SHA-256 of exactly what goes, hexadecimal: what `approved_plan` pins."""
        going = sorted(
            [one.name, one.operation_id, sorted(one.copies.items())] for one in self.doomed
        )
        return hashlib.sha256(json.dumps(going).encode()).hexdigest()

    @property
    def note(self) -> str:
        """The plan as the journal keeps it, so that a rerun deletes no more than was approved."""
        names = sorted(one.name for one in self.doomed)
        return json.dumps({"digest": self.digest, "names": names})


def plan_lines(decisions: Iterable[Decision]) -> tuple[Line, ...]:
    """Render what goes first, then what is left alone, then what is kept."""
    order = sorted(decisions, key=lambda d: (_FIRST.index(d.fate), d.at, d.name))
    return tuple(
        {
            "backup": decision.name,
            "fate": decision.fate.value,
            "why": decision.why,
            "frozen": f"{decision.at:%Y-%m-%d %H:%M:%S %Z}",
            "size": human_size(decision.size_bytes),
        }
        for decision in order
    )


def plan_prune(
    catalogue: Catalogue, decisions: tuple[Decision, ...], *, pins: Collection[str] = ()
) -> PrunePlan:
    """Put what is to be deleted in order; tell pins that protect nothing."""
    going = {decision.name for decision in decisions if decision.fate is Fate.DELETE}
    backups = {backup.name: backup for backup in catalogue.backups}
    order = deletion_order(catalogue, going)
    return PrunePlan(
        decisions=decisions,
        doomed=tuple(Doomed.of(backups[name]) for name in order),
        notes=tuple(
            f"the pin {name} protects nothing: no replica lists such a backup"
            for name in missing_names(pins, catalogue)
        ),
    )


def missing_names(names: Collection[str], catalogue: Catalogue) -> tuple[str, ...]:
    """Tell which names no replica lists, neither data nor manifest."""
    return tuple(name for name in names if catalogue.find(name) is None)


def demand_approved(plan: PrunePlan, approved: str | None, journals: Iterable[Journal]) -> None:
    """Raise InvalidRequest where more would go than was approved.

    `journals` are of this operation: a rerun goes on with the rest of the plan that it began.
    """
    if approved is None or approved == plan.digest:
        return
    for journal in journals:
        noted = journal.last(Event.INTENT, Step.PLAN)
        begun = {} if noted is None else noted.document()
        if begun.get("digest") == approved:
            if {one.name for one in plan.doomed} <= set(begun["names"]):
                return
            break
    message = (
        f"the plan is not the approved one any more: its digest is {plan.digest}, approved was "
        f"{approved}; look at a dry run again"
    )
    raise InvalidRequest(message)
