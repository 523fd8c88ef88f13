"""The guard of a cluster that must not outlive its owner, however the owner ends.

It waits until the owner's end of a pipe closes, be it by `close()` or by the owner's death, and
then ends every process that has a pid file below the cluster's directory. (The kernel's own
parent-death signal follows the thread that started a process, not its program.)
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deployments.sandbox.processes import (
    STOP_DEADLINE,
    SandboxError,
    living_pid,
    python_environment,
    python_module,
    signal_session,
    wait_until,
)

REMOVING = "--removing"


class Guard:
    """Removing: the directory goes with the processes."""

    def __init__(self, directory: Path, *, removing: bool = False) -> None:
        options = (REMOVING,) if removing else ()
        self._process = subprocess.Popen(
            python_module("deployments.sandbox.guard", str(directory), *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=python_environment(),
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Return once nothing of the cluster lives."""
        self._process.communicate()

    def release(self) -> None:
        """Let the cluster live on without its owner."""
        self._process.kill()
        self._process.communicate()


def end_all(directory: Path) -> None:
    pid_files = tuple(directory.rglob("*.pid"))
    # A paused process takes note of SIGTERM only when it goes on.
    for number in (signal.SIGTERM, signal.SIGCONT):
        _signal_all(pid_files, number)
    try:
        wait_until(
            lambda: not any(map(living_pid, pid_files)), what="all have ended", within=STOP_DEADLINE
        )
    except SandboxError:
        _signal_all(pid_files, signal.SIGKILL)


def _signal_all(pid_files: Iterable[Path], number: signal.Signals) -> None:
    for pid_file in pid_files:
        if (pid := living_pid(pid_file)) is not None:
            signal_session(pid, number)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    guarded = Path(sys.argv[1])
    end_all(guarded)
    if REMOVING in sys.argv:
        shutil.rmtree(guarded, ignore_errors=True)
