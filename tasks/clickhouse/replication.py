"""Replication of one server's tables, and what is registered in its coordination service."""

from collections.abc import Iterable

from tasks.clickhouse.client import Server
from tasks.domain.errors import PreflightFailed, ServerError, TransientError
from tasks.domain.replication import Replication

_READ = (
    "SELECT concat(database, '.', table) AS table_name, zookeeper_path, replica_name, "
    "toUInt8(is_readonly) AS readonly, toUInt8(is_session_expired) AS session_expired, "
    "toUInt64(absolute_delay) AS delay_seconds, toUInt64(queue_size) AS queue_size, "
    "toUInt64(inserts_in_queue) AS inserts_queued "
    "FROM system.replicas"
)
_CHILDREN = "SELECT name FROM system.zookeeper WHERE path = {path:String}"


async def read_replication(server: Server) -> tuple[Replication, ...]:
    """Read how far every Replicated table of the server is."""
    return tuple(
        Replication(
            table=row["table_name"],
            path=row["zookeeper_path"],
            replica_name=row["replica_name"],
            readonly=bool(row["readonly"]),
            session_expired=bool(row["session_expired"]),
            delay_seconds=row["delay_seconds"],
            queue_size=row["queue_size"],
            inserts_queued=row["inserts_queued"],
        )
        for row in await server.rows(_READ)
    )


async def demand_coordination(server: Server) -> None:
    """Demand that Keeper or ZooKeeper answers: without it a dropped table cannot be made again."""
    try:
        await server.value("SELECT count() AS nodes FROM system.zookeeper WHERE path = '/'")
    except (ServerError, TransientError) as error:
        message = f"{server.name}: the coordination service does not answer: {error}"
        raise PreflightFailed(message) from error


async def read_registered(server: Server, paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read which replicas are registered at each path; none where the path does not exist.

    Asking for the children of a missing path is an error on old servers, so each step of the way
    is looked up among the children of the one before.
    """
    registry = _Registry(server)
    return {path: await registry.replicas(path) for path in paths}


class _Registry:
    """The tree of nodes, each read once: paths of many tables have their first steps in common."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._children: dict[str, frozenset[str]] = {}

    async def replicas(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(await self._below(f"{path}/replicas")))

    async def _below(self, path: str) -> frozenset[str]:
        """Read the children of `path`; none where it does not exist."""
        if path not in self._children:
            parent, _, name = path.rpartition("/")
            exists = not path or name in await self._below(parent)
            self._children[path] = await self._read(path or "/") if exists else frozenset()
        return self._children[path]

    async def _read(self, path: str) -> frozenset[str]:
        rows = await self._server.rows(_CHILDREN, {"path": path})
        return frozenset(row["name"] for row in rows)
