"""Serve the stand-ins of a document until it is ended by SIGTERM.

The first line printed is JSON: the port of each shard. The port `traffic` tells what they saw.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deployments.sandbox.processes import HOST
from tests.benchmarks.standin.shards import served
from tests.benchmarks.standin.web import Reply, Request, Traffic, listen


async def main(document: dict[str, Any]) -> None:
    async with served(document) as shards:

        async def tell(_: Request) -> Reply:
            return Reply(json.dumps([asdict(shard.traffic) for shard in shards]).encode())

        server, telling = await listen(tell, Traffic(), host=HOST)
        ports = [shard.port for shard in shards]
        print(json.dumps({"shards": ports, "traffic": telling}), flush=True)
        async with server:
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
