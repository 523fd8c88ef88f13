"""A Prefect server with its workers, for the demo and the tests."""

import http.client
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from deployments.sandbox.guard import Guard
from deployments.sandbox.processes import (
    HOST,
    Process,
    Program,
    free_ports,
    python_environment,
    python_module,
    start_together,
    stop_together,
)

OK = 200
HEALTH_TIMEOUT_SECONDS = 2.0
WORKER_IS_READY = "started!"
# In memory: on a file, the recorder of task runs and the runs themselves wait for each other's
# locks, and each collision costs a client two seconds.
IN_MEMORY = "sqlite+aiosqlite:///file::memory:?cache=shared&uri=true&check_same_thread=false"


class PrefectServer:
    """Its data are gone when it stops, unless they are lasting (and each call takes longer)."""

    def __init__(self, home: Path, *, with_ui: bool, lasting: bool = False) -> None:
        self.home = home.absolute()
        self.home.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)
        self.workers: list[Process] = []
        self._guard: Guard | None = None
        self._database_url = f"sqlite+aiosqlite:///{self.home}/prefect.db" if lasting else IN_MEMORY
        self.process = Process(self._server_program(with_ui=with_ui), answers=self._is_healthy)

    @classmethod
    def start(cls, home: Path, *, with_ui: bool, bound_to_me: bool, lasting: bool = False) -> Self:
        """Return once the API answers.

        Bound to me: everything ends when this process does, even by SIGKILL.
        """
        server = cls(home, with_ui=with_ui, lasting=lasting)
        if bound_to_me:
            server._guard = Guard(server.home)
        try:
            server.process.start()
        except BaseException:
            server.stop()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ui_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        return f"{self.ui_url}/api"

    def start_workers(self, pools: Iterable[str], environment: Mapping[str, str]) -> None:
        """Serve work pools, made if missing, with processes of this machine.

        Flow runs inherit the environment.
        """
        workers = [self._worker(pool, environment) for pool in pools]
        self.workers += workers
        start_together(workers)

    def stop(self) -> None:
        """Workers first: they would report an API that goes away."""
        stop_together(self.workers)
        self.process.stop()
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None

    def _server_program(self, *, with_ui: bool) -> Program:
        return Program(
            name="prefect-server",
            arguments=_prefect("server", "start", "--host", HOST, "--port", str(self.port)),
            home=self.home,
            environment=self._environment()
            | {
                # The blocks of Prefect's own library: seconds of work, and nothing here uses one.
                "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_DATABASE_CONNECTION_URL": self._database_url,
                "PREFECT_SERVER_UI_ENABLED": str(with_ui).lower(),
                "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(self.home / "ui"),
                "PREFECT_SERVER_UI_API_URL": self.api_url,
            },
        )

    def _worker(self, pool: str, environment: Mapping[str, str]) -> Process:
        program = self._worker_program(pool, environment)
        return Process(program, answers=lambda: WORKER_IS_READY in program.log.read_text())

    def _worker_program(self, pool: str, environment: Mapping[str, str]) -> Program:
        start = ("worker", "start", "--type", "process", "--pool", pool, "--name", pool)
        return Program(
            name=f"prefect-worker-{pool}",
            arguments=_prefect(*start),
            home=self.home,
            environment=self._environment()
            | {"PREFECT_API_URL": self.api_url, "PREFECT_WORKER_QUERY_SECONDS": "1"}
            | dict(environment),
        )

    def _environment(self) -> dict[str, str]:
        temporary = self.home / "tmp"
        temporary.mkdir(exist_ok=True)
        return python_environment() | {
            "DO_NOT_TRACK": "1",
            "PREFECT_HOME": str(self.home),
            # A worker that is killed leaves the working directories of its runs behind.
            "TMPDIR": str(temporary),
        }

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=HEALTH_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _prefect(*arguments: str) -> tuple[str, ...]:
    return python_module("deployments.sandbox.interruptible", "prefect", *arguments)
