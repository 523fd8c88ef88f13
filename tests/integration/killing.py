"""Flows in a process of their own, which a test can kill without a chance to tidy up."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments.sandbox.prefect_server import PrefectServer
from tests.integration.bench import Bench

CHECKOUT = Path(__file__).resolve().parents[2]
LEASE = {"lease_seconds": 5}
RUN = """
import asyncio, json, sys
from flows.backup import backup_cluster
from flows.restore import restore_cluster
flow = {"backup": backup_cluster, "restore": restore_cluster}[sys.argv[1]]
asyncio.run(flow(**json.loads(sys.argv[2])))
"""


@contextmanager
def another_process(
    server: PrefectServer, bench: Bench, operation: str, **form: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a flow elsewhere; leaving kills it."""
    filled = bench.form({"options": LEASE, "inventory": str(bench.cluster.inventory_path)}, **form)
    process = subprocess.Popen(
        (sys.executable, "-c", RUN, operation, json.dumps(filled)),
        cwd=CHECKOUT,
        env=dict(os.environ)
        | {"PREFECT_API_URL": server.api_url, "PREFECT_LOGGING_LEVEL": "CRITICAL"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
