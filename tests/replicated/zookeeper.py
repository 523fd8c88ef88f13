"""The coordination service of the replicated cluster: one ZooKeeper, without durability."""

import socket
import subprocess
from pathlib import Path

from deployments.sandbox.processes import HOST, Process, Program

_SERVER = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_CLIENT = "org.apache.zookeeper.ZooKeeperMain"
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


class ZooKeeper(Process):
    """What it stored stays over a restart."""

    def __init__(self, jar: Path, home: Path, *, port: int) -> None:
        """Make its home and its configuration."""
        data = home / "data"
        data.mkdir(parents=True, exist_ok=True)
        properties = home / "zookeeper.properties"
        properties.write_text(_PROPERTIES.format(data=data, port=port, host=HOST))
        self.address = f"{HOST}:{port}"
        self._java = (*_JAVA, "-cp", str(jar))
        program = Program(
            name="zookeeper", arguments=(*self._java, _SERVER, str(properties)), home=home
        )
        super().__init__(program, answers=lambda: _serves(port))

    def delete_tree(self, path: str) -> None:
        """Delete a node and all below it, as a person does with the client of the package."""
        told = (*self._java, _CLIENT, "-server", self.address, "deleteall", path)
        subprocess.run(told, check=True, capture_output=True)


def _serves(port: int) -> bool:
    """Ask for its mode: it listens before it has loaded what it stored."""
    try:
        with socket.create_connection((HOST, port), timeout=_PING_SECONDS) as connection:
            connection.sendall(b"srvr")
            with connection.makefile("rb") as answer:
                return b"Mode: " in answer.read()
    except OSError:
        return False
