"""One request of the HTTP interface, parsed once: who asks, what, with which settings."""

import base64
import gzip
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from io import BufferedIOBase, BytesIO
from typing import Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def _decompress_lz4(body: bytes) -> bytes:
    """Decompress frame after frame: a client makes one of each block."""
    with lz4.frame.open(BytesIO(body)) as frames:
        plain: bytes = frames.read()
    return plain


DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "lz4": _decompress_lz4,
    "zstd": zstd.decompress,
}

# Parameters of a request that speak to the interface. All others are settings of the query.
OF_THE_INTERFACE = frozenset(
    {
        "buffer_size",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    }
)


# The server's own default, `http_max_field_value_size`.
LONGEST_FIELD = 128 * 1024


class BadRequest(Exception):
    """The request itself is malformed. `code` is the number a server answers."""

    def __init__(self, reason: str, *, code: int) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {reason}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionName:
    name: str
    timeout_seconds: float = 60.0
    must_exist: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    user: str
    password: str
    statement: bytes
    output_format: str
    query_id: str
    database: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    session: SessionName | None

    @classmethod
    def from_http(cls, target: str, headers: Message, body: bytes) -> Self:
        asked = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        if _is_form(headers):
            asked, body = asked | _form(headers, body), b""
        user, password = _credentials(headers, asked)
        query = asked.get("query", "").encode()
        return cls(
            user=user,
            password=password,
            statement=query + b"\n" + body if query and body else query or body,
            output_format=headers.get("X-ClickHouse-Format")
            or asked.get("default_format", "TabSeparated"),
            query_id=asked.get("query_id") or str(uuid4()),
            database=headers.get("X-ClickHouse-Database") or asked.get("database", ""),
            settings={
                name: value
                for name, value in asked.items()
                if name not in OF_THE_INTERFACE and not name.startswith("param_")
            },
            parameters={
                name.removeprefix("param_"): value
                for name, value in asked.items()
                if name.startswith("param_")
            },
            session=_session(asked),
        )


def read_body(stream: BufferedIOBase, headers: Message) -> bytes:
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = _read_chunks(stream)
    else:
        body = stream.read(int(headers.get("Content-Length") or 0))
    encoding = headers.get("Content-Encoding", "").lower()
    if encoding not in DECOMPRESS:
        raise BadRequest(
            f"Unknown compression method: {encoding}. (UNKNOWN_COMPRESSION_METHOD)", code=89
        )
    return DECOMPRESS[encoding](body) if body else b""


def _is_form(headers: Message) -> bool:
    return "multipart/form-data" in headers.get("Content-Type", "")


def _form(headers: Message, body: bytes) -> dict[str, str]:
    """Read the fields of a form: a client sends one when its parameters are long."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    fields = {}
    for part in message_from_bytes(head + body).walk():
        if part.is_multipart():
            continue
        if part.get_filename() is not None:
            raise BadRequest("external tables are not supported here. (NOT_IMPLEMENTED)", code=48)
        name = part.get_param("name", header="Content-Disposition")
        value = part.get_payload(decode=True)
        assert isinstance(name, str)
        assert isinstance(value, bytes)
        if len(value) > LONGEST_FIELD:
            raise BadRequest("Field value too long. (LIMIT_EXCEEDED)", code=290)
        fields[name] = value.decode()
    return fields


def _read_chunks(stream: BufferedIOBase) -> bytes:
    chunks = []
    while size := int(stream.readline().split(b";")[0], 16):
        chunks.append(stream.read(size))
        stream.readline()
    while stream.readline().strip():
        pass
    return b"".join(chunks)


def _credentials(headers: Message, asked: Mapping[str, str]) -> tuple[str, str]:
    authorization = headers.get("Authorization", "")
    if authorization.startswith("Basic "):
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        user, _, password = pair.partition(":")
        return user, password
    user = headers.get("X-ClickHouse-User") or asked.get("user", "default")
    password = headers.get("X-ClickHouse-Key") or asked.get("password", "")
    return user, password


def _session(asked: Mapping[str, str]) -> SessionName | None:
    if not asked.get("session_id"):
        return None
    return SessionName(
        name=asked["session_id"],
        timeout_seconds=float(asked.get("session_timeout", "60")),
        must_exist=asked.get("session_check") == "1",
    )
