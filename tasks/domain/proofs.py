"""Proofs: what a verification found out about a backup, kept in the journals."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from tasks.domain.fingerprint import Verdict


class Proof(BaseModel):
    """One verification of one backup, bound to the operation that made it: a name may be reused.

    `seconds`: how long the data of each shard took to come back; only a drill measures it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    verification_id: str
    backup_name: str
    backup_operation_id: str
    level: str
    verdict: Verdict
    at: datetime
    seconds: dict[str, float] = {}

    @property
    def seconds_to_restore(self) -> float | None:
        """Measured time to restore of the whole: shards come back side by side."""
        return max(self.seconds.values(), default=None)
