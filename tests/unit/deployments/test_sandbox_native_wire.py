"""The bytes of the native protocol."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as some

from deployments.sandbox import native_wire as wire


def reader(content: bytes) -> wire.Reader:
    return wire.Reader(BytesIO(content))


def query(statement: str, settings: dict[str, str], *, compressed: bool = False) -> bytes:
    """Write the packet as a client of this revision does."""
    written = [wire.string("id"), b"\x01"]
    written += [wire.string(text) for text in ("user", "id", "127.0.0.1:0")]
    written += [b"\x01"]
    written += [wire.string(text) for text in ("os", "host", "client")]
    written += [wire.number(part) for part in (26, 9, wire.REVISION)]
    written += [wire.string("quota"), wire.number(2)]
    for name, value in settings.items():
        written += [wire.string(name), wire.number(1), wire.string(value)]
    written += [wire.string(""), wire.number(2), wire.number(int(compressed))]
    return b"".join([*written, wire.string(statement)])


@given(some.integers(min_value=0, max_value=2**63 - 1))
def test_a_number_is_read_as_it_was_written(value: int) -> None:
    assert reader(wire.number(value)).number() == value


@given(some.binary())
def test_any_bytes_survive_as_a_string(content: bytes) -> None:
    text = reader(wire.number(len(content)) + content).string()
    assert wire.string(text) == wire.number(len(content)) + content


@given(some.dictionaries(some.text(min_size=1), some.text()), some.text())
def test_a_query_is_read_with_its_settings(settings: dict[str, str], statement: str) -> None:
    read = wire.Query.read(reader(query(statement, settings)))
    assert (read.statement, read.settings) == (statement, settings)


def test_a_compressed_query_is_refused() -> None:
    with pytest.raises(wire.ProtocolError, match="compression"):
        wire.Query.read(reader(query("SELECT 1", {}, compressed=True)))


def test_an_older_client_is_refused() -> None:
    hello = b"".join(
        [wire.string("client"), wire.number(18), wire.number(16), wire.number(wire.REVISION - 1)]
    )
    with pytest.raises(wire.ProtocolError, match="revision"):
        wire.Hello.read(reader(hello))


def test_an_empty_block_ends_the_data_of_a_client() -> None:
    content = reader(wire.EMPTY_BLOCK + b"next")
    content.number()
    content.end_of_data()
    assert content.exact(4) == b"next"


def test_a_block_with_rows_from_a_client_is_refused() -> None:
    content = reader(wire.header([("a", "UInt8")]))
    content.number()
    with pytest.raises(wire.ProtocolError, match="not served"):
        content.end_of_data()


def test_a_connection_that_ends_in_a_packet_is_noticed() -> None:
    with pytest.raises(EOFError):
        reader(wire.number(5) + b"abc").string()
