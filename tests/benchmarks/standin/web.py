"""As much of HTTP/1.1 as the driver speaks: kept-alive connections, bodies of a known length."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

_HEAD_ENDS = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One statement with what was bound to it."""

    path: str
    statement: str
    data: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """`code` is ClickHouse's own number of an error; 0: all is well."""

    body: bytes
    code: int = 0

    def rendered(self) -> bytes:
        status = "500 Internal Server Error" if self.code else "200 OK"
        trouble = f"X-ClickHouse-Exception-Code: {self.code}\r\n" if self.code else ""
        head = (
            f"HTTP/1.1 {status}\r\nX-ClickHouse-Summary: {{}}\r\nX-ClickHouse-Timezone: UTC\r\n"
            f"X-ClickHouse-Format: Native\r\n{trouble}Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass(slots=True)
class Traffic:
    """What one port has seen since it opened."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections: int = 0
    refused: list[str] = field(default_factory=list)


Handler = Callable[[Request], Awaitable[Reply]]


async def listen(handler: Handler, traffic: Traffic, *, host: str) -> tuple[asyncio.Server, int]:
    """Serve on a free port; return the server and the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        traffic.connections += 1
        try:
            while True:
                head = await reader.readuntil(_HEAD_ENDS)
                body = await reader.readexactly(_length(head))
                reply = (await handler(_parsed(head, body))).rendered()
                traffic.requests += 1
                traffic.bytes_in += len(head) + len(body)
                traffic.bytes_out += len(reply)
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, host, 0, limit=2**24)
    return server, int(server.sockets[0].getsockname()[1])


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
        if name.lower() in {b"transfer-encoding", b"content-encoding"}:
            message = f"not spoken here: {line!r}"
            raise ConnectionError(message)
    return 0


def _parsed(head: bytes, body: bytes) -> Request:
    target = head.split(b" ", 2)[1].decode()
    address = urlsplit(target)
    asked = dict(parse_qsl(address.query, keep_blank_values=True))
    query, text = asked.get("query", ""), body.decode()
    return Request(
        path=address.path,
        statement=query or text,
        data=text if query else "",
        parameters={
            name.removeprefix("param_"): value
            for name, value in asked.items()
            if name.startswith("param_")
        },
    )
