"""Run one flow in a process of its own, and print as JSON what it cost: `python -m ... FORM`.

FORM is JSON: `operation`, the flow's parameters as `form`, and `api_url` of a Prefect server.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from typing import Any


def counted() -> Counter[str]:
    """Count what is sent to servers, openings of connections included."""
    from aiohttp import ClientSession  # noqa: PLC0415 - the driver's, and nobody else's here

    sent = Counter[str]()
    original = ClientSession._request

    async def request(self: Any, *args: Any, **named: Any) -> Any:
        sent["queries"] += 1
        return await original(self, *args, **named)

    ClientSession._request = request  # type: ignore[method-assign]
    return sent


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    from flows.backup import backup_cluster  # noqa: PLC0415
    from flows.restore import restore_cluster  # noqa: PLC0415
    from flows.verify import verify_backup  # noqa: PLC0415

    flows: dict[str, Any] = {
        "backup": backup_cluster,
        "verify": verify_backup,
        "restore": restore_cluster,
    }
    flow = flows[asked["operation"]]
    sent = counted()
    cpu, began = time.process_time(), time.monotonic()
    state = await flow(**asked["form"], return_state=True)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    outcome = await state.aresult()
    return {
        "run": str(state.state_details.flow_run_id),
        "status": outcome.status.value,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "queries": sent["queries"],
        "skew_seconds": getattr(outcome, "skew_seconds", None),
    }


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    os.environ["PREFECT_API_URL"] = given["api_url"]
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        print(json.dumps(asyncio.run(main(given))))
