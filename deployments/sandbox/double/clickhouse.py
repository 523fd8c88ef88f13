"""SQL to the node beside this process, over its HTTP interface; old and new servers alike."""

import asyncio
import base64
import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from deployments.sandbox.double.errors import SqlFailed
from deployments.sandbox.double.settings import Settings
from deployments.sandbox.double.uninterrupted import uninterrupted

_RECONNECT_SECONDS = 1.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    path: Path
    type: str


def quoted(name: str) -> str:
    """Write an identifier between backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """Write a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class ClickHouse:
    """One server. Every statement opens its own connection: a restart of the server is harmless.

    What a server of its version has is asked once.
    """

    def __init__(self, settings: Settings) -> None:
        self._host = settings.clickhouse_host
        self._port = settings.clickhouse_http_port
        self._data_dir = settings.data_dir
        pair = f"{settings.clickhouse_username}:{settings.clickhouse_password}"
        self._facts: dict[str, str] = {}
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()

    async def connect(self) -> None:
        """Try for ever, like the real server, and do not let it be interrupted."""
        await uninterrupted(self._until_it_answers())

    async def _until_it_answers(self) -> None:
        while True:
            try:
                await self.run("SELECT 1")
            except (OSError, http.client.HTTPException, SqlFailed):
                await asyncio.sleep(_RECONNECT_SECONDS)
            else:
                return

    async def run(self, sql: str, settings: Mapping[str, str] | None = None) -> bytes:
        return await asyncio.to_thread(self._send, sql, dict(settings or {}))

    async def rows(
        self, sql: str, settings: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        body = await self.run(f"{sql} FORMAT JSONEachRow", settings)
        return [json.loads(line) for line in body.decode().splitlines()]

    async def value(self, sql: str) -> str:
        return (await self.run(f"{sql} FORMAT TabSeparatedRaw")).decode().rstrip("\n")

    async def version(self) -> tuple[int, ...]:
        return tuple(int(number) for number in (await self.version_text()).split("."))

    async def version_text(self) -> str:
        return await self._fact("SELECT version()")

    async def macros(self) -> dict[str, str]:
        found = await self.rows("SELECT macro, substitution FROM system.macros")
        return {row["macro"]: row["substitution"] for row in found}

    async def has_column(self, table: str, column: str) -> bool:
        found = await self._fact(
            "SELECT count() FROM system.columns WHERE database = 'system'"
            f" AND table = {literal(table)} AND name = {literal(column)}"
        )
        return found != "0"

    async def has_setting(self, name: str) -> bool:
        count = f"SELECT count() FROM system.settings WHERE name = {literal(name)}"
        return await self._fact(count) != "0"

    async def _fact(self, sql: str) -> str:
        if sql not in self._facts:
            self._facts[sql] = await self.value(sql)
        return self._facts[sql]

    async def disks(self) -> tuple[Disk, ...]:
        """List disks with parts as local files; an old server knows only its data directory."""
        found: list[dict[str, Any]] = []
        if await self.has_column("disks", "path"):
            found = await self.rows("SELECT name, path, lower(type) AS type FROM system.disks")
        disks = [Disk(row["name"], Path(row["path"]), row["type"]) for row in found]
        local = tuple(disk for disk in disks if disk.type == "local" and disk.path.is_absolute())
        if not local and self._data_dir:
            return (Disk("default", self._data_dir, "local"),)
        return local

    def _send(self, sql: str, settings: dict[str, str]) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port)
        try:
            connection.request(
                "POST",
                "/?" + urlencode(settings),
                body=sql.encode(),
                headers={"Authorization": self._authorization},
            )
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != _OK:
            raise _refusal(body.decode(errors="replace").strip())
        return body


def _refusal(text: str) -> SqlFailed:
    code = re.search(r"Code: (\d+)", text)
    return SqlFailed(int(code[1]) if code else 0, text)
