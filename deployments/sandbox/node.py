"""The program of one node: the engine on one data path, with its interfaces. Ends on SIGTERM."""

import argparse
import os
import signal
import threading
from pathlib import Path
from socketserver import BaseServer

from deployments.sandbox.engine import Engine
from deployments.sandbox.http_interface import HttpInterface
from deployments.sandbox.native_interface import NativeInterface
from deployments.sandbox.processes import HOST
from deployments.sandbox.users import Users

# How long an end may wait for an interface to notice it.
POLL_SECONDS = 0.1


def main() -> None:
    arguments = _parse()
    end = _end_asked_for()
    engine = Engine(arguments.data, arguments.config)
    interfaces = _interfaces(arguments, engine)
    for interface in interfaces:
        threading.Thread(target=interface.serve_forever, args=(POLL_SECONDS,), daemon=True).start()
    print(f"ready: ClickHouse {engine.version}, http {arguments.http_port}", flush=True)
    os.read(end, 1)
    for interface in interfaces:
        interface.shutdown()
        interface.server_close()
    engine.close()


def _interfaces(arguments: argparse.Namespace, engine: Engine) -> tuple[BaseServer, ...]:
    users = Users.from_file(arguments.users)
    name = arguments.name
    http = HttpInterface((HOST, arguments.http_port), engine=engine, users=users, name=name)
    if not arguments.native_port:
        return (http,)
    native = NativeInterface((HOST, arguments.native_port), engine=engine, users=users, name=name)
    return (http, native)


def _end_asked_for() -> int:
    """Open a descriptor that becomes readable with SIGTERM or SIGINT.

    A signal may reach any of the engine's own threads, and that would not wake the main one.
    """
    end, signalled = os.pipe()
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return end


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.sandbox.node", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--users", type=Path, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--native-port", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
