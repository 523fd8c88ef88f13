"""What a sandbox consists of can be written down and read again."""

from pathlib import Path

import pytest

from deployments.sandbox.binaries import Binaries
from deployments.sandbox.layout import Layout, SidecarKind
from deployments.sandbox.state import Ports, State
from deployments.sandbox.users import User


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(Layout(), id="defaults"),
        pytest.param(
            Layout(
                shards=2,
                replicas=3,
                sidecar=SidecarKind.REAL,
                users=(User(name="op", password="p"), User(name="reader", readonly=True)),
                environment={"API_ALLOW_PARALLEL": "true"},
                remote=Path("/somewhere"),
                remote_path="other/{replica}",
            ),
            id="everything",
        ),
    ],
)
def test_a_state_is_read_as_it_was_written(tmp_path: Path, layout: Layout) -> None:
    ports = {replica: Ports(http=1, native=2, sidecar=3) for _, replica in layout.places}
    binaries = Binaries(sidecar=Path("/a"), store=Path("/b"))
    state = State(layout=layout, ports=ports, store_port=4, binaries=binaries)
    path = tmp_path / "state.json"
    state.write(path)
    assert State.read(path) == state


def test_a_state_may_hold_passwords_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    State(layout=Layout(), ports={}, store_port=1).write(path)
    assert path.stat().st_mode & 0o077 == 0


def test_the_administrator_is_who_may_write() -> None:
    reader, writer = User(name="reader", readonly=True), User(name="writer")
    assert Layout(users=(reader, writer)).administrator == writer


@pytest.mark.parametrize(
    ("layout", "native"),
    [
        pytest.param(Layout(), False, id="double"),
        pytest.param(Layout(sidecar=SidecarKind.REAL), True, id="real-sidecar"),
        pytest.param(Layout(sidecar=SidecarKind.NONE, native=True), True, id="asked-for"),
    ],
)
def test_nodes_speak_the_native_protocol_to_who_needs_it(
    layout: Layout,
    native: bool,  # noqa: FBT001 - a case of the table
) -> None:
    assert layout.has_native_interface is native
