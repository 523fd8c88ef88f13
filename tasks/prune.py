"""Tasks of a prune: each looks once more, deletes one backup on one shard, and sees it gone.

A backup's manifest goes first, on every shard, then its data. Replicas of a shard are asked one
after the other: where they share a remote path, the first one deletes for all.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.clickhouse import commands
from tasks.clickhouse.actions import read_actions
from tasks.clickhouse.journal import read_retention
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import ActionFailed, BackupError, LockLost
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.listing import Listing
from tasks.domain.names import manifest_name
from tasks.domain.phases import PrunePhase
from tasks.domain.prune_plan import Doomed, PrunePlan
from tasks.domain.prune_result import Pruned
from tasks.domain.retention_journal import hold_of
from tasks.fan_out import HEALING, step
from tasks.fleet import Fleet, failed, succeeded

# what does not answer soon is left for the next prune: all others wait for it
_SOON: dict[str, Any] = {**HEALING, "retries": 1, "retry_delay_seconds": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What was deleted on one shard. `freed`: bytes by replica; `hindered`: why it is not all."""

    freed: dict[str, int] = field(default_factory=dict)
    hindered: str = ""


@step(task_run_name="journal-{session.replica}", **HEALING)
async def read_noted(session: ReplicaSession) -> Journal:
    """Read what earlier prunes noted here, and whether a person holds them back."""
    return await read_retention(session.server)


@step(task_run_name="note-{session.replica}", **HEALING)
async def note_states(session: ReplicaSession, states: Mapping[str, Event], plan: str) -> None:
    """Write down what is broken, since when that counts, and the plan before its first deletion."""
    for name, event in states.items():
        await session.note(event, name)
    if (await session.journal()).last(Event.INTENT, Step.PLAN) is None:
        await session.note(Event.INTENT, Step.PLAN, plan)


@step(task_run_name="announce-{doomed.name}", **_SOON)
async def announce_deletion(sessions: Sequence[ReplicaSession], doomed: Doomed) -> Removal:
    """Write down which backup is about to go, unless something forbids it here."""
    for session in sessions:
        if session.replica not in doomed.replicas:
            continue
        why = await _hindrance(session, doomed, await read_listing(session.server))
        if why:
            return Removal(hindered=why)
        announced = doomed.announced_on(session.replica)
        await session.note(Event.DELETING, doomed.name, announced.model_dump_json())
    return Removal()


@step(task_run_name="manifest-{doomed.name}", **_SOON)
async def delete_shard_manifest(sessions: Sequence[ReplicaSession], doomed: Doomed) -> Removal:
    """Take the backup's word back: from now on it is no recovery point, whatever happens."""
    return await _remove(sessions, doomed, manifest_name(doomed.name), on=doomed.listed_on)


@step(task_run_name="delete-{doomed.name}", **_SOON)
async def delete_shard_backup(sessions: Sequence[ReplicaSession], doomed: Doomed) -> Removal:
    """Delete the backup's data."""
    return await _remove(sessions, doomed, doomed.name, on=doomed.copies)


async def _remove(
    sessions: Sequence[ReplicaSession], doomed: Doomed, name: str, *, on: Collection[str]
) -> Removal:
    """Delete `name` wherever a replica of one shard lists it. `on`: who listed it before."""
    freed: dict[str, int] = {}
    for session in sessions:
        listing = await read_listing(session.server)
        found = listing.remote(name)
        # with the object store away nothing is listed either: then the sidecar is asked itself
        unsure = not listing.remote_rows and session.replica in on
        if found is None and not unsure:
            continue
        why = await _hindrance(session, doomed, listing) or await _refused(session, name)
        if why:
            return Removal(freed=freed, hindered=why)
        freed[session.replica] = found.size_bytes if found else 0
        await session.note(Event.DELETED, name, str(freed[session.replica]))
    return Removal(freed=freed)


