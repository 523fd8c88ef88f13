"""The cluster as an operation sees it: shards, replicas, and where each server answers."""

from collections import Counter
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Label = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Replica(BaseModel):
    """One ClickHouse server with its own sidecar. `port` is that of the HTTP interface."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Label
    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:\[\]-]+$")]
    port: Port = 8123
    secure: bool = False


class Shard(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Label
    replicas: Annotated[tuple[Replica, ...], Field(min_length=1)]


class Topology(BaseModel):
    """Shards in order. Replica names and addresses are unique over the whole cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    installation: Label
    cluster: Label
    shards: Annotated[tuple[Shard, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_server_stands_twice(self) -> Self:
        _unique("shard", [shard.name for shard in self.shards])
        _unique("replica", [replica.name for replica in self.replicas])
        _unique("address", [f"{replica.host}:{replica.port}" for replica in self.replicas])
        return self

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return tuple(replica for shard in self.shards for replica in shard.replicas)


def _unique(what: str, values: list[str]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            message = f"{what} {value} stands twice"
            raise ValueError(message)
