"""Proofs: what a verification found out about a backup, kept in the journals."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.domain.fingerprint import Verdict

LEVELS = ("listing", "download", "restore")  # each proves what those before it do, and more


class Proof(BaseModel):
    """One verification of one backup, bound to the operation that made it: a name may be reused.

    `seconds`: how long the data of each shard took to come back; only a drill measures it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    verification_id: str
    backup_name: str
    backup_operation_id: str
    level: Literal["listing", "download", "restore"]
    verdict: Verdict
    at: datetime
    seconds: dict[str, float] = {}

    @property
    def is_drill(self) -> bool:
        """Tell whether all rows came back, and were what they had been."""
        return self.level == LEVELS[-1] and self.verdict is Verdict.PASSED

    @property
    def seconds_to_restore(self) -> float | None:
        """Measured time to restore of the whole: shards come back side by side."""
        return max(self.seconds.values(), default=None)


def standing_proof(proofs: Iterable[Proof]) -> Proof | None:
    """Choose what to go by: a failure stands until a try that goes as far passes; else the most.

    `proofs`: the oldest first.
    """
    failed = passed = None
    for proof in proofs:
        if proof.verdict is Verdict.FAILED:
            failed = proof
        if proof.verdict is Verdict.PASSED:
            passed = proof if passed is None or _reaches(proof, passed) else passed
            failed = None if failed and _reaches(proof, failed) else failed
    return failed or passed


def _reaches(proof: Proof, other: Proof) -> bool:
    return LEVELS.index(proof.level) >= LEVELS.index(other.level)
