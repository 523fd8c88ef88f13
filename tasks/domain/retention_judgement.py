"""Judgements on backups: keep, delete or leave, and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

NEEDS_IT = "needs it: name that one too, or say cascade"


class Fate(StrEnum):
    """What is to become of a backup."""

    KEEP = "keep"
    DELETE = "delete"
    LEAVE = "leave"  # not ours to judge, or nobody can tell


class Decision(BaseModel):
    """One backup and its fate. `hindered`: it is to go, and something stands in the way."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    fate: Fate
    why: str
    hindered: bool = False
    at: datetime
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    fate: Fate
    why: str
    hindered: bool = False

    def but(self, why: str) -> "Judgement":
        """Let it stay, though it was to go."""
        return Judgement(Fate.LEAVE, why, hindered=True)


Judgements = dict[str, Judgement]
