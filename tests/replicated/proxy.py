"""The proxy before the HTTP ports of the old servers: one program for a whole cluster.

It adds what is missing in 18.16 and decides nothing: where the server is away, the connection
breaks, and where it is paused, the proxy waits as long as its client does.
"""

import argparse
import asyncio
import hashlib
import json
import re
import shutil
import signal
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, TCPConnector, web

from deployments.sandbox.processes import HOST
from tasks.domain.tables import RESERVED_DATABASE
from tests.replicated.dialect import Facts, reads_parts, translated
from tests.replicated.routes import Route

RELAY_PATH = "/relay"
_LONGEST_LINE = 1 << 22
_CODE = re.compile(rb"Code: (\d+)")
# the driver's own parameters of a request, which are no settings
_OF_TRANSPORT = {"query", "database", "query_id", "session_id", "session_timeout", "session_check"}
_OF_TRANSPORT |= {"wait_end_of_query", "buffer_size", "compress", "decompress", "user", "password"}
_UNREPEATED = {"content-length", "transfer-encoding", "content-encoding", "connection"}
_OK = 200
# for requests that a paused server keeps waiting
_LAST_SECONDS = 1.0


class Front:
    """One server's address for everybody else."""

    def __init__(self, route: Route, session: ClientSession) -> None:
        self._route = route
        self._session = session
        self._known: frozenset[str] = frozenset()
        self._backend = f"http://{HOST}:{route.own_http}/"

    def application(self) -> web.Application:
        application = web.Application(
            client_max_size=1 << 30, handler_args={"max_line_size": _LONGEST_LINE}
        )
        application.router.add_get(RELAY_PATH, self.relay)
        application.router.add_route("*", "/{tail:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except (ClientError, OSError):
            return _broken(request)

    async def relay(self, request: web.Request) -> web.Response:
        """Fetch an address for the server, which cannot read objects inside of arrays."""
        try:
            async with self._session.get(request.query["of"]) as answer:
                body = await answer.read()
        except (ClientError, OSError):
            return _broken(request)
        lines = body.splitlines() if answer.status == _OK else []
        flat = b"".join(json.dumps(_flat(json.loads(line))).encode() + b"\n" for line in lines)
        return web.Response(body=flat if lines else body, status=answer.status)

    async def _answer(self, request: web.Request) -> web.Response:
        if request.path != "/":
            return await self._pass_on(request.method, request.path, {}, request.headers, b"")
        given = dict(request.query)
        body = await request.read()
        in_address = given.pop("query", "")
        parameters = {
            name.removeprefix("param_"): given.pop(name)
            for name in tuple(given)
            if name.startswith("param_")
        }
        sql = in_address or body.decode()
        said = translated(sql, parameters, await self._facts(sql)) if sql else ""
        settings = {name: given[name] for name in given if await self._takes(name)}
        query = settings | ({"query": said} if in_address else {})
        sent = body if in_address else said.encode()
        return await self._pass_on(request.method, "/", query, request.headers, sent)

    async def _pass_on(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> web.Response:
        kept = {name: value for name, value in headers.items() if name.lower() not in _UNREPEATED}
        async with self._session.request(
            method, f"{self._backend}{path[1:]}", params=query, headers=kept, data=body
        ) as answer:
            content = await answer.read()
        told = {n: v for n, v in answer.headers.items() if n.lower() not in _UNREPEATED}
        code = _CODE.search(content) if answer.status != _OK else None
        if code:
            told["X-ClickHouse-Exception-Code"] = code[1].decode()
        return web.Response(body=content, status=answer.status, headers=told)

    async def _takes(self, name: str) -> bool:
        if name in _OF_TRANSPORT:
            return True
        if not self._known:
            rows = await self._rows("SELECT name FROM system.settings")
            self._known = frozenset(row["name"] for row in rows)
        return name in self._known

    async def _facts(self, sql: str) -> Facts:
        usage = shutil.disk_usage(self._route.data_dir)
        return Facts(
            disk_path=f"{self._route.data_dir}/",
            free_bytes=usage.free,
            total_bytes=usage.total,
            relay=f"http://{HOST}:{self._route.http}{RELAY_PATH}",
            hashes=await self._hashes() if reads_parts(sql) else {},
        )

    async def _hashes(self) -> dict[str, str]:
        """Hash what every part says of its own files: equal for equal parts, whatever their name.

        This stands for `hash_of_all_files`, which the server does not have.
        """
        of_users = f"database NOT IN ('system', '{RESERVED_DATABASE}')"
        rows = await self._rows(f"SELECT path FROM system.parts WHERE {of_users}")
        return await asyncio.to_thread(_hashed, [row["path"] for row in rows])

    async def _rows(self, sql: str) -> list[dict[str, Any]]:
        async with self._session.post(self._backend, data=f"{sql} FORMAT JSONEachRow") as answer:
            body = await answer.text()
        return [json.loads(line) for line in body.splitlines()] if answer.status == _OK else []


def _hashed(paths: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        try:
            content = (Path(path) / "checksums.txt").read_bytes()
        except FileNotFoundError:  # merged away and removed meanwhile
            continue
        found[path] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return found


def _flat(value: Any) -> Any:
    """Turn objects below the row into arrays of their values: the old way to write tuples."""
    return {name: _as_tuple(inner) for name, inner in value.items()}


def _as_tuple(value: Any) -> Any:
    if isinstance(value, dict):
        return [_as_tuple(inner) for inner in value.values()]
    if isinstance(value, list):
        return [_as_tuple(inner) for inner in value]
    return value


def _broken(request: web.Request) -> web.Response:
    """Break the connection, as a server does that is not there."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


async def _serve(routes: Iterable[Route]) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    connector = TCPConnector(limit=0, force_close=True)
    async with (
        ClientSession(connector=connector, timeout=None) as session,
        AsyncExitStack() as running,
    ):
        for route in routes:
            front = Front(route, session).application()
            runner = web.AppRunner(front, shutdown_timeout=_LAST_SECONDS)
            running.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, HOST, route.http).start()
        await stopping.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("routes", type=Path)
    asyncio.run(_serve(Route.read_all(parser.parse_args().routes)))


if __name__ == "__main__":
    main()
