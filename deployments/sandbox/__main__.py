"""Command line of the sandbox: bring an embedded cluster up, look at it, take it down."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.processes import HOST, Process, SandboxError

DIRECTORY = Path(".sandbox")
DONE, FAILED = 0, 1


def main() -> int:
    arguments = _parse()
    try:
        match arguments.action:
            case "up":
                return up(arguments)
            case "down":
                return down(arguments.directory)
            case _:
                return status(arguments.directory)
    except SandboxError as error:
        print(error, file=sys.stderr)
        return FAILED


def up(arguments: argparse.Namespace) -> int:
    """Harmless on a running sandbox, whatever layout is asked for: only what died is started."""
    if (running := _running(arguments.directory)) is not None:
        print(f"The sandbox in {arguments.directory} runs already.")
        running.start_what_is_down()
        show(running)
        return DONE
    show(Cluster.start(arguments.directory, _layout(arguments), bound_to_me=False))
    return DONE


def down(directory: Path) -> int:
    Cluster.attach(directory).stop()
    print(f"The sandbox in {directory} is down. Its data stay: `up` brings it back.")
    return DONE


def status(directory: Path) -> int:
    cluster = Cluster.attach(directory)
    show(cluster)
    return DONE if cluster.running else FAILED


def show(cluster: Cluster) -> None:
    rows = [("SHARD", "REPLICA", "NODE", "SIDECAR")]
    rows += [
        (
            member.shard,
            member.replica,
            _address(member.node, member.node.http_port),
            _address(member.sidecar, member.sidecar.port) if member.sidecar else "none",
        )
        for member in cluster.members
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"sidecars: {_describe(cluster.layout.sidecar)}")
    print(f"inventory: {cluster.inventory_path}")


def _address(process: Process, port: int) -> str:
    return f"{HOST}:{port}" if process.alive else "down"


def _describe(kind: SidecarKind) -> str:
    match kind:
        case SidecarKind.DOUBLE:
            return "double of clickhouse-backup"
        case SidecarKind.REAL:
            return "the real clickhouse-backup, with versitygw as its S3"
        case SidecarKind.NONE:
            return "none"


def _layout(arguments: argparse.Namespace) -> Layout:
    """Take what is asked for; for the rest what the directory holds already, or the defaults."""
    try:
        before = Cluster.attach(arguments.directory).layout
    except SandboxError:
        before = Layout(shards=2, sidecar=_kind_at_hand())
    asked = {
        name: value
        for name in ("shards", "replicas", "sidecar")
        if (value := getattr(arguments, name)) is not None
    }
    return replace(before, **asked)


def _kind_at_hand() -> SidecarKind:
    return SidecarKind.REAL if os.environ.get("CLICKHOUSE_BACKUP_BIN") else SidecarKind.DOUBLE


def _running(directory: Path) -> Cluster | None:
    try:
        cluster = Cluster.attach(directory)
    except SandboxError:
        return None
    return cluster if any(process.alive for process in cluster.processes) else None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.sandbox", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    for action in ("up", "down", "status"):
        command = actions.add_parser(action)
        command.add_argument("--directory", type=Path, default=DIRECTORY)
        if action == "up":
            command.add_argument("--shards", type=int)
            command.add_argument("--replicas", type=int)
            command.add_argument("--sidecar", type=SidecarKind, choices=list(SidecarKind))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
