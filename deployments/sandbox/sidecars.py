"""How the sidecar beside a node is started: the double, or the real clickhouse-backup."""

from pathlib import Path

from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.members import KNOBS_FILE, TEMPORARY_FOLDER, Node, Sidecar
from deployments.sandbox.processes import HOST, Program, python_environment, python_module
from deployments.sandbox.real_sidecar import sidecar_environment
from deployments.sandbox.state import State


def make_sidecar(node: Node, state: State, remote: Path) -> Sidecar | None:
    match state.layout.sidecar:
        case SidecarKind.NONE:
            return None
        case SidecarKind.DOUBLE:
            program = _double(node, state.layout, remote)
            return Sidecar(program, port=node.ports.sidecar, node=node)
        case SidecarKind.REAL:
            program = _real(node, state)
            return Sidecar(program, port=node.ports.sidecar, node=node)


def _double(node: Node, layout: Layout, remote: Path) -> Program:
    home = node.program.home
    environment = python_environment() | {
        "CLICKHOUSE_HTTP_PORT": str(node.ports.http),
        "DOUBLE_KNOBS": str(home / KNOBS_FILE),
        "DOUBLE_DATA_DIR": str(node.data_dir),
        "DOUBLE_REMOTE_DIR": str(remote),
        "DOUBLE_PATH": layout.remote_path,
    }
    return Program(
        name="sidecar",
        arguments=python_module("deployments.sandbox.double"),
        home=home,
        environment=_of_both(layout, node) | environment | dict(layout.environment),
    )


def _real(node: Node, state: State) -> Program:
    assert state.binaries is not None
    layout = state.layout
    environment = sidecar_environment(layout.remote_path, store_port=state.store_port)
    environment["CLICKHOUSE_PORT"] = str(node.ports.native)
    return Program(
        name="sidecar",
        arguments=(str(state.binaries.sidecar), "server"),
        home=node.program.home,
        environment=_of_both(layout, node) | environment | dict(layout.environment),
    )


def _of_both(layout: Layout, node: Node) -> dict[str, str]:
    """Name what the double takes by the names that the real one gave it."""
    return {
        "TMPDIR": str(node.program.home / TEMPORARY_FOLDER),
        "CLICKHOUSE_HOST": HOST,
        "CLICKHOUSE_USERNAME": layout.administrator.name,
        "CLICKHOUSE_PASSWORD": layout.administrator.password,
        "API_LISTEN": f"{HOST}:{node.ports.sidecar}",
        "API_CREATE_INTEGRATION_TABLES": "true",
        "API_BACKUP_ACTIONS_SKIP_COMMANDS": "list",
        "BACKUPS_TO_KEEP_LOCAL": "0",
        "BACKUPS_TO_KEEP_REMOTE": "0",
        "ALLOW_EMPTY_BACKUPS": "false",
    }
