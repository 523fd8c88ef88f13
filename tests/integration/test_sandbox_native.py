"""The native interface answers, byte for byte, as a client of the protocol expects."""

import socket
import struct
from collections.abc import Iterator
from typing import Self

import pytest

from deployments.sandbox import native_wire as wire
from deployments.sandbox.layout import SidecarKind
from deployments.sandbox.users import User
from tests.clusters import ClusterFactory

pytestmark = pytest.mark.sandbox

END_OF_CLIENT_DATA = wire.number(2) + wire.EMPTY_BLOCK[1:]


class Client:
    def __init__(self, port: int, password: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._stream = self._socket.makefile("rb")
        self.send(wire.number(0), wire.string("test"), *map(wire.number, (26, 9, wire.REVISION)))
        self.send(*map(wire.string, ("default", "default", password)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def read(self, count: int) -> bytes:
        return self._stream.read(count)

    def read_hello(self) -> str:
        """Return the name by which the server introduces itself."""
        reader = wire.Reader(self._stream)
        assert reader.number() == 0
        assert reader.string() == "ClickHouse"
        assert [reader.number() for _ in range(3)][2] == wire.REVISION
        reader.string()
        name = reader.string()
        reader.number()
        return name

    def read_exception(self) -> int:
        """Return its code."""
        reader = wire.Reader(self._stream)
        assert reader.number() == 2
        code: int = struct.unpack("<i", reader.exact(4))[0]
        for _ in range(3):
            reader.string()
        assert reader.byte() == 0
        return code

    def ask(self, statement: str, **settings: str) -> None:
        client_info = b"\0"  # none
        self.send(wire.number(1), wire.string(""), client_info)
        for name, value in settings.items():
            self.send(wire.string(name), wire.number(0), wire.string(value))
        self.send(wire.string(""), wire.number(2), wire.number(0), wire.string(statement))
        self.send(END_OF_CLIENT_DATA)


@pytest.fixture(scope="module")
def port(cluster_factory: ClusterFactory) -> int:
    users = (User(password="p"),)
    cluster = cluster_factory(sidecar=SidecarKind.NONE, native=True, users=users)
    return cluster.members[0].node.ports.native


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    with Client(port, "p") as connected:
        assert connected.read_hello() == "chi-demo-main-0-0"
        yield connected


def test_a_wrong_password_is_refused(port: int) -> None:
    with Client(port, "wrong") as refused:
        assert refused.read_exception() == 516


def test_rows_come_in_blocks_with_an_end(client: Client) -> None:
    client.ask("SELECT toUInt8(7) AS a")
    block = wire.number(1) + wire.number(1) + wire.string("a") + wire.string("UInt8") + b"\x07"
    expected = wire.data(block) + wire.EMPTY_BLOCK + wire.END_OF_STREAM
    assert client.read(len(expected)) == expected


def test_an_answer_without_rows_still_names_its_columns(client: Client) -> None:
    client.ask("SELECT toUInt8(7) AS a WHERE 0")
    expected = wire.header([("a", "UInt8")]) + wire.EMPTY_BLOCK + wire.END_OF_STREAM
    assert client.read(len(expected)) == expected


def test_a_statement_without_an_answer_just_ends(client: Client) -> None:
    client.ask("CREATE DATABASE IF NOT EXISTS other")
    assert client.read(len(wire.END_OF_STREAM)) == wire.END_OF_STREAM


def test_settings_hold_and_unknown_ones_are_left_out(client: Client) -> None:
    client.ask(
        "SELECT toUInt8(getSetting('max_threads')) AS a", max_threads="3", no_such_setting="1"
    )
    block = wire.number(1) + wire.number(1) + wire.string("a") + wire.string("UInt8") + b"\x03"
    assert client.read(len(wire.data(block))) == wire.data(block)


def test_a_connection_goes_on_after_an_error(client: Client) -> None:
    client.ask("SELECT * FROM nowhere")
    assert client.read_exception() == 60
    client.send(wire.number(4))
    assert client.read(len(wire.PONG)) == wire.PONG


def test_what_is_not_understood_ends_the_connection(client: Client) -> None:
    client.send(wire.number(99))
    assert client.read_exception() == 101
    assert client.read(1) == b""
