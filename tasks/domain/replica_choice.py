"""Which replica of a shard stores a backup, and why that one and no other."""

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from tasks.domain.base_choice import Base, Wish, base_for
from tasks.domain.inspection import Inspection, Observation, replicated_tables, unfit
from tasks.domain.journal import Event
from tasks.domain.requests import ReplicaSelection
from tasks.domain.tables import selected
from tasks.domain.topology import Shard

_PUNCTUAL_SECONDS = 10  # replicas that are less behind than this are equals
_FEW = 3  # tables that a reason names


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The replicas of one shard that store. `findings`: what forbids it; `note`: worth knowing."""

    chosen: tuple[Inspection, ...] = ()
    reason: str = ""
    findings: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A replica that can store. `rank`: the lower, the better; `doubts`: why it is not lower."""

    seen: Inspection
    rank: tuple[int, int, bool, int]
    doubts: tuple[str, ...]
    base: Base

    @property
    def told(self) -> str:
        return f"{self.seen.place}: {', '.join(self.doubts)}"


def begun_on(seen: Inspection, operation_id: str) -> bool:
    return seen.journal.of(operation_id).last(Event.INTENT) is not None


def choose(shard: Shard, wish: Wish, observed: Observation) -> Choice:
    """Choose by: begun here before, healthy, caught up, holds the base, order in the topology."""
    request, operation_id = wish.request, wish.operation_id
    candidates = observed.of_shard(shard.name)
    problems = {
        seen.replica: unfit(seen, selected(seen.tables, request.tables)) for seen in candidates
    }
    wrong = (
        *_absent(shard, observed),
        *(finding for found in problems.values() for finding in found),
    )
    if request.replica_selection is ReplicaSelection.ALL_REPLICAS:
        return Choice(chosen=candidates, reason="all replicas were asked for", findings=wrong)
    begun = [seen for seen in candidates if begun_on(seen, operation_id)]
    if begun:  # its data may lie in the bucket: another replica's would be taken for it
        found = problems[begun[0].replica]
        return Choice(
            chosen=() if found else (begun[0],),
            reason="an earlier attempt began here",
            findings=found,
        )
    fit = [seen for seen in candidates if not problems[seen.replica]]
    if not fit:
        nobody = (f"shard {shard.name} has no replica that answers",)
        return Choice(findings=wrong or nobody)
    return _best([_candidate(seen, fit, wish) for seen in fit], wrong)


def _absent(shard: Shard, observed: Observation) -> list[str]:
    return [
        f"shard {shard.name}, replica {replica.name}: {observed.unreachable[replica.name]}"
        for replica in shard.replicas
        if replica.name in observed.unreachable
    ]


def _best(candidates: Sequence[_Candidate], wrong: Sequence[str]) -> Choice:
    best = min(candidates, key=lambda candidate: candidate.rank)
    before = candidates[: candidates.index(best)]
    passed_over = [*wrong, *(candidate.told for candidate in before if candidate.doubts)]
    if best.doubts:
        others = [c.told for c in candidates if c is not best and c.doubts]
        reason = f"no replica of the shard is without doubt: {'; '.join([best.told, *others])}"
        return Choice(chosen=(best.seen,), reason=reason, note=f"stored all the same: {best.told}")
    reasons = [f"first healthy replica: {'; '.join(passed_over)}"] if passed_over else []
    if any(not candidate.doubts for candidate in before):
        held = "lists" if best.base.stored_by else "stored"
        reasons.append(f"it {held} {best.base.name}, on which most can be saved")
    return Choice(chosen=(best.seen,), reason="; ".join(reasons) or "first replica of the shard")


def _candidate(seen: Inspection, fit: Sequence[Inspection], wish: Wish) -> _Candidate:
    request, base = wish.request, base_for(seen, wish)
    own = set(replicated_tables(selected(seen.tables, request.tables)))
    everywhere = {
        name for other in fit for name in replicated_tables(selected(other.tables, request.tables))
    }
    states = [state for state in seen.replication if state.table in own]
    lacking = dict.fromkeys(sorted(everywhere - own), "stands on its siblings only")
    ill = {state.table: state.trouble for state in states if state.trouble}
    late = {
        state.table: f"is {state.delay_seconds} s behind"
        for state in states
        if state.delay_seconds > _PUNCTUAL_SECONDS
    }
    fetching = {
        state.table: f"has {state.inserts_queued} inserts to fetch"
        for state in states
        if state.inserts_queued
    }
    slowest = max((state.delay_seconds for state in states if state.table in late), default=0)
    return _Candidate(
        seen,
        (len(lacking) + len(ill), slowest, bool(fetching), base.rank),
        _told(lacking, ill, late, fetching),
        base,
    )


def _told(*doubts: Mapping[str, str]) -> tuple[str, ...]:
    """Say the worst doubt of each table, the worst tables first."""
    worst = dict(ChainMap(*(dict(kind) for kind in doubts)))
    lines = [f"{table} {worst[table]}" for table in dict.fromkeys(chain(*doubts))]
    left = len(lines) - _FEW
    return (*lines[:_FEW], f"and {left} more tables") if left > 0 else tuple(lines)
