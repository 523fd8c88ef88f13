"""The outcome of a verification: findings as data, and the verdict that follows from them."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from tasks.domain.fingerprint import Verdict
from tasks.domain.outcomes import Line, Outcome, Sheet, overall_verdict
from tasks.domain.verify_request import VerifyLevel


class Finding(BaseModel):
    """One thing that was looked at. `table` empty: it concerns the whole copy of that replica.

    `level`: at which look it came out.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: str
    replica: str
    table: str = ""
    level: VerifyLevel
    verdict: Verdict
    rows: int = 0
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASSED

    @property
    def line(self) -> Line:
        return {
            "shard": self.shard,
            "replica": self.replica,
            "look": self.level.value,
            "table": self.table,
            "verdict": self.verdict.value,
            "rows": self.rows,
            "message": self.message,
        }

    @property
    def sentence(self) -> str:
        return f"{self.table}: {self.message}" if self.table else self.message


class VerifyOutcome(Outcome):
    """`seconds_to_restore`: how long the data of each shard took to come back, in a drill."""

    level: VerifyLevel
    verdict: Verdict = Verdict.UNKNOWN
    findings: tuple[Finding, ...] = ()
    seconds_to_restore: dict[str, float] = Field(default_factory=dict)

    @property
    def measured_seconds(self) -> float | None:
        """Tell the time to restore the whole: shards come back side by side."""
        return max(self.seconds_to_restore.values(), default=None)

    @property
    def facts(self) -> dict[str, str]:
        measured = self.measured_seconds
        return super().facts | {
            "level": self.level.value,
            "verdict": self.verdict.value,
            "tables compared": str(sum(bool(finding.table) for finding in self.findings)),
            "rows": f"{sum(finding.rows for finding in self.findings):,}",
            "time to restore": "not measured" if measured is None else f"{measured:.1f} s",
        }

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        found = tuple(finding.line for finding in self._worst_first)
        sheets = [*super().sheets, Sheet("findings", "What was looked at, and found", found)]
        took = tuple(
            {"shard": shard, "seconds to restore": f"{seconds:.1f}"}
            for shard, seconds in sorted(self.seconds_to_restore.items(), key=lambda one: -one[1])
        )
        return (*sheets, *([Sheet("shards", "Measured time to restore", took)] if took else ()))

    def bounded(self, most: int) -> Self:
        update = {"findings": self._worst_first[:most]}
        return super().bounded(most).model_copy(update=update)

    @property
    def _worst_first(self) -> tuple[Finding, ...]:
        return tuple(sorted(self.findings, key=lambda finding: finding.passed))


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    return overall_verdict(tuple(finding.verdict for finding in findings))
