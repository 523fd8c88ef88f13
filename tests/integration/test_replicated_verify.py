"""Replicated tables are drilled beside the living ones, and nobody in the cluster notices."""

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.replicated_shop import contents, first_replicas, open_shop

pytestmark = [pytest.mark.replicated, pytest.mark.prefect]

# creating it would join a group of consumers
STREAM = (
    "CREATE TABLE shop.queue (id UInt64) "
    "ENGINE = Kafka('127.0.0.1:1', 'orders', 'group', 'JSONEachRow')"
)
REGISTERED = (
    "SELECT database, table, zookeeper_path, replica_name, total_replicas, log_max_index "
    "FROM system.replicas ORDER BY database, table"
)


async def test_replicated_rows_are_drilled_and_nothing_registers(replicas: Bench) -> None:
    open_shop(replicas)
    replicas.everywhere(STREAM)
    await replicas.backup("drilled")
    rows, registered = contents(replicas), replicas.everywhere(REGISTERED)
    held = replicas.state()
    replicas.nodes[first_replicas(replicas)[1]].kill()
    try:
        done = await replicas.verify("drilled")
    finally:
        replicas.nodes[first_replicas(replicas)[1]].start()
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed"), done.findings
    drilled = [(f.shard, f.replica, f.table, f.rows) for f in done.findings if f.table]
    assert sorted(drilled) == [
        ("0", "chi-demo-main-0-0", "shop.orders", 300),
        ("0", "chi-demo-main-0-0", "shop.seen", 10),
        ("1", "chi-demo-main-1-1", "shop.orders", 300),
        ("1", "chi-demo-main-1-1", "shop.seen", 12),
    ]
    assert contents(replicas) == rows
    assert replicas.everywhere(REGISTERED) == registered
    assert replicas.state() == held
