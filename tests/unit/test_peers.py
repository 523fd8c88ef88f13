"""A missing peer is a reason to skip on a laptop and a failure where peers are required."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.peers import table
from tests.peers.install import install_missing
from tests.peers.require import require_peer
from tests.peers.table import PEERS, Peer

MISSING = Peer(name="nosuch", lane="sandbox", find=lambda _: None, hint="bring it")


def make_peer(**changes: Any) -> Peer:
    return replace(MISSING, **changes)


@pytest.fixture
def missing_peer(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(PEERS, "nosuch", make_peer())
    monkeypatch.delenv("REQUIRE_PEERS", raising=False)
    return "nosuch"


def test_a_missing_peer_skips_with_its_hint(missing_peer: str) -> None:
    with pytest.raises(pytest.skip.Exception, match="bring it"):
        require_peer(missing_peer)


def test_a_missing_peer_fails_where_peers_are_required(
    missing_peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="bring it"):
        require_peer(missing_peer)


def test_a_lane_run_by_hand_skips_even_where_peers_are_required(
    missing_peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_PEERS", "1")
    monkeypatch.setitem(PEERS, missing_peer, make_peer(wanted=lambda _: False))
    with pytest.raises(pytest.skip.Exception):
        require_peer(missing_peer)


def test_a_named_program_that_cannot_run_is_not_found(tmp_path: Path) -> None:
    text = tmp_path / "versitygw"
    text.write_text("not a program")
    assert PEERS["versitygw"].find({"VERSITYGW_BIN": str(text)}) is None


@pytest.mark.parametrize(
    ("peer", "sentence"),
    [
        pytest.param(make_peer(find=lambda _: Path("/x/y")), "/x/y", id="present"),
        pytest.param(
            make_peer(wanted=lambda _: False),
            "not needed here (lane sandbox is off)",
            id="unwanted",
        ),
        pytest.param(make_peer(), "missing: bring it", id="nobody-can-install-it"),
        pytest.param(
            make_peer(install=("chops-nosuch-tool",)),
            "missing: chops-nosuch-tool is not on this machine",
            id="no-installer",
        ),
        pytest.param(
            make_peer(install=("false",)), "missing: `false` failed: no message", id="it-failed"
        ),
        pytest.param(
            make_peer(install=("true",)),
            "missing: `true` failed: no message",
            id="installer-lied",
        ),
    ],
)
def test_installing_answers_with_what_happened(
    peer: Peer, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.peers.install.BINARIES", tmp_path / "bin")
    assert install_missing([peer], {}) == {"nosuch": sentence}


def test_an_installed_peer_is_found_without_any_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BINARIES", tmp_path)
    (tmp_path / "versitygw").touch()
    assert PEERS["versitygw"].find({}) == tmp_path / "versitygw"


def test_servers_of_kubernetes_are_found_where_other_projects_keep_them(tmp_path: Path) -> None:
    kept = tmp_path / "kube-apiserver"
    kept.touch(mode=0o755)
    environment = {"KUBEBUILDER_ASSETS": str(tmp_path)}
    assert PEERS["kube-apiserver"].find(environment) == kept
