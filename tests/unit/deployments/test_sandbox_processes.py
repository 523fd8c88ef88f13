"""Programs of the sandbox are found, waited for and ended, whatever they do."""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.sandbox import processes
from deployments.sandbox.processes import (
    Process,
    Program,
    SandboxError,
    free_ports,
    living_pid,
    wait_until,
)

STUBBORN = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


def python(home: Path, code: str) -> Process:
    """Make a program that is ready once it has touched the file that it is told."""
    ready = home / "ready"
    program = Program(name="it", arguments=(sys.executable, "-c", code, str(ready)), home=home)
    return Process(program, answers=ready.exists)


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Process]:
    process = python(tmp_path, STUBBORN)
    process.start()
    yield process
    process.kill()


def test_a_program_that_ends_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="out of luck"):
        python(tmp_path, "raise SystemExit('out of luck')").start()


def test_who_does_not_end_when_asked_is_killed(
    stubborn: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_DEADLINE", timedelta(seconds=0.2))
    stubborn.stop()
    assert not stubborn.alive


def test_starting_what_runs_changes_nothing(stubborn: Process) -> None:
    before = stubborn.pid
    stubborn.start()
    assert stubborn.pid == before


def test_stopping_what_does_not_run_is_harmless(tmp_path: Path) -> None:
    process = python(tmp_path, "")
    process.stop()
    process.kill()
    assert not process.alive


def test_a_process_that_has_its_number_from_a_dead_one_is_not_taken_for_it(
    tmp_path: Path,
) -> None:
    pid_file = tmp_path / "it.pid"
    pid_file.write_text(f"{os.getpid()} 1")
    assert living_pid(pid_file) is None


@pytest.mark.parametrize("content", ["", "12", "no number"], ids=["empty", "half", "text"])
def test_a_torn_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    pid_file = tmp_path / "it.pid"
    pid_file.write_text(content)
    assert living_pid(pid_file) is None


def test_ports_differ_from_each_other() -> None:
    ports = free_ports(30)
    assert len(set(ports)) == 30


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(SandboxError, match="the moon rises"):
        wait_until(lambda: False, what="the moon rises", within=timedelta(0))