async def _hindrance(session: ReplicaSession, doomed: Doomed, listing: Listing) -> str:
    """Say what forbids the deletion as things stand on one replica now; empty for nothing."""
    why = doomed.hindrance(session.replica, listing, await read_actions(session.server))
    hold = hold_of([await read_retention(session.server)])
    return why or (f"held: {hold}" if hold else "")


async def _refused(session: ReplicaSession, name: str) -> str:
    """Delete, and say why it is there all the same; empty when it is seen to be gone."""
    try:
        await session.sidecar.delete(commands.delete("remote", name))
    except ActionFailed as refused:  # an object lock, for example: another try changes nothing
        return str(refused)
    if (await read_listing(session.server)).remote(name) is not None:
        return f"{session.place}: its sidecar deleted {name}, and lists it all the same"
    return ""


Remove = Callable[[Sequence[ReplicaSession], Doomed], Awaitable[Removal]]
# each on all shards before the next one: what forbids a deletion anywhere forbids it everywhere
_COURSE: Mapping[PrunePhase, Remove] = {
    PrunePhase.ANNOUNCE: announce_deletion,
    PrunePhase.MANIFEST: delete_shard_manifest,
    PrunePhase.DATA: delete_shard_backup,
}


class Pruning:
    """What is carried out of a plan: one backup after the other, on all its shards at once."""

    def __init__(self, fleet: Fleet, plan: PrunePlan) -> None:
        self._fleet = fleet
        self._plan = plan
        self._of_shard: dict[str, list[ReplicaSession]] = defaultdict(list)
        for session in fleet.sessions.values():
            self._of_shard[session.shard].append(session)
        self._deleted: list[str] = []
        self._standing: dict[str, str] = {}
        self._freed: dict[str, int] = defaultdict(int)
        self._down: dict[str, str] = {}

    @property
    def steps(self) -> int:
        return len(_COURSE) * len(self._of_shard) * len(self._plan.doomed)

    async def to_the_end(self) -> Pruned:
        """Delete what can be deleted. A shard that fails once is left for the next prune."""
        for doomed in self._plan.doomed:
            why = await self._delete(doomed)
            if why:
                self._standing[doomed.name] = why
            else:
                self._deleted.append(doomed.name)
        return Pruned(
            deleted=tuple(self._deleted),
            standing=self._standing,
            freed=self._freed,
            down=self._down,
        )

    async def _delete(self, doomed: Doomed) -> str:
        """Delete one backup; say why it still stands somewhere, if it does."""
        waiting = sorted(doomed.children & self._standing.keys())
        if waiting:
            return f"{waiting[0]} needs it, and still stands"
        strange = sorted(doomed.replicas - self._fleet.sessions.keys())
        if strange:
            return f"{strange[0]} lists it, and cannot be worked on"
        shards = {self._fleet.sessions[replica].shard for replica in doomed.replicas}
        for phase, remove in _COURSE.items():
            why = await self._everywhere(phase, shards, remove, doomed)
            left = sorted(shards & self._down.keys())
            if why or left:  # data never goes where a manifest may still say that it is there
                return why or "; ".join(f"shard {shard}: {self._down[shard]}" for shard in left)
        return ""

    async def _everywhere(
        self, phase: PrunePhase, shards: Collection[str], remove: Remove, doomed: Doomed
    ) -> str:
        """Run one phase on all shards that do not fail; say what hinders it on one of them."""
        speakers = [self._of_shard[s][0].replica for s in sorted(shards) if s not in self._down]
        results = await self._fleet.phase(
            phase, speakers, lambda session: remove(self._of_shard[session.shard], doomed)
        )
        for replica, error in failed(results).items():
            self._note_failure(replica, error)
        removals = succeeded(results).values()
        for removal in removals:
            for replica, size_bytes in removal.freed.items():
                self._freed[replica] += size_bytes
        return next((removal.hindered for removal in removals if removal.hindered), "")

    def _note_failure(self, replica: str, error: BackupError) -> None:
        if isinstance(error, LockLost):
            raise error
        self._down[self._fleet.sessions[replica].shard] = str(error)
