"""The inventory: a cluster written down in a file, for clusters without Kubernetes."""

from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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

    model_config = ConfigDict(frozen=True, extra="forbid")

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
        except yaml.YAMLError as error:
            message = f"inventory {origin} is not YAML: {error}"
            raise InvalidRequest(message) from error
        try:
            inventory = cls.model_validate(found)
            _ = inventory.topology
        except ValidationError as error:
            message = f"inventory {origin} is not valid: {sentence_of(error)}"
            raise InvalidRequest(message) from error
        return inventory

    def to_yaml(self) -> str:
        text: str = yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)
        return text

    @property
    def topology(self) -> Topology:
        return Topology(installation=self.installation, cluster=self.cluster, shards=self.shards)
