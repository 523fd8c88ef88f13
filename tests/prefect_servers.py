"""A Prefect server for tests that run flows, with the settings under which runs are quick."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.context import SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from deployments.sandbox.prefect_server import PrefectServer


@contextmanager
def served_prefect(home: Path) -> Iterator[PrefectServer]:
    """Flows called in this process report to the server, and leave it before it stops."""
    with PrefectServer.start(home, with_ui=False, bound_to_me=True) as server:
        settings = {PREFECT_API_URL: server.api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        # One client to be closed here: Prefect leaves those open that it makes for itself.
        with temporary_settings(settings), SyncClientContext():
            yield server
            # Otherwise the workers' threads wait for a server that is gone, a minute and more.
            APILogWorker.drain_all()
            EventsWorker.drain_all()
