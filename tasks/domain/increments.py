"""What increments saved: the bytes that were frozen against those that had to be sent."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.domain.units import human_size


class Increment(BaseModel):
    """One replica's share of a backup that was to be incremental. `base` empty: a full one, `why`.

    `frozen_bytes` is what its parts take on the server's disk, `sent_bytes` what was uploaded.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    shard: str
    replica: str
    base: str = ""
    why: str = ""
    frozen_bytes: int = 0
    sent_bytes: int = 0

    @property
    def line(self) -> dict[str, Any]:
        return {
            "shard": self.shard,
            "replica": self.replica,
            "builds on": self.base or "nothing (full)",
            "frozen": human_size(self.frozen_bytes),
            "sent": human_size(self.sent_bytes),
            "why": self.why,
        }


def saving(increments: Sequence[Increment]) -> str:
    """Say in one line what was built on, and how much that saved."""
    built = [increment for increment in increments if increment.base]
    if not built:
        return "nothing: the backup is full"
    bases = ", ".join(sorted({increment.base for increment in built}))
    full = len(increments) - len(built)
    also = f" ({full} of {len(increments)} in full)" if full else ""
    frozen = sum(increment.frozen_bytes for increment in increments)
    sent = sum(increment.sent_bytes for increment in increments)
    percent = max(0, 100 * (frozen - sent)) // frozen if frozen else 0
    figures = f"{human_size(sent)} sent for {human_size(frozen)} frozen, {percent} % saved"
    return f"{bases}{also}: {figures}"
