"""The table of peers. One row each: how a machine shows it, how it installs, who needs it."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BINARIES = CHECKOUT / ".peers" / "bin"
_APISERVER = "k8s.io/kubernetes/cmd/kube-apiserver"
_MODULE = str(CHECKOUT / "tests" / "peers" / "kubernetes")  # its go.sum pins every line of source
# without symbols: the linker is half as long at work
_FLAGS = ("-C", _MODULE, "-trimpath", "-ldflags=-s -w", "-o", f"{BINARIES}/")
_BUILD_APISERVER = ("go", "build", *_FLAGS, _APISERVER)

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


def _old_clickhouse(_: Environment) -> Path | None:
    """Tell it by its library: it does not know its own version, and a modern one has no such."""
    program = Path("/usr/sbin/clickhouse-server")
    library = any(Path("/usr/lib").glob("*/libclickhouse.so.18.16"))
    return program if library and program.exists() else None


def _zookeeper(_: Environment) -> Path | None:
    jar = Path("/usr/share/java/zookeeper.jar")
    return jar if jar.exists() and shutil.which("java") else None


def _debian(package: str) -> tuple[str, ...]:
    """Install without questions, and without starting the service that the package brings."""
    options = "--quiet --yes --no-install-recommends --option DPkg::Lock::Timeout=120"
    quietly = "DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 SYSTEMD_OFFLINE=1"
    install = f"{quietly} apt-get install {options} {package}"
    return ("sh", "-c", f"apt-get update --quiet && {install}")


def _kubernetes_asset(program: str) -> Callable[[Environment], Path | None]:
    """Look first where other projects keep what their tests start."""

    def find(environment: Environment) -> Path | None:
        folder = environment.get("KUBEBUILDER_ASSETS")
        kept = Path(folder or "/usr/local/kubebuilder/bin") / program
        return kept if os.access(kept, os.X_OK) else binary(program, "")(environment)

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
        Peer(
            name="clickhouse-18.16",
            lane="replicated",
            find=_old_clickhouse,
            install=_debian("clickhouse-server"),
            hint="make peers, as root on Debian 12 (package clickhouse-server)",
        ),
        Peer(
            name="etcd",
            lane="kubernetes",
            find=_kubernetes_asset("etcd"),
            install=_debian("etcd-server"),
            hint="make peers, as root on Debian 12 (package etcd-server), or KUBEBUILDER_ASSETS",
        ),
        Peer(
            name="kube-apiserver",
            lane="kubernetes",
            find=_kubernetes_asset("kube-apiserver"),
            install=_BUILD_APISERVER,
            hint="make peers, which needs Go and ten minutes, or KUBEBUILDER_ASSETS",
        ),
        Peer(
            name="zookeeper",
            lane="replicated",
            find=_zookeeper,
            install=_debian("zookeeper default-jre-headless"),
            hint="make peers, as root on Debian 12 (packages zookeeper, default-jre-headless)",
        ),
    )
}
