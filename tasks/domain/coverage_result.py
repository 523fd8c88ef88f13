"""From the coverage of a cluster to what a person asks of it."""

from datetime import datetime

from tasks.domain.catalogue import Catalogue
from tasks.domain.coverage import Coverage, coverage_of
from tasks.domain.inspection import Observation
from tasks.domain.outcomes import Attempt, Outcome, Status


class CoverageOutcome(Outcome):
    """What of a cluster would be lost with it, and what changed since its newest full backup."""

    coverage: Coverage = Coverage()

    @property
    def headline(self) -> str:
        found = self.coverage
        changes = f", {len(found.drift)} changes since {found.newest}" if found.newest else ""
        return f"{self.installation}: {len(found.unheld)} tables in no recovery point{changes}"

    @property
    def facts(self) -> dict[str, str]:
        return {
            "installation": self.installation,
            "newest full recovery point": self.coverage.newest or "none",
            "tables in no recovery point": str(len(self.coverage.unheld)),
            "changes since": str(len(self.coverage.drift)),
        }

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        return super().lists | self.coverage.lists

    def bounded(self, most: int) -> "CoverageOutcome":
        update = {"coverage": self.coverage.bounded(most)}
        return super().bounded(most).model_copy(update=update)


def coverage_outcome(
    observed: Observation, catalogue: Catalogue, attempt: Attempt, *, finished: datetime
) -> CoverageOutcome:
    """Judge what was seen; a replica that said nothing is named."""
    coverage = coverage_of(observed, catalogue)
    silent = {**observed.unreachable, **catalogue.troubles}
    return CoverageOutcome(
        operation=attempt.operation,
        operation_id=attempt.operation_id,
        installation=attempt.installation,
        backup_name="",
        status=Status.COMPLETED,
        started=attempt.started,
        finished=finished,
        notes=tuple(f"not all was seen: {replica}: {why}" for replica, why in silent.items()),
        next_steps=_next_steps(coverage),
        coverage=coverage,
    )


def _next_steps(coverage: Coverage) -> tuple[str, ...]:
    steps = []
    if coverage.unread:
        steps.append("Run list_backups: it reads the manifests that nobody has read yet.")
    if coverage.unheld:
        steps.append(
            "Back up what is in no recovery point; rows of its own on several replicas of a shard "
            "need replica_selection='AllReplicas'."
        )
    return tuple(steps)
