"""The table of peers. One row each: how a machine shows it, how it installs, who needs it."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BINARIES = CHECKOUT / ".peers" / "bin"

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One foreign program.

    `find` answers with a path or None. `wanted` is false on machines whose tests would never
    reach for it. Without `install` a person has to bring it, and `hint` says how; such a peer is
    never demanded, since no CI machine could have it.
    """

    name: str
    lane: str
    find: Callable[[Environment], Path | None]
    hint: str
    wanted: Callable[[Environment], bool] = field(default=lambda _: True)
    install: tuple[str, ...] = ()


def binary(program: str, variable: str) -> Callable[[Environment], Path | None]:
    """Look where the variable says, then among our own installs, then on the path."""

    def find(environment: Environment) -> Path | None:
        named = environment.get(variable)
        if named:
            return Path(named) if os.access(named, os.X_OK) else None
        installed = BINARIES / program
        if installed.exists():
            return installed
        on_path = shutil.which(program)
        return Path(on_path) if on_path else None

    return find


def _only_named(variable: str) -> Callable[[Environment], Path | None]:
    def find(environment: Environment) -> Path | None:
        named = environment.get(variable, "")
        return Path(named) if named and os.access(named, os.X_OK) else None

    return find


def _package(module: str) -> Callable[[Environment], Path | None]:
    def find(_: Environment) -> Path | None:
        spec = importlib.util.find_spec(module)
        return Path(spec.origin) if spec and spec.origin else None

    return find


def _has_real_sidecar(environment: Environment) -> bool:
    return bool(environment.get("CLICKHOUSE_BACKUP_BIN"))


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name="chdb",
            lane="sandbox",
            find=_package("chdb"),
            hint="it comes with the extra `sandbox`: uv sync --extra dev",
        ),
        Peer(
            name="clickhouse-backup",
            lane="real_sidecar",
            find=_only_named("CLICKHOUSE_BACKUP_BIN"),
            wanted=_has_real_sidecar,
            hint="build it and name the program in CLICKHOUSE_BACKUP_BIN",
        ),
        Peer(
            name="versitygw",
            lane="real_sidecar",
            find=binary("versitygw", "VERSITYGW_BIN"),
            wanted=_has_real_sidecar,
            install=("go", "install", "github.com/versity/versitygw/cmd/versitygw@v1.8.0"),
            hint="make peers, which needs Go",
        ),
    )
}
