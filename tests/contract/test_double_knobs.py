"""What tests can turn in the double, which the real sidecar does not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.sandbox.client import QueryFailed
from deployments.sandbox.double.knobs import Knobs
from deployments.sandbox.layout import SidecarKind
from tests.contract.bench import Bench, fill


@pytest.fixture
def knobs(bench: Bench) -> Iterator[Path]:
    if bench.kind is not SidecarKind.DOUBLE:
        pytest.skip("the real sidecar has no knobs")
    path = bench.home / "knobs.json"
    fill(bench, "app.t")
    yield path
    path.unlink(missing_ok=True)


def test_a_command_waits_at_a_step_as_long_as_it_is_told_to(bench: Bench, knobs: Path) -> None:
    Knobs(pause=("create.metadata",)).write(knobs)
    bench.submit("create --tables=app.* b1")
    bench.wait(lambda: bool(bench.backups("local")), "the backup is begun")
    assert bench.last("create --tables=app.* b1").running
    assert bench.backups("local")["b1"]["desc"] == "broken metadata.json not found"
    knobs.unlink()
    assert bench.finished("create --tables=app.* b1").outcome == "success"


def test_the_process_dies_at_a_step_once(bench: Bench, knobs: Path) -> None:
    Knobs(die=("create.metadata",)).write(knobs)
    with pytest.raises(QueryFailed):
        bench.run("create --tables=app.* b1")
    bench.wait(lambda: not bench.sidecar.alive, "the sidecar is gone")
    bench.sidecar.start()
    assert bench.backups("local")["b1"]["desc"] == "broken metadata.json not found"
    bench.succeed("delete local b1", "create --tables=app.* b1")


def test_a_command_fails_at_a_step_with_the_given_text(bench: Bench, knobs: Path) -> None:
    Knobs(fail={"upload.data": "no room"}).write(knobs)
    bench.succeed("create --tables=app.* b1")
    assert bench.fail("upload b1") == "no room"


def test_a_step_lasts_as_long_as_it_is_told_to(bench: Bench, knobs: Path) -> None:
    Knobs(seconds={"create.metadata": 2.0}).write(knobs)
    bench.succeed("create --tables=app.* b1")
    row = bench.last("create --tables=app.* b1")
    assert row["finish"] - row["start"] >= 2


def test_a_listing_can_be_partial_and_nobody_is_told(bench: Bench, knobs: Path) -> None:
    bench.succeed("create_remote --tables=app.* b1", "create_remote --tables=app.* b2")
    Knobs(partial_listing=True).write(knobs)
    assert set(bench.backups("remote")) == {"b1"}


def test_the_clock_of_the_sidecar_can_be_wrong(bench: Bench, knobs: Path) -> None:
    Knobs(clock_offset_seconds=3600).write(knobs)
    bench.succeed("create --tables=app.* b1")
    now = int(bench.sql("SELECT toUnixTimestamp(now())"))
    assert 3500 < bench.last("create --tables=app.* b1")["start"] - now <= 3600
    created = int(bench.sql("SELECT toUnixTimestamp(created) FROM system.backup_list"))
    assert 3500 < created - now <= 3600


def test_a_kill_in_name_only_frees_the_lock_while_the_work_goes_on(
    bench: Bench, knobs: Path
) -> None:
    command = "create --tables=app.* b1"
    Knobs(pause=("create.metadata",), kills_in_name_only=True).write(knobs)
    bench.submit(command)
    bench.submit(f"kill '{command}'")
    assert bench.last(command).outcome == "cancel: canceled from API /backup/actions"
    assert bench.get("/backup/version") == [{"version": "2.7.3"}]
    assert "not found" in bench.fail("download nosuch")  # not refused: nobody holds the lock
    Knobs(kills_in_name_only=True).write(knobs)
    bench.wait(
        lambda: bench.backups("local")["b1"]["desc"] == "regular", "b1 is whole all the same"
    )
