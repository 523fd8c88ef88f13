"""Versions of a server and of its sidecar; a build from source calls itself `unknown`."""

from tasks.clickhouse.actions import READ_ONCE
from tasks.clickhouse.client import Server
from tasks.clickhouse.sidecar_tables import sidecar_tables


async def read_version(server: Server) -> str:
    return str(await server.value("SELECT version() AS version"))


async def read_sidecar_version(server: Server) -> str:
    with sidecar_tables(server):
        found = await server.value("SELECT version FROM system.backup_version", settings=READ_ONCE)
    return str(found)
