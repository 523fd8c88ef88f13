"""Flows in a process of their own: a test may hold it at a moment, stop it, or kill it.

Each is forked from a server that has imported the flows already: an import takes seconds.
"""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_LEVEL,
    temporary_settings,
)

from deployments.sandbox.prefect_server import PrefectServer
from flows.__main__ import _flows, _told
from tasks.domain.errors import BackupError
from tests.integration.bench import Bench
from tests.moments import Moment, held_at

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = "http://127.0.0.1:9/api"
LEASE = {"lease_seconds": 5}
LONGEST = timedelta(seconds=180)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a flow ended by itself: completed, or with an error (`ours`: one made on purpose)."""

    error: str = ""
    ours: bool = False
    told: str = ""

    @property
    def completed(self) -> bool:
        return not self.error


class FlowProcess:
    """A flow that runs elsewhere."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe

    def is_held(self) -> bool:
        """Wait until it stands at its moment; False when it ended without coming there."""
        return not isinstance(self._heard(LONGEST), End)

    def go_on(self) -> None:
        with suppress(BrokenPipeError):
            self._pipe.send("go on")

    def ends_within(self, seconds: float) -> bool:
        return bool(wait([self._process.sentinel], seconds))

    def end(self) -> End:
        """Wait for its end."""
        end = self._heard(LONGEST)
        assert isinstance(end, End)
        return end

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def start(self) -> None:
        """Nothing comes back by itself: the operation is run again, in another process."""

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def _heard(self, within: timedelta) -> object:
        if not self._pipe.poll(within.total_seconds()):
            message = f"the flow's process said nothing within {within}"
            raise TimeoutError(message)
        return self._pipe.recv()


def by_hand(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run with the address of a Prefect server that is down."""
    return subprocess.run(
        (sys.executable, "-m", "flows", *arguments),
        cwd=CHECKOUT,
        env=dict(os.environ) | {"PREFECT_API_URL": NOBODY},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


@contextmanager
def another_process(
    server: PrefectServer,
    bench: Bench,
    operation: str,
    moment: Moment | None = None,
    /,
    **form: Any,
) -> Iterator[FlowProcess]:
    """Run a flow elsewhere, up to the moment if one is given; leaving kills it."""
    filled = bench.form({"options": LEASE, "inventory": str(bench.cluster.inventory_path)}, **form)
    ours, theirs = _FORKS.Pipe()
    play = _Play(
        operation=operation,
        form=filled,
        api_url=server.api_url,
        log=bench.cluster.directory / "flows.log",
        moment=moment,
        pipe=theirs,
    )
    process = _FORKS.Process(target=play.run)
    process.start()
    theirs.close()
    try:
        yield FlowProcess(process, ours)
    finally:
        process.kill()
        process.join()
        ours.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Play:
    """All that a new process gets."""

    operation: str
    form: Mapping[str, Any]
    api_url: str
    log: Path
    moment: Moment | None
    pipe: Connection

    def run(self) -> None:
        threading.Thread(target=_end_with_my_parent, daemon=True).start()
        with self.log.open("ab") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        settings = {
            PREFECT_API_URL: self.api_url,
            PREFECT_LOGGING_LEVEL: "CRITICAL",
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        }
        with ExitStack() as stack:
            stack.enter_context(temporary_settings(settings))
            if self.moment is not None:
                stack.enter_context(held_at(self.moment, self._hold))
            end = asyncio.run(_ended(self.operation, self.form))
        self.pipe.send(end)
        # what Prefect's threads have still to report concerns nobody
        os._exit(0)

    async def _hold(self) -> None:
        self.pipe.send("held")
        await asyncio.to_thread(self.pipe.recv)


async def _ended(operation: str, form: Mapping[str, Any]) -> End:
    try:
        await _flows()[operation](**form)
    except BackupError as error:
        return End(error=type(error).__name__, ours=True, told=_told(error))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a fault is told as such
        told = "".join(traceback.format_exception(error))
        return End(error=type(error).__name__, told=told)
    return End()


def _end_with_my_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
