"""What this product is compared with: one shard after the other, each looked at every 5 seconds."""

import asyncio
import math
import time

from tasks.clickhouse.actions import read_actions
from tasks.clickhouse.client import Server, open_cluster
from tasks.domain.inventory import Inventory
from tests.benchmarks.standin.sidecar import Durations

POLL_SECONDS = 5.0
BACKUP = ("create --tables=shop.* plain", "upload plain")
RESTORE = ("download plain", "restore --data --tables=shop.* plain")
_SUBMIT = (
    "INSERT INTO system.backup_actions(command) "
    "SELECT {cmd:String} AS command WHERE toUInt32(now()) < {not_after:UInt32}"
)


async def really_run(inventory: Inventory, commands: tuple[str, ...]) -> float:
    """Run it, and return the seconds it took."""
    began = time.monotonic()
    async with open_cluster(inventory) as cluster:
        for server in cluster.servers:
            for command in commands:
                await _finished(server, command)
    return time.monotonic() - began


def computed(shards: int, commands: tuple[str, ...], durations: Durations) -> float:
    """Tell the same without waiting for it."""
    each = (durations.of(command.split()) for command in commands)
    return shards * sum(POLL_SECONDS * math.ceil(seconds / POLL_SECONDS) for seconds in each)


async def _finished(server: Server, command: str) -> None:
    await server.execute(_SUBMIT, {"cmd": command, "not_after": int(time.time()) + 60})
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if not any(action.running for action in await read_actions(server)):
            return
