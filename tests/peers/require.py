"""What a test says that cannot run without a peer."""

import os
from pathlib import Path

import pytest

from tests.peers.table import PEERS


def require_peer(name: str) -> Path:
    """Where the peer is. Missing: the test is skipped, or fails where peers are required."""
    peer = PEERS[name]
    if found := peer.find(os.environ):
        return found
    reason = f"no {name} on this machine: {peer.hint}"
    if os.environ.get("REQUIRE_PEERS") == "1" and peer.wanted(os.environ):
        pytest.fail(reason)
    pytest.skip(reason)
