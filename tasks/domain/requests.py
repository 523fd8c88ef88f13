"""What can be asked for, validated whole before anything is sent."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tasks.domain.errors import InvalidRequest
from tasks.domain.names import checked_backup_name, checked_label
from tasks.domain.tables import checked_partitions, checked_patterns

_T = TypeVar("_T")
_M = TypeVar("_M", bound=BaseModel)

_KEPT_BESIDES = {"rbac", "configs", "named_collections"}  # options that change what is stored
_USUAL_CHAIN = 7  # a week of nightly backups

AUTO, NONE = "auto", "none"

Seconds = Annotated[int, Field(ge=1, le=30 * 24 * 3600)]


class ReplicaSelection(StrEnum):
    """Which replicas of a shard take part in a backup."""

    FIRST_PER_SHARD = "FirstPerShard"
    ALL_REPLICAS = "AllReplicas"


class Scope(StrEnum):
    """How much of a cluster a backup holds."""

    FULL = "full"
    PARTIAL = "partial"
    SCHEMA = "schema"


class Options(BaseModel):
    """How patient and how wide an operation is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(
        default=1000, ge=1, le=10_000, description="How many replicas are worked on at once."
    )
    action_timeout_seconds: Seconds = Field(
        default=24 * 3600, description="How long one sidecar command may take."
    )
    busy_timeout_seconds: Seconds = Field(
        default=600,
        description="How long to wait for others: for the cluster's lock, and for a busy sidecar.",
    )
    lease_seconds: int = Field(
        default=60, ge=4, le=3600, description="How long a silent holder keeps the cluster's lock."
    )


class BackupOptions(Options):
    """What a backup rarely needs."""

    max_upload_bytes_per_second: int | None = Field(
        default=None, ge=1, description="Bandwidth limit of each sidecar's upload."
    )
    rbac: bool = Field(default=False, description="Also keep users, roles, quotas and policies.")
    configs: bool = Field(default=False, description="Also keep the server's configuration files.")
    named_collections: bool = Field(default=False, description="Also keep named collections.")
    full_every_count: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many backups, the full one included, `auto` chains before the next full "
        f"one; {_USUAL_CHAIN} where full_every_hours is not given either.",
    )
    full_every_hours: int | None = Field(
        default=None,
        ge=1,
        le=24 * 366,
        description="How old, in hours, the full backup of a chain gets before `auto` makes the "
        "next one.",
    )

    @property
    def longest_chain(self) -> int | None:
        """How many backups a chain may have; None: its age alone decides."""
        if self.full_every_count is None and self.full_every_hours is None:
            return _USUAL_CHAIN
        return self.full_every_count


class ListOptions(Options):
    """What a list rarely needs."""

    busy_timeout_seconds: Seconds = Field(
        default=30,
        description="How long to wait for others before manifests not known yet are left unread.",
    )


class AbortOptions(Options):
    """What an abort rarely needs."""

    action_timeout_seconds: Seconds = Field(
        default=300, description="How long to wait until a command that was killed has ended."
    )


class BackupRequest(BaseModel):
    """One backup of a whole cluster. `backup_name` None: named after the installation and time.

    `incremental`: AUTO, NONE or the name of the base.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backup_name: str | None = None
    tables: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    schema_only: bool = False
    replica_selection: ReplicaSelection = ReplicaSelection.FIRST_PER_SHARD
    incremental: str = NONE
    schedule: str = ""
    options: BackupOptions = BackupOptions()

    @classmethod
    def from_form(cls, **fields: Any) -> Self:
        """Build from loose values. Raises InvalidRequest with a sentence for each wrong field."""
        return validated(cls, fields)

    @field_validator("backup_name")
    @classmethod
    def _name_is_usable(cls, name: str | None) -> str | None:
        return None if name is None else as_value_error(lambda: checked_backup_name(name))

    @field_validator("tables")
    @classmethod
    def _patterns_are_usable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: checked_patterns(patterns))

    @field_validator("partitions")
    @classmethod
    def _partitions_are_ids(cls, partitions: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: checked_partitions(partitions))

    @field_validator("incremental")
    @classmethod
    def _base_is_usable(cls, base: str) -> str:
        return as_value_error(lambda: checked_backup_name(base))

    @field_validator("schedule")
    @classmethod
    def _schedule_is_a_label(cls, schedule: str) -> str:
        return as_value_error(lambda: checked_label(schedule)) if schedule else ""

    @model_validator(mode="after")
    def _parts_make_sense_together(self) -> Self:
        if self.schema_only and self.partitions:
            message = "schema_only keeps no rows: partitions contradict it"
            raise ValueError(message)
        if self.schema_only and self.incremental != NONE:
            message = "schema_only keeps no rows: there is nothing to be incremental about"
            raise ValueError(message)
        if self.base is not None and self.base == self.backup_name:
            message = f"{self.base} cannot be the base of itself"
            raise ValueError(message)
        return self

    def without_options(self) -> dict[str, Any]:
        """Tell what is asked for, apart from how patiently: the identity of a rerun."""
        # what is left as it is by default: a newer version may know more of that
        asked = self.model_dump(mode="json", exclude={"options"}, exclude_defaults=True)
        return asked | self.options.model_dump(include=_KEPT_BESIDES, exclude_defaults=True)

    @property
    def base(self) -> str | None:
        """The base that was named; None where none was, or a usable one is looked for."""
        return None if self.incremental in {AUTO, NONE} else self.incremental

    @property
    def selection(self) -> tuple[str, ...]:
        """What was chosen of all tables and partitions; empty: all."""
        return tuple(sorted((*self.tables, *self.partitions)))

    @property
    def scope(self) -> Scope:
        if self.schema_only:
            return Scope.SCHEMA
        return Scope.PARTIAL if self.tables or self.partitions else Scope.FULL


def as_value_error(check: Callable[[], _T]) -> _T:
    """Let a check of ours refuse a field of a model."""
    try:
        return check()
    except InvalidRequest as error:
        raise ValueError(str(error)) from error


def validated(model: type[_M], fields: dict[str, Any]) -> _M:
    """Build a request. Raises InvalidRequest with a sentence for each wrong field."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(sentence_of(error)) from error


def sentence_of(error: ValidationError) -> str:
    """One line for a person: every wrong field and what is wrong with it."""
    faults = (
        (".".join(str(step) for step in fault["loc"]), fault["msg"].removeprefix("Value error, "))
        for fault in error.errors()
    )
    return "; ".join(f"{where}: {what}" if where else what for where, what in faults)
