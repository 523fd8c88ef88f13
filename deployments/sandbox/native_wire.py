"""Bytes of the native protocol: numbers, strings, blocks and the packets made of them.

Nothing of a block is decoded: the engine's Native format is what the protocol carries.
"""

import struct
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Self

# From 54429 on settings travel as strings (one of the client libraries: only beyond it); from
# 54441 on a server must know the secret between servers.
REVISION = 54440
MORE = 0x80


class ProtocolError(Exception):
    """The peer speaks in a way that is not served here."""


class Reader:
    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def exact(self, count: int) -> bytes:
        taken = self._stream.read(count)
        if len(taken) != count:
            raise EOFError
        return taken

    def byte(self) -> int:
        return self.exact(1)[0]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & ~MORE) << shift
            if not byte & MORE:
                return value
            shift += 7

    def string(self) -> str:
        return self.exact(self.number()).decode("utf-8", "surrogateescape")

    def end_of_data(self) -> None:
        """Read the empty block by which a client says that it sends no tables of its own."""
        self.string()
        while field := self.number():
            self.exact(1 if field == 1 else 4)
        if self.number() or self.number():
            message = "data blocks from the client are not served"
            raise ProtocolError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    database: str
    user: str
    password: str

    @classmethod
    def read(cls, reader: Reader) -> Self:
        reader.string()  # name of the client
        reader.number()  # its version: major
        reader.number()  # minor
        if reader.number() < REVISION:
            message = f"clients of a revision before {REVISION} are not served"
            raise ProtocolError(message)
        return cls(database=reader.string(), user=reader.string(), password=reader.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    statement: str
    settings: dict[str, str]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        reader.string()  # query id: the engine takes none
        _skip_client_info(reader)
        settings = {}
        while name := reader.string():
            reader.number()  # flags
            settings[name] = reader.string()
        reader.number()  # stage
        compressed = reader.number()
        statement = reader.string()
        if compressed:
            message = "compression is not served"
            raise ProtocolError(message)
        return cls(statement=statement, settings=settings)


def _skip_client_info(reader: Reader) -> None:
    if not reader.byte():
        return
    for _ in range(3):
        reader.string()  # user, query id and address of the first client
    over_tcp = reader.byte() == 1
    if over_tcp:
        for _ in range(3):
            reader.string()  # user of the system, host, name of the client
        for _ in range(3):
            reader.number()  # version and revision of the client
    reader.string()  # quota key
    if over_tcp:
        reader.number()  # patch of the version


def number(value: int) -> bytes:
    written = bytearray()
    while value >= MORE:
        written.append(value & ~MORE & 0xFF | MORE)
        value >>= 7
    written.append(value)
    return bytes(written)


def string(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return number(len(encoded)) + encoded


def data(block: bytes) -> bytes:
    """Wrap a block of the Native format: not overflowed, of no bucket."""
    information = number(1) + b"\0" + number(2) + struct.pack("<i", -1) + number(0)
    return number(1) + string("") + information + block


def header(columns: list[tuple[str, str]]) -> bytes:
    """Make a block without rows: names and types."""
    described = b"".join(string(name) + string(kind) for name, kind in columns)
    return data(number(len(columns)) + number(0) + described)


def hello(version: str, timezone: str, name: str) -> bytes:
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return b"".join(
        [
            number(0),
            string("ClickHouse"),
            number(major),
            number(minor),
            number(REVISION),
            string(timezone),
            string(name),
            number(patch),
        ]
    )


def exception(code: int, text: str) -> bytes:
    return b"".join(
        [
            number(2),
            struct.pack("<i", code),
            string("DB::Exception"),
            string(text),
            string(""),  # no stack trace
            b"\0",  # no nested exception
        ]
    )


PONG = number(4)
END_OF_STREAM = number(5)
EMPTY_BLOCK = data(number(0) + number(0))
