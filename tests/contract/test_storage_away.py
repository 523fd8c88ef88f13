"""What a sidecar says while its object store does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deployments.sandbox.double.knobs import Knobs
from tests.contract.bench import Bench, Refused, fill


@contextmanager
def storage_away(bench: Bench) -> Iterator[None]:
    """Stop the S3 server of the real one; tell the double that its folder does not answer."""
    store, knobs = bench.cluster.store, bench.home / "knobs.json"
    if store is None:
        Knobs(remote_away=True).write(knobs)
    else:
        store.kill()
    try:
        yield
    finally:
        if store is None:
            knobs.unlink()
        else:
            store.start()


def test_while_the_store_is_away(bench: Bench) -> None:
    """One test for all of it: the real one takes its time with each."""
    fill(bench, "app.t")
    bench.succeed("create_remote --tables=app.* b1", "create --tables=app.* b2")
    with storage_away(bench):
        listed = bench.select("SELECT name, location FROM system.backup_list")
        assert listed == [
            {"name": "b1", "location": "local"},
            {"name": "b2", "location": "local"},
        ]
        with pytest.raises(Refused) as refused:
            bench.submit("delete remote b1")
        assert refused.value.status == 500
        assert bench.fail("upload b2")
        assert bench.fail("create_remote --tables=app.* b3")
        assert "b3" in bench.backups("local")
    assert set(bench.backups("remote")) == {"b1"}
    bench.succeed("upload b2")
    assert bench.backups("remote")["b2"]["desc"] == "tar, regular"
