"""The outcome of a verification: findings as data, and the verdict that follows from them."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from tasks.domain.fingerprint import Verdict
from tasks.domain.outcomes import Outcome, overall_verdict
from tasks.domain.verify_request import VerifyLevel


class Finding(BaseModel):
    """One thing that was looked at. `table` empty: it concerns the whole copy of that replica."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: str
    replica: str
    table: str = ""
    verdict: Verdict
    rows: int = 0
    message: str = ""

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


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    return overall_verdict(tuple(finding.verdict for finding in findings))
