"""As much of HTTP/1.1 as ClickHouse's URL engine speaks; one request per connection."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def credentials(self) -> tuple[str, str]:
        """Read them from the address, as the URL tables carry them, or from the header."""
        kind, _, encoded = self.headers.get("authorization", "").partition(" ")
        decoded = base64.b64decode(encoded).decode() if kind == "Basic" else ""
        user, _, password = decoded.partition(":")
        return self.query.get("user", user), self.query.get("pass", password)


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: bytes


class ConnectionDropped(Exception):
    """Nothing is answered: the client sees the connection end."""


Handler = Callable[[Request], Awaitable[Reply]]


async def serve(handler: Handler, host: str, port: int) -> asyncio.Server:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await handler(await _read(reader, writer))
            writer.write(_rendered(reply))
        except (ConnectionDropped, ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            writer.close()

    return await asyncio.start_server(talk, host, port)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    address = urlsplit(target)
    return Request(
        method=method,
        path=address.path,
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        headers=headers,
        body=await _read_body(reader, headers),
    )


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _rendered(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n"
        "Content-Type: application/json; charset=UTF-8\r\n"
        f"Content-Length: {len(reply.body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + reply.body
