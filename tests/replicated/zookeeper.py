"""The coordination service of the replicated cluster: one ZooKeeper, without durability."""

import socket
from pathlib import Path

from deployments.sandbox.processes import HOST, Process, Program

_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_PROPERTIES = """tickTime=1000
dataDir={data}
clientPort={port}
clientPortAddress={host}
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=srvr
forceSync=no
"""
# Small, and quick to start rather than quick at work.
_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PING_SECONDS = 2.0


def make_zookeeper(jar: Path, home: Path, *, port: int) -> Process:
    """Make its home and its configuration; what it stored stays over a restart."""
    data = home / "data"
    data.mkdir(parents=True, exist_ok=True)
    properties = home / "zookeeper.properties"
    properties.write_text(_PROPERTIES.format(data=data, port=port, host=HOST))
    program = Program(
        name="zookeeper",
        arguments=(*_JAVA, "-cp", str(jar), _MAIN, str(properties)),
        home=home,
    )
    return Process(program, answers=lambda: _serves(port))


def _serves(port: int) -> bool:
    """Ask for its mode: it listens before it has loaded what it stored."""
    try:
        with socket.create_connection((HOST, port), timeout=_PING_SECONDS) as connection:
            connection.sendall(b"srvr")
            with connection.makefile("rb") as answer:
                return b"Mode: " in answer.read()
    except OSError:
        return False
