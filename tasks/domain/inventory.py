"""The inventory: a cluster written down in a file, for clusters without Kubernetes."""

from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.domain.errors import InvalidRequest
from tasks.domain.requests import sentence_of
from tasks.domain.topology import Label, Shard, Topology

EnvironmentName = Annotated[str, Field(pattern=r"^CLICKHOUSE_[A-Z0-9_]+$")]


class CredentialNames(BaseModel):
    """Names of environment variables. Values never stand in an inventory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username_env: EnvironmentName = "CLICKHOUSE_USER"
    password_env: EnvironmentName = "CLICKHOUSE_PASSWORD"  # noqa: S105 - a name, not a password


class Inventory(BaseModel):
    """One cluster. `lock` names the replica that holds the lock (default: first by name)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    installation: Label
    cluster: Label
    credentials: CredentialNames | None = None
    lock: Label | None = None
    shards: Annotated[tuple[Shard, ...], Field(min_length=1)]

    @classmethod
    def from_yaml(cls, text: str, *, origin: str) -> Self:
        """Parse a file's text. Raises InvalidRequest naming `origin` and every wrong field."""
        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # without the error's own text: it quotes the file, and somebody may keep secrets there
            mark = getattr(error, "problem_mark", None)
            place = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
            why = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
            message = f"inventory {origin} is not YAML{place}: {why}"
            raise InvalidRequest(message) from None
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            message = f"inventory {origin} is not valid: {sentence_of(error)}"
            raise InvalidRequest(message) from error

    @model_validator(mode="after")
    def _is_one_cluster(self) -> Self:
        names = {replica.name for replica in self.topology.replicas}
        if self.lock is not None and self.lock not in names:
            message = f"lock names {self.lock}, which is not one of the replicas"
            raise ValueError(message)
        return self

    def to_yaml(self) -> str:
        text: str = yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)
        return text

    @property
    def topology(self) -> Topology:
        return Topology(installation=self.installation, cluster=self.cluster, shards=self.shards)
