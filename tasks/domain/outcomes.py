"""Outcomes: what an operation did, shard by shard, and what a person does next."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, TypeAdapter

from tasks.domain.fingerprint import Verdict


class Status(StrEnum):
    """How an operation ended."""

    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    FAILED = "Failed"
    PLANNED = "Planned"  # a dry run: nothing was done


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who acts, on what, since when. An operation keeps its id over several attempts."""

    operation: str
    installation: str
    operation_id: str
    started: datetime


class ReplicaOutcome(BaseModel):
    """What one replica did. `message` says what went wrong, or what is worth knowing.

    Neither done nor failed: it went well here, and waits for others.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: str
    replica: str
    done: bool
    failed: bool = False
    phase: str  # the last phase that ended well
    tables: int = 0
    rows: int = 0
    size_bytes: int = 0
    message: str = ""


class TableComparison(BaseModel):
    """How one restored table on one replica compares with its fingerprint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: str
    replica: str
    table: str
    verdict: Verdict
    rows: int = 0
    foreign_rows: int = 0
    message: str = ""


COMPARISONS = TypeAdapter(tuple[TableComparison, ...])  # as the journal keeps them


class Outcome(BaseModel):
    """The result of one operation on a whole cluster; also the artifact that machines read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    operation: str
    operation_id: str
    installation: str
    backup_name: str
    status: Status
    started: datetime
    finished: datetime
    replicas: tuple[ReplicaOutcome, ...] = ()
    notes: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        done = sum(replica.done for replica in self.replicas)
        return (
            f"{self.operation} of {self.backup_name} on {self.installation}: {self.status}, "
            f"{done} of {len(self.replicas)} replicas done in {self.seconds:.1f} s"
            + (f"; {self._first_failure}" if self._first_failure else "")
        )

    @property
    def succeeded(self) -> bool:
        return self.status in {Status.COMPLETED, Status.PLANNED}

    @property
    def seconds(self) -> float:
        return (self.finished - self.started).total_seconds()

    @property
    def _first_failure(self) -> str:
        failed = [replica for replica in self.replicas if replica.failed]
        return f"shard {failed[0].shard}: {failed[0].message}" if failed else ""


class BackupOutcome(Outcome):
    """`skew_seconds`: upper bound of the time between the first and the last shard's freeze."""

    scope: str
    manifest_written: bool = False
    skew_seconds: float | None = None
    size_bytes: int = 0
    rows: int = 0
    uncovered: tuple[str, ...] = ()


class RestoreOutcome(Outcome):
    """`verdict` over all tables; `plan` is what was, or in a dry run would be, done."""

    verdict: Verdict = Verdict.UNKNOWN
    comparisons: tuple[TableComparison, ...] = ()
    plan: tuple[str, ...] = ()
    plan_digest: str = ""
    safety_copy: str | None = None


class AbortOutcome(Outcome):
    """`aborted` is the id of the operation that was given up, `aborted_operation` what it was."""

    aborted: str
    aborted_operation: str


def overall_verdict(verdicts: tuple[Verdict, ...]) -> Verdict:
    """One failure fails all; one doubt leaves doubt; nothing compared proves nothing."""
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    if Verdict.UNKNOWN in verdicts or not verdicts:
        return Verdict.UNKNOWN
    return Verdict.PASSED
