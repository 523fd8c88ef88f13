"""What a sandbox consists of: how many nodes, which sidecars, who may log in."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from deployments.sandbox.users import User


class SidecarKind(StrEnum):
    DOUBLE = "double"
    REAL = "real"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`environment` goes to every sidecar. `remote_path` may name `{shard}` and `{replica}`.

    `remote` is the folder that stands for the object store; clusters may share one. By default
    it lies in the cluster's own directory.
    """

    shards: int = 1
    replicas: int = 1
    sidecar: SidecarKind = SidecarKind.DOUBLE
    users: tuple[User, ...] = (User(),)
    environment: Mapping[str, str] = field(default_factory=dict)
    remote_path: str = "backup/shard-{shard}"
    remote: Path | None = None
    native: bool = False
    installation: str = "demo"
    cluster: str = "main"

    @property
    def administrator(self) -> User:
        """Whom the sidecars and the sandbox itself log in as."""
        return next(user for user in self.users if not user.readonly)

    @property
    def has_native_interface(self) -> bool:
        """The real sidecar speaks no other protocol."""
        return self.native or self.sidecar is SidecarKind.REAL

    @property
    def places(self) -> Iterator[tuple[str, str]]:
        """Shard and replica name of each node, in order."""
        for shard in range(self.shards):
            for replica in range(self.replicas):
                yield str(shard), f"chi-{self.installation}-{self.cluster}-{shard}-{replica}"

    def macros(self, shard: str, replica: str) -> dict[str, str]:
        """Name what a server of that place finds in `system.macros`."""
        return {
            "installation": self.installation,
            "cluster": self.cluster,
            "shard": shard,
            "replica": replica,
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"remote": str(self.remote) if self.remote else None}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        remote = fields["remote"]
        users = tuple(User(**user) for user in fields["users"])
        sidecar = SidecarKind(fields["sidecar"])
        return cls(
            **fields
            | {"users": users, "sidecar": sidecar, "remote": Path(remote) if remote else None}
        )
