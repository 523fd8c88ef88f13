"""What an operation that was given up must not leave behind, on any node."""

from collections.abc import Iterable

from tasks.clickhouse.client import open_cluster
from tasks.clickhouse.journal import read_journal
from tasks.clickhouse.lock import TableDoor
from tests.integration.bench import Bench


async def demand_nothing_left(
    bench: Bench, operation_id: str, *, copies: Iterable[str] = ()
) -> None:
    """Demand nothing at work, no lock, no local copies but these, no journal that is still open."""
    numbers = range(len(bench.nodes))
    at_work = [row for n in numbers for row in bench.actions(n) if row["status"] == "in progress"]
    assert at_work == []
    assert [bench.listed(n, "local") for n in numbers] == [set(copies) for _ in numbers]
    async with open_cluster(bench.cluster.inventory) as cluster:
        for server in cluster.servers:
            journal = await read_journal(server, operation_id=operation_id)
            assert journal.unfinished() == ()
        holder = await TableDoor(cluster.lock_server).newest()
    assert holder is not None
    assert holder.released, holder.sentence


def remote(bench: Bench) -> list[set[str]]:
    """List what every node shows in its bucket, whole or broken."""
    return [bench.listed(number, "remote") for number in range(len(bench.nodes))]
