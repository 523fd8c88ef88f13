"""The course of a restore: phase after phase, for the shards where nothing failed so far."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tasks.clickhouse.session import ReplicaSession
from tasks.domain.errors import BackupError
from tasks.domain.phases import RestorePhase
from tasks.domain.restore_plan import ReplicaRestore, RestorePlan
from tasks.fleet import Fleet, failed, succeeded

T = TypeVar("T")


class Course:
    """What is carried out of a plan: how far each replica came, and what stopped it."""

    def __init__(self, fleet: Fleet, plan: RestorePlan) -> None:
        self._fleet = fleet
        self._plan = plan
        self.errors: Mapping[str, BackupError] = {}
        self.reached: Mapping[str, str] = {}

    def sources_of(self, part: ReplicaRestore) -> dict[str, ReplicaSession]:
        """Give the sessions of the replicas that attach what `part` gets by replication."""
        return {followed.source: self._fleet.sessions[followed.source] for followed in part.follow}

    async def phase(
        self,
        phase: RestorePhase,
        call: Callable[[ReplicaSession, ReplicaRestore], Awaitable[T]],
        *,
        reached: str = "",
    ) -> dict[str, T]:
        """Run one phase; give back what went well. `reached` names how far that brings a replica.

        A shard of which one replica failed does not go on: its replicas depend on each other.
        """
        results = await self._fleet.phase(
            phase,
            self._plan.unhurt(self.errors),
            lambda session: call(session, self._plan.of(session.replica)),
        )
        self.errors = {**failed(results), **self.errors}
        well = succeeded(results)
        if reached:
            self.reached = {**self.reached, **dict.fromkeys(well, reached)}
        return well
