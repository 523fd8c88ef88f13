"""From what a prune deleted, and what stood in its way, to its outcome."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from tasks.domain.names import EVERY_BACKUP
from tasks.domain.outcomes import Attempt, Outcome, ReplicaOutcome, Sheet, Status
from tasks.domain.prune_plan import PrunePlan, plan_lines
from tasks.domain.retention_judgement import NEEDS_IT, Decision, Fate
from tasks.domain.units import human_size


class PruneOutcome(Outcome):
    """`deleted`: gone from every shard; `standing`: what was to go and did not, and why."""

    decisions: tuple[Decision, ...] = ()
    deleted: tuple[str, ...] = ()
    standing: Mapping[str, str] = {}
    plan_digest: str = ""

    @property
    def headline(self) -> str:
        what = f"{len(self.deleted)} backups deleted"
        if self.status is Status.PLANNED:
            what = f"{sum(d.fate is Fate.DELETE for d in self.decisions)} backups to be deleted"
        first = next(iter(self.standing.items()), None)
        return (
            f"prune on {self.installation}: {self.status}, {what} of {len(self.decisions)}, "
            f"{human_size(self.freed_bytes)} freed in {self.seconds:.1f} s"
            + (f"; {first[0]} still stands: {first[1]}" if first else "")
            + (f"; {self._first_failure}" if self._first_failure and not first else "")
        )

    @property
    def freed_bytes(self) -> int:
        return sum(replica.size_bytes for replica in self.replicas)

    @property
    def facts(self) -> dict[str, str]:
        counted = {fate: sum(d.fate is fate for d in self.decisions) for fate in Fate}
        return {what: value for what, value in super().facts.items() if what != "backup"} | {
            "kept": str(counted[Fate.KEEP]),
            "left alone": str(counted[Fate.LEAVE]),
            "to be deleted": str(counted[Fate.DELETE]),
            "deleted": ", ".join(self.deleted) or "none",
            "freed": human_size(self.freed_bytes),
            "plan digest": self.plan_digest[:12],
        }

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        standing = tuple(f"{name}: {why}" for name, why in self.standing.items())
        return {"Still standing": standing} | super().lists

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        (replicas,) = super().sheets
        lines = ({**line, "freed": line["size"]} for line in replicas.lines)
        shown = ("shard", "replica", "done", "freed", "message")
        freed = tuple(_only(line, shown) for line in lines)
        plan = Sheet("plan", "What becomes of each backup", plan_lines(self.decisions))
        sheets = (plan, Sheet(replicas.key, replicas.title, freed))
        return tuple(sheet for sheet in sheets if sheet.lines)

    def bounded(self, most: int) -> Self:
        worst_first = sorted(self.decisions, key=lambda d: (not d.hindered, d.fate is Fate.KEEP))
        return (
            super()
            .bounded(most)
            .model_copy(
                update={"decisions": tuple(worst_first[:most]), "deleted": self.deleted[:most]}
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How far the deletion came. `freed`: bytes by replica; `down`: shards that failed, and why.

    `troubles`: why a replica said nothing; `missing`: names that no replica listed.
    `gap`: what makes a listing doubtful.
    """

    deleted: tuple[str, ...] = ()
    standing: Mapping[str, str] = field(default_factory=dict)
    freed: Mapping[str, int] = field(default_factory=dict)
    down: Mapping[str, str] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    gap: str = ""


def prune_outcome(
    plan: PrunePlan,
    attempt: Attempt,
    pruned: Pruned,
    *,
    replicas: Iterable[tuple[str, str]],
    finished: datetime,
) -> PruneOutcome:
    """Report it as completed only when all that was to go is gone, and nothing was in doubt.

    `replicas`: shard and name of all.
    """
    hindered = {d.name: d.why for d in plan.decisions if d.hindered}
    standing = hindered | dict(pruned.standing)
    failed = bool(standing or pruned.troubles or pruned.gap)
    whole = Status.PARTIALLY_FAILED if pruned.deleted else Status.FAILED
    return PruneOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=EVERY_BACKUP,
        status=whole if failed else Status.COMPLETED,
        started=attempt.started,
        finished=finished,
        replicas=tuple(_replica(s, name, pruned) for s, name in replicas),
        notes=(*plan.notes, *_notes(pruned)),
        next_steps=_next_steps(standing, attempt) if failed else (),
        decisions=plan.decisions,
        deleted=pruned.deleted,
        standing=standing,
        plan_digest=plan.digest,
    )


def planned_outcome(plan: PrunePlan, attempt: Attempt, *, finished: datetime) -> PruneOutcome:
    """Report a dry run."""
    digest = plan.digest
    return PruneOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name=EVERY_BACKUP,
        status=Status.PLANNED,
        started=attempt.started,
        finished=finished,
        notes=plan.notes,
        next_steps=(f"Run it without dry_run; approved_plan={digest!r} holds it to this plan.",),
        decisions=plan.decisions,
        standing={d.name: d.why for d in plan.decisions if d.hindered},
        plan_digest=digest,
    )


def _replica(shard: str, name: str, pruned: Pruned) -> ReplicaOutcome:
    trouble = pruned.troubles.get(name) or pruned.down.get(shard, "")
    return ReplicaOutcome(
        shard=shard,
        replica=name,
        done=not trouble,
        failed=bool(trouble),
        phase="deleted",
        size_bytes=pruned.freed.get(name, 0),
        message=trouble,
    )


def _notes(pruned: Pruned) -> tuple[str, ...]:
    gone = (f"{name} is not listed anywhere: nothing to delete" for name in pruned.missing)
    return (*((pruned.gap,) if pruned.gap else ()), *gone)


def _next_steps(standing: Mapping[str, str], attempt: Attempt) -> tuple[str, ...]:
    if any(why.startswith("held: ") for why in standing.values()):
        released = "`python -m flows hold --release`, with the installation and its inventory"
        return (f"Nothing is deleted until a person clears the hold: {released}.",)
    if any(why.endswith(NEEDS_IT) for why in standing.values()):
        return ("`--cascade` deletes also what builds on a named backup; see to it in a dry run.",)
    told = (
        "Mend what is named, then run it again: it observes anew and finishes what it began; "
        f"with operation_id={attempt.operation_id!r} it is held to the same request."
    )
    return (told,)


def _only(line: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    return {key: line[key] for key in keys}
