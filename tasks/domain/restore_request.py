"""What can be asked of a restore, validated whole before anything is sent."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.domain.errors import InvalidRequest
from tasks.domain.lock import PREEMPTIBLE
from tasks.domain.names import LATEST, checked_backup_name, checked_source_name, undone_by
from tasks.domain.requests import Options, Seconds, as_value_error, validated
from tasks.domain.tables import checked_mapping, checked_partitions, checked_patterns


class Mode(StrEnum):
    """What becomes of tables that stand under the backup's names."""

    REFUSE = ""  # they must be empty, unless `overwrite`
    MISSING = "missing"  # they are left alone: only what does not stand is restored
    BESIDE = "beside"  # they are left alone: rows are brought back into other databases


class RestoreOptions(Options):
    """What a restore rarely needs."""

    preempt: bool = Field(
        default=False,
        description="Abort a backup, verify or prune that holds the cluster's lock, and go on.",
    )
    max_download_bytes_per_second: int | None = Field(
        default=None, ge=1, description="Bandwidth limit of each sidecar's download."
    )
    catch_up_timeout_seconds: Seconds = Field(
        default=6 * 3600,
        description="How long replicas may take to get what another one attached.",
    )
    keep_safety_copy: bool = Field(
        default=True, description="Keep what an overwriting restore replaced, as a local copy."
    )
    keep_safety_copy_hours: int = Field(
        default=7 * 24,
        ge=0,
        le=24 * 366,
        description="After how many hours a later backup or restore deletes that copy.",
    )


class RestoreRequest(BaseModel):
    """One restore of a whole cluster from the backup `backup`.

    `backup` LATEST: the newest one, of those whose names begin with `latest_of`, at or `before`.
    `tables` and `partitions` narrow it to some; `data_only` fills tables that stand, and are empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backup: str
    from_installation: str = ""
    latest_of: str = ""
    before: datetime | None = None
    tables: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    mode: Mode = Mode.REFUSE
    database_mapping: tuple[str, ...] = ()
    overwrite: bool = False
    schema_only: bool = False
    data_only: bool = False
    accept_loss: tuple[str, ...] = ()
    dry_run: bool = False
    approved_plan: str | None = None
    options: RestoreOptions = RestoreOptions()

    @classmethod
    def from_form(cls, **fields: Any) -> Self:
        """Build from loose values. Raises InvalidRequest with a sentence for each wrong field."""
        return validated(cls, fields)

    @model_validator(mode="before")
    @classmethod
    def _overwriting_has_one_name(cls, form: Any) -> Any:
        if isinstance(form, dict) and form.get("mode") == "overwrite":
            return form | {"mode": Mode.REFUSE, "overwrite": True}
        return form

    @field_validator("backup")
    @classmethod
    def _name_is_usable(cls, name: str) -> str:
        return name if name == LATEST else as_value_error(lambda: checked_source_name(name))

    @field_validator("latest_of")
    @classmethod
    def _prefix_is_usable(cls, prefix: str) -> str:
        return as_value_error(lambda: prefix and checked_backup_name(prefix.rstrip(".")) and prefix)

    @field_validator("database_mapping")
    @classmethod
    def _databases_are_usable(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: checked_mapping(pairs))

    @field_validator("before", mode="before")
    @classmethod
    def _time_has_a_zone(cls, given: Any) -> datetime | None:
        return None if given in (None, "") else as_value_error(lambda: _checked_time(str(given)))

    @field_validator("tables", "accept_loss")
    @classmethod
    def _patterns_name_tables(cls, tables: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: checked_patterns(tables))

    @field_validator("partitions")
    @classmethod
    def _partitions_are_ids(cls, partitions: tuple[str, ...]) -> tuple[str, ...]:
        return as_value_error(lambda: checked_partitions(partitions))

    @model_validator(mode="after")
    def _parts_make_sense_together(self) -> Self:
        for contradicts, message in _CONTRADICTIONS:
            if contradicts(self):
                raise ValueError(message)
        return self

    @property
    def databases(self) -> dict[str, str]:
        """Tell into which database each one goes, where that was asked for."""
        split = (pair.partition(":") for pair in self.database_mapping)
        return {source: target for source, _, target in split}

    @property
    def selects(self) -> bool:
        """Tell whether the backup is still to be chosen."""
        return self.backup == LATEST

    def of(self, name: str) -> Self:
        """Name the backup that was chosen."""
        return self.model_copy(update={"backup": name, "latest_of": "", "before": None})

    @property
    def by_partition(self) -> bool:
        """Tell whether rows go into tables that stand, partition by partition."""
        return self.data_only or bool(self.partitions)

    @property
    def preempts(self) -> frozenset[str]:
        """Tell which operations need not be waited for."""
        return PREEMPTIBLE if self.options.preempt and not self.dry_run else frozenset()

    @property
    def undoes(self) -> str | None:
        """Tell which restore is undone; None where a backup is restored."""
        return undone_by(self.backup)

    @property
    def keeps_safety_copy(self) -> bool:
        return self.overwrite and self.options.keep_safety_copy

    def without_options(self) -> dict[str, Any]:
        """Tell what is asked for, apart from how patiently: the identity of a rerun."""
        # what is left as it is by default: a newer version may know more of that
        return self.model_dump(
            mode="json", exclude={"options", "approved_plan"}, exclude_defaults=True
        )


_CONTRADICTIONS: tuple[tuple[Callable[[RestoreRequest], object], str], ...] = (
    (
        lambda asked: (asked.latest_of or asked.before) and not asked.selects,
        f"latest_of and before choose a backup: they need backup={LATEST!r}",
    ),
    (
        lambda asked: asked.accept_loss and not asked.overwrite,
        "accept_loss says what overwrite may destroy: it needs overwrite",
    ),
    (
        lambda asked: asked.schema_only and (asked.partitions or asked.data_only),
        "schema_only brings no rows: partitions and data_only contradict it",
    ),
    (
        lambda asked: asked.data_only and asked.overwrite and not asked.partitions,
        "data_only fills empty tables: overwrite contradicts it",
    ),
    (
        lambda asked: asked.database_mapping and asked.mode is not Mode.BESIDE,
        "database_mapping says where tables go that are restored beside: mode='beside'",
    ),
    (
        lambda asked: asked.mode is Mode.BESIDE and asked.schema_only,
        "mode='beside' brings rows back, and definitions only with them: no schema_only",
    ),
    (
        lambda asked: asked.mode is not Mode.REFUSE and (asked.overwrite or asked.data_only),
        "mode 'missing' or 'beside' changes no table: overwrite and data_only do",
    ),
    (
        lambda asked: asked.mode is Mode.MISSING and asked.partitions,
        "mode='missing' restores whole tables: partitions contradict it",
    ),
    (
        lambda asked: asked.undoes and (asked.tables or asked.by_partition or asked.mode),
        "a restore is undone whole: leave tables, partitions, data_only and mode out",
    ),
)


def _checked_time(text: str) -> datetime:
    """Read a time that names its zone; InvalidRequest where it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        message = f"{text!r} is no time with its zone, such as 2026-03-01T03:00:00+01:00"
        raise InvalidRequest(message)
    return found
