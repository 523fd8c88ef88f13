"""Programs of the sandbox: started in a session of their own, found again by their pid files."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

PROJECT = Path(__file__).parents[2]
HOST = "127.0.0.1"
# Below the range that the kernel gives to outgoing connections: a stopped node finds its port free.
PORTS = range(20_000, 32_000)
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
# Prefect alone may take a minute where two cores are shared by much else.
START_DEADLINE = timedelta(seconds=120)
STOP_DEADLINE = timedelta(seconds=15)
POLL_SECONDS = 0.02
LOG_TAIL_CHARACTERS = 2000


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. `home` takes its pid file and its log, named after it."""

    name: str
    arguments: tuple[str, ...]
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.home / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.home / f"{self.name}.pid"


class Process:
    """A program that runs, or may run. Two of these for one program see the same process."""

    def __init__(self, program: Program, *, answers: Callable[[], bool]) -> None:
        self.program = program
        self._answers = answers
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """None when it does not run."""
        pid = living_pid(self.program.pid_file)
        if self._child is not None and self._child.pid != pid:
            self._child.wait()  # a dead child of ours stays a zombie until it is asked for
            self._child = None
        return pid

    @property
    def alive(self) -> bool:
        return self.pid is not None

    def start(self) -> None:
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start without waiting. Harmless when it runs already."""
        if self.alive:
            return
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        with self.program.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.program.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment | dict(self.program.environment),
                start_new_session=True,
            )
        self.program.pid_file.write_text(f"{self._child.pid} {_started(self._child.pid)}")

    def wait_until_ready(self) -> None:
        def ended_or_ready() -> bool:
            return not self.alive or self._answers()

        wait_until(ended_or_ready, what=f"{self.program.name} answers", within=START_DEADLINE)
        if not self.alive:
            message = f"{self.program.name} ended while starting:\n{self.log_tail()}"
            raise SandboxError(message)

    def stop(self) -> None:
        """Ask it to end, and end it if it does not. Harmless when it does not run."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        try:
            self._wait_until_gone()
        except SandboxError:
            self.kill()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait_until_gone()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def log_tail(self) -> str:
        if not self.program.log.exists():
            return ""
        return self.program.log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            signal_session(pid, number)

    def _wait_until_gone(self) -> None:
        wait_until(
            lambda: not self.alive, what=f"{self.program.name} is gone", within=STOP_DEADLINE
        )


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def python_environment() -> dict[str, str]:
    """So that a module of this project is found wherever the sandbox is started from."""
    return {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}


def start_together(processes: Iterable[Process]) -> None:
    """Spawn all, then wait for all: they start side by side."""
    started = tuple(processes)
    for process in started:
        process.spawn()
    with ThreadPoolExecutor(max_workers=len(started) or 1) as pool:
        list(pool.map(Process.wait_until_ready, started))


def stop_together(processes: Iterable[Process]) -> None:
    stopped = tuple(processes)
    with ThreadPoolExecutor(max_workers=len(stopped) or 1) as pool:
        list(pool.map(Process.stop, stopped))


def living_pid(pid_file: Path) -> int | None:
    """Find the process that the file names, unless it is dead, or another one of that number."""
    try:
        written, started = pid_file.read_text().split()
        number = int(written)
    except (FileNotFoundError, ValueError):
        return None
    return number if _started(number) == started else None


def signal_session(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def free_ports(count: int, *, besides: Collection[int] = ()) -> tuple[int, ...]:
    """Find ports that nobody listens on; `besides` are promised to somebody already."""
    found: list[int] = []
    for port in random.sample(PORTS, k=len(PORTS)):
        if len(found) == count:
            break
        if port not in besides and _is_free(port):
            found.append(port)
    return tuple(found)


def wait_until(condition: Callable[[], bool], *, what: str, within: timedelta) -> None:
    deadline = time.monotonic() + within.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {within.total_seconds():g} s in vain until {what}"
            raise SandboxError(message)
        time.sleep(POLL_SECONDS)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _started(pid: int) -> str:
    """When it started, in clock ticks since boot. Empty if it is gone, or dead but not reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # The command name, in parentheses, may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
