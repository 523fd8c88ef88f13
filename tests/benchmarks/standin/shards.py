"""Make the shards of a document, and serve them inside the process that asks."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import tests.benchmarks.standin.statements  # noqa: F401 - registers what a shard knows
from deployments.sandbox.processes import HOST
from tests.benchmarks.standin.contents import Contents
from tests.benchmarks.standin.shard import Shard
from tests.benchmarks.standin.sidecar import Durations, Sidecar
from tests.benchmarks.standin.web import Traffic, listen


def made(document: Mapping[str, Any], number: int) -> Shard:
    """Make shard `number`; all hold the same, and differ in the macro by which one tells them."""
    contents = Contents.from_json(document["contents"])
    learned = {text: base64.b64decode(raw) for text, raw in document["learned"].items()}
    sidecar = Sidecar(contents, Durations(**document["durations"]))
    macros = {"cluster": "main", "installation": "demo", "shard": str(number)}
    replica = f"chi-demo-main-{number}-0"
    return Shard(macros | {"replica": replica}, contents, sidecar, learned)


@dataclass(frozen=True, slots=True)
class Served:
    """A stand-in with the port at which it answers."""

    shard: Shard
    port: int
    traffic: Traffic


@asynccontextmanager
async def served(document: Mapping[str, Any]) -> AsyncIterator[tuple[Served, ...]]:
    async with AsyncExitStack() as servers:
        found = []
        for number in range(document["shards"]):
            shard, traffic = made(document, number), Traffic()
            server, port = await listen(shard.answer, traffic, host=HOST)
            await servers.enter_async_context(server)
            found.append(Served(shard, port, traffic))
        yield tuple(found)
