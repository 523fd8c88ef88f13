"""Encode rows as one block of ClickHouse's Native format, for the column types that we answer."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Columns = Mapping[str, str]  # name -> type
Row = Mapping[str, Any]


def encoded(columns: Columns, rows: Sequence[Row]) -> bytes:
    if not rows:
        return b""
    out = bytearray(_number(len(columns)) + _number(len(rows)))
    for name, kind in columns.items():
        out += _text(name) + _text(kind) + _column(kind, [row[name] for row in rows])
    return bytes(out)


def _column(kind: str, values: Sequence[Any]) -> bytes:
    if kind.startswith("Nullable("):
        inner = kind.removeprefix("Nullable(").removesuffix(")")
        missing = bytes(value is None for value in values)
        return missing + _column(inner, [0 if value is None else value for value in values])
    if kind == "Array(String)":
        ends, flat = [], list[str]()
        for value in values:
            flat += value
            ends.append(len(flat))
        return struct.pack(f"<{len(ends)}Q", *ends) + _column("String", flat)
    return _PLAIN[kind](values)


def _numbers(letter: str) -> Callable[[Sequence[Any]], bytes]:
    return lambda values: struct.pack(f"<{len(values)}{letter}", *values)


def _texts(values: Sequence[str]) -> bytes:
    return b"".join(map(_text, values))


def _text(value: str) -> bytes:
    raw = value.encode()
    return _number(len(raw)) + raw


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_PLAIN: Mapping[str, Callable[[Sequence[Any]], bytes]] = {
    "String": _texts,
    "UInt8": _numbers("B"),
    "UInt32": _numbers("I"),
    "UInt64": _numbers("Q"),
    "Int64": _numbers("q"),
}
