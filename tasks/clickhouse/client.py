"""One connection per ClickHouse server, opened at first use and reused until the cluster closes."""

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import Error

from tasks.clickhouse.errors import redacted, translated
from tasks.domain.errors import ClusterUnavailable, NotAllowed
from tasks.domain.inventory import CredentialNames, Inventory
from tasks.domain.topology import Replica

_CONNECT_SECONDS = 10
_LONGEST_SECONDS = 3600  # the driver's own limit; every call has a shorter one
DEFAULT_SECONDS = 60.0
_BULKY, _BULKY_AT_ONCE = 64_000, 8  # characters of one value; rows on their way

Parameters = Mapping[str, Any]
Settings = Mapping[str, Any]


class Server:
    """SQL to one server. Every method may raise ClusterUnavailable, NotAllowed or ServerError."""

    def __init__(
        self,
        replica: Replica,
        *,
        username: str,
        password: str,
        bulky: asyncio.Semaphore | None = None,
    ) -> None:
        self.replica = replica
        self._bulky = bulky or asyncio.Semaphore(_BULKY_AT_ONCE)
        self._username = username
        self._password = password
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Server({self.name})"

    @property
    def name(self) -> str:
        return self.replica.name

    async def rows(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Settings | None = None,
        timeout_seconds: float = DEFAULT_SECONDS,
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT, each a mapping of column to value."""
        client = await self._connected()
        async with _Translating(self.name, timeout_seconds):
            result = await client.query(
                sql, parameters=dict(parameters or {}), settings=dict(settings or {})
            )
            return list(result.named_results())

    async def documents(
        self, sql: str, *, timeout_seconds: float = DEFAULT_SECONDS
    ) -> list[dict[str, Any]]:
        """Rows of a statement that is no SELECT, and answers all the same."""
        client = await self._connected()
        async with _Translating(self.name, timeout_seconds):
            answer = await client.raw_query(sql, fmt="JSONEachRow")
        return [json.loads(line) for line in answer.splitlines()]

    async def value(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Settings | None = None,
    ) -> Any:
        """First column of the first row; None where there is no row."""
        found = await self.rows(sql, parameters, settings=settings)
        return next(iter(found[0].values())) if found else None

    async def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        *,
        settings: Settings | None = None,
        timeout_seconds: float = DEFAULT_SECONDS,
    ) -> None:
        """Send a statement exactly once (`command`: the driver's inserts may send twice)."""
        client = await self._connected()
        async with _Translating(self.name, timeout_seconds):
            await client.command(
                sql, parameters=dict(parameters or {}), settings=dict(settings or {})
            )

    async def insert_row(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert one row of any size, sent exactly once, in the request's body."""
        client = await self._connected()
        is_bulky = any(len(str(value)) > _BULKY for value in row.values())
        turn = self._bulky if is_bulky else contextlib.nullcontext()
        async with turn, _Translating(self.name, DEFAULT_SECONDS):
            await client.command(
                f"INSERT INTO {table} ({', '.join(row)}) FORMAT JSONEachRow", data=json.dumps(row)
            )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _connected(self) -> AsyncClient:
        async with self._opening:
            if self._client is None:
                async with _Translating(self.name, DEFAULT_SECONDS):
                    self._client = await clickhouse_connect.get_async_client(
                        host=self.replica.host,
                        port=self.replica.port,
                        secure=self.replica.secure,
                        username=self._username,
                        password=self._password,
                        connect_timeout=_CONNECT_SECONDS,
                        send_receive_timeout=_LONGEST_SECONDS,
                        query_retries=0,
                        compress=False,
                        client_name="chops",
                    )
            return self._client


class _Translating:
    """Turn the driver's errors, and the end of patience, into ours."""

    def __init__(self, where: str, timeout_seconds: float) -> None:
        self._where = where
        self._timeout_seconds = timeout_seconds
        self._timeout = asyncio.timeout(timeout_seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            message = f"{self._where} gave no answer within {self._timeout_seconds:g} s"
            raise ClusterUnavailable(message) from error
        if isinstance(error, Error):
            raise translated(error, where=self._where) from error
        if isinstance(error, (aiohttp.ClientError, OSError)):
            message = f"{self._where} does not answer: {redacted(str(error))}"
            raise ClusterUnavailable(message) from error


class Cluster:
    """The servers of one installation. An async context manager: leaving it closes them all."""

    def __init__(self, inventory: Inventory, *, username: str, password: str) -> None:
        self.inventory = inventory
        self.topology = inventory.topology
        # shared: a thousand manifests rendered in one turn would stop the lock's renewals
        bulky = asyncio.Semaphore(_BULKY_AT_ONCE)
        self._servers = {
            replica.name: Server(replica, username=username, password=password, bulky=bulky)
            for replica in self.topology.replicas
        }

    def __repr__(self) -> str:
        return f"Cluster({self.topology.installation}/{self.topology.cluster})"

    @property
    def servers(self) -> Sequence[Server]:
        return tuple(self._servers.values())

    def server(self, replica: str) -> Server:
        return self._servers[replica]

    @property
    def lock_server(self) -> Server:
        """Return the server whose `chops` database holds the installation's lock."""
        return self._servers[self.inventory.lock or min(self._servers)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(server.close() for server in self.servers))


def open_cluster(inventory: Inventory, environment: Mapping[str, str] | None = None) -> Cluster:
    """Prepare the servers of an inventory; nothing is sent before the first use.

    Raises NotAllowed when the inventory names an environment variable that is not set.
    """
    found = os.environ if environment is None else environment
    names = inventory.credentials
    if names is None:
        return Cluster(inventory, username="default", password="")
    return Cluster(
        inventory,
        username=_value_of(names.username_env, found, names),
        password=_value_of(names.password_env, found, names),
    )


def _value_of(name: str, environment: Mapping[str, str], names: CredentialNames) -> str:
    value = environment.get(name)
    if value is None:
        message = (
            f"environment variable {name} is not set; the inventory takes credentials from "
            f"{names.username_env} and {names.password_env}"
        )
        raise NotAllowed(message)
    return value
