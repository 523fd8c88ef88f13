"""What can be asked of a verification, validated whole before anything is sent."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from tasks.domain.names import LATEST, OLDEST, checked_backup_name
from tasks.domain.requests import Options, as_value_error, validated


class VerifyLevel(StrEnum):
    """How much is looked at; each level looks at what the one before does, and at more."""

    LISTING = "listing"
    DOWNLOAD = "download"
    RESTORE = "restore"


# a form offers the levels, and another word is refused in one sentence wherever it was typed
LevelWord = Annotated[str, WithJsonSchema({"type": "string", "enum": [*VerifyLevel]})]


class VerifyOptions(Options):
    """What a verification rarely needs."""

    max_download_bytes_per_second: int | None = Field(
        default=None, ge=1, description="Bandwidth limit of each sidecar's download."
    )
    keep_free_bytes: int = Field(
        default=2**30,
        ge=0,
        description="How much of a server's disk must stay free beside what is downloaded.",
    )


class VerifyRequest(BaseModel):
    """One verification of one backup on every shard. `backup` LATEST or OLDEST: of such a point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backup: str
    level: VerifyLevel = VerifyLevel.RESTORE
    drill_target: str = ""
    options: VerifyOptions = VerifyOptions()

    @classmethod
    def from_form(cls, **fields: Any) -> Self:
        """Build from loose values. Raises InvalidRequest with a sentence for each wrong field."""
        return validated(cls, fields)

    @field_validator("backup")
    @classmethod
    def _name_is_usable(cls, name: str) -> str:
        return (
            name if name in {LATEST, OLDEST} else as_value_error(lambda: checked_backup_name(name))
        )

    @field_validator("drill_target")
    @classmethod
    def _drill_stays_at_home(cls, target: str) -> str:
        if target:
            message = (
                f"a drill on another cluster ({target!r}) is not supported: leave it empty, and "
                "each shard is restored into scratch databases of its own servers"
            )
            raise ValueError(message)
        return target

    @property
    def selects(self) -> bool:
        """Tell whether the backup is chosen rather than named."""
        return self.backup in {LATEST, OLDEST}

    def of(self, name: str) -> Self:
        return self.model_copy(update={"backup": name})

    def without_options(self) -> dict[str, Any]:
        """Tell what is asked for, apart from how patiently: the identity of a rerun."""
        return self.model_dump(mode="json", exclude={"options"}, exclude_defaults=True)
