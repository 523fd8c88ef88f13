"""`python -m deployments.sandbox.double`: the sidecar of one node, configured by environment."""

import asyncio
import os
import signal
import sys

from deployments.sandbox.double.api import Api
from deployments.sandbox.double.errors import InvalidSettings
from deployments.sandbox.double.sidecar import Sidecar
from deployments.sandbox.double.web import serve


async def run(sidecar: Sidecar) -> None:
    """Answers once the node has; SIGHUP reloads, SIGTERM cancels what runs and ends."""
    loop, stopping, reloading = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.set)
    await sidecar.prepare()
    api = Api(sidecar, reloading.set)
    server = await serve(api.answer, sidecar.settings.listen_host, sidecar.settings.listen_port)
    background = [asyncio.create_task(_reload_when_asked(sidecar, reloading))]
    if sidecar.settings.resume_after_restart:
        background.append(asyncio.create_task(sidecar.resume()))
    await stopping.wait()
    server.close()
    await sidecar.stop()
    for task in background:
        task.cancel()


async def _reload_when_asked(sidecar: Sidecar, reloading: asyncio.Event) -> None:
    while True:
        await reloading.wait()
        reloading.clear()
        await sidecar.reload()


def main() -> None:
    try:
        sidecar = Sidecar(os.environ)
    except InvalidSettings as error:
        sys.exit(str(error))
    asyncio.run(run(sidecar))


if __name__ == "__main__":
    main()
