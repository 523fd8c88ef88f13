"""What can be asked of a prune: a policy for what is in reach, or names."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.domain.names import checked_backup_name, checked_label
from tasks.domain.requests import Options, as_value_error, validated
from tasks.domain.retention import Reach
from tasks.domain.retention_policy import RetentionPolicy


class PruneOptions(Options):
    """What a prune rarely needs."""

    grace_hours: int = Field(
        default=24,
        ge=0,
        le=24 * 366,
        description="How long after it was first seen a broken leftover stays.",
    )


class PruneRequest(BaseModel):
    """One prune of a whole cluster's backups. `names` and the policy exclude each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: RetentionPolicy = RetentionPolicy()
    names: tuple[str, ...] = ()
    cascade: bool = False
    prefix: str = ""
    schedule: str = ""
    dry_run: bool = False
    approved_plan: str | None = None
    options: PruneOptions = PruneOptions()

    @classmethod
    def from_form(cls, **fields: Any) -> Self:
        """Build from loose values: those of the policy lie flat beside the others.

        Raises InvalidRequest with a sentence for each wrong field.
        """
        of_policy = {
            name: fields.pop(name) for name in RetentionPolicy.model_fields.keys() & fields
        }
        options = fields.get("options", PruneOptions())
        of_policy.setdefault("grace_hours", options.grace_hours)
        return validated(cls, {**fields, "policy": validated(RetentionPolicy, of_policy)})

    @field_validator("names")
    @classmethod
    def _names_are_usable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: tuple(checked_backup_name(name) for name in names))

    @field_validator("prefix")
    @classmethod
    def _prefix_begins_a_name(cls, prefix: str) -> str:
        if prefix:
            as_value_error(lambda: checked_backup_name(f"{prefix}x"))
        return prefix

    @field_validator("schedule")
    @classmethod
    def _schedule_is_a_label(cls, schedule: str) -> str:
        return as_value_error(lambda: checked_label(schedule)) if schedule else ""

    @model_validator(mode="after")
    def _parts_make_sense_together(self) -> Self:
        if self.names and (self.policy.rules or self.policy.pins or self.prefix or self.schedule):
            message = "names say what goes: rules, pins, prefix and schedule contradict them"
            raise ValueError(message)
        if self.cascade and not self.names:
            message = "cascade says what goes with the names: it needs names"
            raise ValueError(message)
        if self.policy.keep_last_remote and self.schedule:
            message = "keep_last_remote counts what no schedule made: schedule contradicts it"
            raise ValueError(message)
        return self

    @property
    def reach(self) -> Reach:
        """Tell which backups rules are about."""
        if self.policy.keep_last_remote:
            return Reach(prefix=self.prefix, schedule="")
        return Reach(prefix=self.prefix, schedule=self.schedule or None)

    def without_options(self) -> dict[str, Any]:
        """Tell what is asked for, apart from how patiently: the identity of a rerun."""
        return self.model_dump(
            mode="json", exclude={"options", "approved_plan"}, exclude_defaults=True
        )
