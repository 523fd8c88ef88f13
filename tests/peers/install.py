"""Installing the peers that are wanted and missing, one by one, without giving up at the first."""

import os
import shutil
import subprocess
from collections.abc import Iterable

from tests.peers.table import BINARIES, Environment, Peer

INSTALL_SECONDS = 1800


def install_missing(peers: Iterable[Peer], environment: Environment) -> dict[str, str]:
    """Answer per peer with one sentence: where it is, or why it is not there."""
    return {peer.name: _settle(peer, environment) for peer in peers}


def _settle(peer: Peer, environment: Environment) -> str:
    if found := peer.find(environment):
        return f"{found}"
    if not peer.wanted(environment):
        return f"not needed here (lane {peer.lane} is off)"
    if not peer.install:
        return f"missing: {peer.hint}"
    if shutil.which(peer.install[0]) is None:
        return f"missing: {peer.install[0]} is not on this machine"
    return _run_install(peer, environment)


def _run_install(peer: Peer, environment: Environment) -> str:
    BINARIES.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        peer.install,
        env={**os.environ, "GOBIN": str(BINARIES), "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    found = peer.find(environment)
    if done.returncode == 0 and found:
        return f"{found} (installed now)"
    last = done.stderr.strip().splitlines()[-1:] or ["no message"]
    return f"missing: `{' '.join(peer.install)}` failed: {last[0]}"
