"""How the sidecar beside a node is started: the double, or the real clickhouse-backup."""

from dataclasses import dataclass
from pathlib import Path

from deployments.sandbox.layout import Layout, Ports, SidecarKind
from deployments.sandbox.members import KNOBS_FILE, Node, Sidecar
from deployments.sandbox.processes import HOST, Program, python_environment, python_module
from deployments.sandbox.real_sidecar import sidecar_binary, sidecar_environment, temporary_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where backups go: a folder, and the port of the S3 server over it if there is one."""

    folder: Path
    store_port: int


def make_sidecar(node: Node, layout: Layout, ports: Ports, remote: Remote) -> Sidecar | None:
    match layout.sidecar:
        case SidecarKind.NONE:
            return None
        case SidecarKind.DOUBLE:
            program = _double(node, layout, ports, remote.folder)
            return Sidecar(program, port=ports.sidecar, node=node)
        case SidecarKind.REAL:
            program = _real(node, layout, ports, remote.store_port)
            return Sidecar(program, port=ports.sidecar, node=node)


def _double(node: Node, layout: Layout, ports: Ports, remote: Path) -> Program:
    home = node.program.home
    environment = python_environment() | {
        "TMPDIR": str(temporary_folder(home)),
        "CLICKHOUSE_HTTP_PORT": str(ports.http),
        "DOUBLE_KNOBS": str(home / KNOBS_FILE),
        "DOUBLE_DATA_DIR": str(node.data_dir),
        "DOUBLE_REMOTE_DIR": str(remote),
        "DOUBLE_PATH": layout.remote_path,
    }
    return Program(
        name="sidecar",
        arguments=python_module("deployments.sandbox.double"),
        home=home,
        environment=_of_both(layout, ports) | environment | dict(layout.environment),
    )


def _real(node: Node, layout: Layout, ports: Ports, store_port: int) -> Program:
    home = node.program.home
    environment = sidecar_environment(layout.remote_path, home=home, store_port=store_port)
    environment["CLICKHOUSE_PORT"] = str(ports.native)
    return Program(
        name="sidecar",
        arguments=(str(sidecar_binary()), "server"),
        home=home,
        environment=_of_both(layout, ports) | environment | dict(layout.environment),
    )


def _of_both(layout: Layout, ports: Ports) -> dict[str, str]:
    """Name what the double takes by the names that the real one gave it."""
    return {
        "CLICKHOUSE_HOST": HOST,
        "CLICKHOUSE_USERNAME": layout.administrator.name,
        "CLICKHOUSE_PASSWORD": layout.administrator.password,
        "API_LISTEN": f"{HOST}:{ports.sidecar}",
        "API_CREATE_INTEGRATION_TABLES": "true",
        "API_BACKUP_ACTIONS_SKIP_COMMANDS": "list",
        "BACKUPS_TO_KEEP_LOCAL": "0",
        "BACKUPS_TO_KEEP_REMOTE": "0",
        "ALLOW_EMPTY_BACKUPS": "false",
    }
