"""Outcomes: what an operation did, shard by shard, and what a person does next."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, TypeAdapter

from tasks.domain.coverage import Coverage
from tasks.domain.fingerprint import Verdict
from tasks.domain.increments import Increment, saving
from tasks.domain.units import human_size

Line = dict[str, Any]  # column -> what stands there


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


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table for people, what needs attention first. `key`: its artifact's."""

    key: str
    title: str
    lines: tuple[Line, ...]


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

    @property
    def line(self) -> Line:
        return {
            "shard": self.shard,
            "replica": self.replica,
            "done": "yes" if self.done else "NO",
            "last phase": self.phase,
            "tables": self.tables,
            "rows": self.rows,
            "size": human_size(self.size_bytes),
            "message": self.message,
        }


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

    @property
    def line(self) -> Line:
        return {
            "shard": self.shard,
            "replica": self.replica,
            "table": self.table,
            "verdict": self.verdict.value,
            "rows": self.rows,
            "rows of others": self.foreign_rows,
            "message": self.message,
        }


COMPARISONS = TypeAdapter(tuple[TableComparison, ...])  # as the journal keeps them


class Outcome(BaseModel):
    """The result of one operation on a whole cluster; also the artifact that machines read.

    Each kind says by itself what a person reads of it: `facts`, `lists` and `sheets`.
    """

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
    def facts(self) -> dict[str, str]:
        """The figures, in the order in which they are read."""
        return {
            "backup": self.backup_name,
            "installation": self.installation,
            "operation id": self.operation_id,
            "took": f"{self.seconds:.1f} s",
        }

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """Sentences under titles."""
        return {"What to do next": self.next_steps, "Worth knowing": self.notes}

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        worst_first = sorted(self.replicas, key=lambda replica: replica.done)
        lines = tuple(replica.line for replica in worst_first)
        return (Sheet("replicas", "What each replica did", lines),)

    def bounded(self, most: int) -> Self:
        """Keep at most so many, the worst, of each kind that grows with the number of tables."""
        return self.model_copy(update={"notes": self.notes[:most]})

    @property
    def _first_failure(self) -> str:
        failed = [replica for replica in self.replicas if replica.failed]
        return f"shard {failed[0].shard}: {failed[0].message}" if failed else ""


class BackupOutcome(Outcome):
    """`skew_seconds`: upper bound of the time between the first and the last shard's freeze.

    `increments`: what each replica builds on, where it was to build on anything.
    """

    scope: str
    manifest_written: bool = False
    skew_seconds: float | None = None
    size_bytes: int = 0
    rows: int = 0
    uncovered: tuple[str, ...] = ()
    increments: tuple[Increment, ...] = ()
    coverage: Coverage = Coverage()

    @property
    def facts(self) -> dict[str, str]:
        skew = self.skew_seconds
        built = {"builds on": saving(self.increments)} if self.increments else {}
        return super().facts | {
            "scope": self.scope,
            "rows": f"{self.rows:,}",
            "size in the bucket": human_size(self.size_bytes),
            **built,
            "skew between shards": "unknown" if skew is None else f"at most {skew:.2f} s",
            "manifest": "written" if self.manifest_written else "not written",
        }

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        return super().lists | {"Not covered": self.uncovered} | self.coverage.lists

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        lines = tuple(increment.line for increment in self.increments)
        title = "What each replica builds on"
        return (*super().sheets, *([Sheet("increments", title, lines)] if lines else ()))

    def bounded(self, most: int) -> Self:
        update = {"uncovered": self.uncovered[:most], "coverage": self.coverage.bounded(most)}
        return super().bounded(most).model_copy(update=update)


class RestoreOutcome(Outcome):
    """`verdict` over all tables; `plan` is what was, or in a dry run would be, done."""

    verdict: Verdict = Verdict.UNKNOWN
    comparisons: tuple[TableComparison, ...] = ()
    plan: tuple[str, ...] = ()
    plan_digest: str = ""
    safety_copy: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        return super().facts | {
            "verdict": self.verdict.value,
            "tables compared": str(len(self.comparisons)),
            "rows": f"{sum(table.rows for table in self.comparisons):,}",
            "plan digest": self.plan_digest[:12],
            "safety copy": self.safety_copy or "none",
        }

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        lines = tuple(table.line for table in self._worst_first)
        compared = Sheet("tables", "Each table against its fingerprint", lines)
        return (*super().sheets, compared) if lines else super().sheets

    def bounded(self, most: int) -> Self:
        update = {"plan": self.plan[:most], "comparisons": self._worst_first[:most]}
        return super().bounded(most).model_copy(update=update)

    @property
    def _worst_first(self) -> tuple[TableComparison, ...]:
        return tuple(sorted(self.comparisons, key=lambda table: table.verdict == Verdict.PASSED))


class AbortOutcome(Outcome):
    """`aborted` is the id of the operation that was given up, `aborted_operation` what it was."""

    aborted: str
    aborted_operation: str

    @property
    def facts(self) -> dict[str, str]:
        return super().facts | {"aborted": f"{self.aborted_operation} operation {self.aborted}"}


def overall_verdict(verdicts: tuple[Verdict, ...]) -> Verdict:
    """One failure fails all; one doubt leaves doubt; nothing compared proves nothing."""
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    if Verdict.UNKNOWN in verdicts or not verdicts:
        return Verdict.UNKNOWN
    return Verdict.PASSED
