"""The retention policy: which backups rules keep. Every rule keeps something; none of them deletes.

A backup goes only when no rule keeps it, so that one more rule, or a higher number, never deletes
more than before.
"""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.domain.errors import InvalidRequest
from tasks.domain.names import checked_backup_name

Count = Annotated[int, Field(ge=0, le=100_000)]


class RetentionPolicy(BaseModel):
    """What is kept of one series of backups. A rule that is 0 is no rule.

    `minimum_kept` and `pins` protect what rules would give up; they are no rules.
    `keep_last_remote` is `keep_last` for the backups that no schedule made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep_last: Count = 0
    keep_last_remote: Count = 0
    max_age_days: Annotated[int, Field(ge=0, le=36_525)] = 0
    hourly: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    minimum_kept: Annotated[int, Field(ge=1, le=100_000)] = 1
    pins: tuple[str, ...] = ()
    grace_hours: Annotated[int, Field(ge=0, le=24 * 366)] = 24
    time_zone: str = "UTC"

    @field_validator("pins")
    @classmethod
    def _pins_are_names(cls, pins: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(checked_backup_name(pin) for pin in pins)
        except InvalidRequest as error:
            raise ValueError(str(error)) from error

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"there is no time zone {name!r}: write it like Europe/Berlin"
            raise ValueError(message) from error
        return name

    @model_validator(mode="after")
    def _counts_are_of_one_kind(self) -> "RetentionPolicy":
        if self.keep_last and self.keep_last_remote:
            message = (
                "keep_last counts every backup in reach, keep_last_remote those without a "
                "schedule: choose one"
            )
            raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def rules(self) -> dict[str, int]:
        """The rules that are set, in the words in which they were given."""
        numbers = {
            "keep_last": self.keep_last,
            "keep_last_remote": self.keep_last_remote,
            "max_age_days": self.max_age_days,
            "hourly": self.hourly,
            "daily": self.daily,
            "weekly": self.weekly,
            "monthly": self.monthly,
        }
        return {rule: number for rule, number in numbers.items() if number}
