"""Rescue: some tables, some partitions, only rows; what was not asked for stays, bit for bit."""

import asyncio

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.errors import InvalidRequest, OperationIncomplete, PreflightFailed, TargetNotEmpty
from tasks.domain.outcomes import Status
from tasks.domain.phases import RestorePhase
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench
from tests.integration.killing import LEASE, another_process, by_hand
from tests.integration.kinds import ROWS, SCHEMA, answers, statements
from tests.moments import Moment, Point

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

SIBLING = (
    "CREATE TABLE shop.names (id UInt64, name String) ENGINE = MergeTree ORDER BY id",
    "INSERT INTO shop.names SELECT number, toString(number) FROM numbers(5)",
)
DAILY = """
CREATE MATERIALIZED VIEW shop.daily ENGINE = SummingMergeTree ORDER BY day POPULATE AS
SELECT day, count() AS orders FROM shop.orders GROUP BY day
"""
REFRESHED = """
CREATE MATERIALIZED VIEW shop.clock REFRESH EVERY 1 YEAR APPEND (at DateTime)
ENGINE = MergeTree ORDER BY at EMPTY AS SELECT now() AS at
"""
PARTS = (
    "SELECT table, partition_id, name, rows, hash_of_all_files FROM system.parts "
    "WHERE active AND database = 'shop' AND table {where} ORDER BY ALL"
)
IDENTITIES = "SELECT name, uuid FROM system.tables WHERE database = 'shop' AND name {where}"


def state_of(bench: Bench, where: str) -> list[list[str]]:
    """Every part and every identity of some tables of the shop."""
    return bench.everywhere(PARTS.format(where=where), IDENTITIES.format(where=where))


def orders_of(bench: Bench, condition: str) -> list[list[str]]:
    return bench.everywhere(f"SELECT * FROM shop.orders WHERE {condition} ORDER BY ALL")


async def test_only_the_tables_that_were_asked_for_are_restored_with_what_belongs_to_them(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=60)
    three_shards.everywhere(*SIBLING, DAILY)
    sums = "SELECT day, sum(orders) FROM shop.daily GROUP BY day ORDER BY day"
    of_backup = three_shards.everywhere(sums)
    await three_shards.backup("some")
    three_shards.everywhere("DROP VIEW shop.daily SYNC")
    for number in range(3):
        three_shards.add_orders(number, rows=10, first=5000)
    others = state_of(three_shards, "IN ('orders', 'names')")
    with three_shards.refusal(InvalidRequest, "shop.dayly", "shop.names", after_asking=True):
        await three_shards.restore("some", tables=["shop.dayly"])
    done = await three_shards.restore("some", tables=["shop.daily"])
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert three_shards.everywhere(sums) == of_backup
    assert state_of(three_shards, "IN ('orders', 'names')") == others
    assert {table.table.partition(".")[0] for table in done.comparisons} == {"shop"}
    assert not [table for table in done.comparisons if "orders" in table.table]

    await three_shards.restore("some", tables=["shop.orders"], overwrite=True)
    three_shards.add_orders(0, rows=7, first=9000)
    assert three_shards.nodes[0].query("SELECT sum(orders) FROM shop.daily") == "67"


async def test_a_partition_is_replaced_and_the_others_stay_as_they_are(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=90)
    one_shard.everywhere(*SIBLING)
    of_backup = orders_of(one_shard, "toYYYYMM(day) = 202602")
    await one_shard.backup("months")
    one_shard.add_orders(0, rows=30, first=5000)
    one_shard.nodes[0].query("DELETE FROM shop.orders WHERE toYYYYMM(day) = 202602 AND id < 50")
    elsewhere = "toYYYYMM(day) != 202602"
    kept, replaced = orders_of(one_shard, elsewhere), one_shard.contents("shop.orders")
    others = state_of(one_shard, "= 'names'")
    identity = one_shard.everywhere(IDENTITIES.format(where="= 'orders'"))
    form = {"tables": ["shop.orders"], "partitions": ["202602"]}
    with one_shard.refusal(TargetNotEmpty, "202602", "shop.orders", after_asking=True):
        await one_shard.restore("months", **form)
    with one_shard.refusal(InvalidRequest, "209901", "202601", after_asking=True):
        await one_shard.restore("months", partitions=["209901"], overwrite=True)

    done = await one_shard.restore("months", overwrite=True, **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert orders_of(one_shard, "toYYYYMM(day) = 202602") == of_backup
    assert orders_of(one_shard, elsewhere) == kept
    assert state_of(one_shard, "= 'names'") == others
    assert one_shard.everywhere(IDENTITIES.format(where="= 'orders'")) == identity
    await one_shard.restore(str(done.safety_copy), overwrite=True)
    assert one_shard.contents("shop.orders") == replaced


async def test_a_partition_that_was_dropped_comes_back_without_overwriting(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=90)
    before = one_shard.contents("shop.orders")
    await one_shard.backup("dropped-month")
    one_shard.everywhere("ALTER TABLE shop.orders DROP PARTITION ID '202603'")
    done = await one_shard.restore("dropped-month", partitions=["shop.orders:202603"])
    assert (done.status, done.safety_copy) == (Status.COMPLETED, None)
    assert one_shard.contents("shop.orders") == before


async def test_rows_are_brought_into_tables_that_stand_empty(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=90)
    one_shard.everywhere(*SIBLING)
    before = one_shard.contents("shop.orders", "shop.names")
    await one_shard.backup("rows")
    one_shard.everywhere("TRUNCATE TABLE shop.orders", "DROP TABLE shop.names SYNC")
    identity = one_shard.everywhere(IDENTITIES.format(where="= 'orders'"))
    with one_shard.refusal(PreflightFailed, "shop.names does not stand", after_asking=True):
        await one_shard.restore("rows", data_only=True)
    one_shard.everywhere(*SIBLING)
    with one_shard.refusal(TargetNotEmpty, "shop.names", after_asking=True):
        await one_shard.restore("rows", data_only=True)
    done = await one_shard.restore("rows", data_only=True, tables=["shop.orders"])
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert one_shard.contents("shop.orders", "shop.names") == before
    assert one_shard.everywhere(IDENTITIES.format(where="= 'orders'")) == identity


async def test_a_killed_restore_of_a_partition_run_again_attaches_it_once(
    one_shard: Bench, prefect_server: PrefectServer
) -> None:
    name = "killed-month"
    one_shard.fill_shop(rows=90)
    before = one_shard.contents("shop.orders")
    await one_shard.backup(name)
    one_shard.nodes[0].query("DELETE FROM shop.orders WHERE toYYYYMM(day) = 202602 AND id < 50")
    form = {"partitions": ["202602"], "overwrite": True, "operation_id": f"op-{name}"}
    moment = Moment(
        phase=RestorePhase.DATA,
        replica=one_shard.members[0].replica,
        point=Point.RUNNING,
        step="restore.attach",
        knobs=one_shard.sidecar(0).knobs,
    )
    with (
        one_shard.turned(0),
        another_process(prefect_server, one_shard, "restore", moment, backup=name, **form) as flow,
    ):
        assert flow.is_held()
    done = await one_shard.restore(name, **form, options=LEASE)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert one_shard.contents("shop.orders") == before
    sent = [c for c in one_shard.commands(0, of="restore") if c.endswith(f" --data {name}")]
    assert len(sent) == 2
    assert all("--partitions=shop.orders:202602" in command for command in sent)


async def test_rows_that_came_after_an_interrupted_replacement_stop_the_rerun(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90)
    await three_shards.backup("came-later")
    form = {"partitions": ["202602"], "overwrite": True, "operation_id": "op-came-later"}
    trouble = {"fail": {"restore.attach": "injected trouble"}}
    with three_shards.turned(1, **trouble), pytest.raises(OperationIncomplete):
        await three_shards.restore("came-later", **form)
    three_shards.nodes[1].query("INSERT INTO shop.orders VALUES (777, '2026-02-20', 'mine')")
    with pytest.raises(OperationIncomplete, match="orders may hold rows written after"):
        await three_shards.restore("came-later", **form)
    assert orders_of(three_shards, "id = 777") == [[""], ["777\t2026-02-20\tmine"], [""]]


async def test_the_newest_backup_is_found_by_name_and_time_and_a_rerun_takes_the_same(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    first = await three_shards.backup("nightly-1")
    of_first = three_shards.contents("shop.orders")
    three_shards.add_orders(0, first=5000)
    of_second = three_shards.contents("shop.orders")
    await three_shards.backup("nightly-2")
    await three_shards.backup("partial", tables=["shop.*"])
    form = {"latest_of": "nightly", "overwrite": True, "operation_id": "op-latest"}
    trouble = {"fail": {"restore.data": "injected trouble"}}
    with three_shards.turned(1, **trouble), pytest.raises(OperationIncomplete):
        await three_shards.restore("latest", **form)
    await three_shards.backup("nightly-3")
    done = await three_shards.restore("latest", **form)
    assert (done.status, done.backup_name) == (Status.COMPLETED, "nightly-2")
    assert three_shards.contents("shop.orders") == of_second
    past = first.finished.isoformat()
    done = await three_shards.restore("latest", before=past, overwrite=True)
    assert done.backup_name == "nightly-1"
    assert three_shards.contents("shop.orders") == of_first
    planned = await three_shards.restore("latest", tables=["shop.*"], overwrite=True, dry_run=True)
    assert planned.backup_name == "nightly-3"


async def test_only_tables_that_do_not_stand_are_restored_also_by_a_rerun(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    three_shards.everywhere(*SIBLING, DAILY)
    orders, names = "shop.orders", "shop.names"
    before = three_shards.contents(orders, names)
    await three_shards.backup("gaps")
    three_shards.everywhere("DROP TABLE shop.names SYNC", "DROP VIEW shop.daily SYNC")
    for number in (0, 1):
        three_shards.nodes[number].query("DROP TABLE shop.orders SYNC")
    three_shards.add_orders(2, rows=5, first=5000)
    standing = {orders: three_shards.nodes[2].query("SELECT * FROM shop.orders ORDER BY ALL")}
    form = {"mode": "missing", "operation_id": "op-gaps"}
    trouble = {"fail": {"restore.data": "injected trouble"}}
    with three_shards.turned(1, **trouble), pytest.raises(OperationIncomplete):
        await three_shards.restore("gaps", **form)
    done = await three_shards.restore("gaps", **form)
    assert (done.status, done.verdict, done.safety_copy) == (Status.COMPLETED, "passed", None)
    after = three_shards.contents(orders, names)
    assert after[:2] == before[:2]
    assert after[2] == {**before[2], **standing}
    assert three_shards.everywhere("SELECT sum(orders) FROM shop.daily") == [["30"]] * 3
    with three_shards.refusal(PreflightFailed, "every table of it stands", after_asking=True):
        await three_shards.restore("gaps", mode="missing")


async def test_rows_come_back_beside_what_stands_and_the_statements_that_are_told_move_them(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=30)
    three_shards.everywhere(*SIBLING, DAILY, REFRESHED)
    before = three_shards.contents("shop.orders")
    await three_shards.backup("aside")
    three_shards.everywhere("TRUNCATE TABLE shop.orders")
    live = state_of(three_shards, "IN ('orders', 'names', 'daily', 'clock')")
    form = {"mode": "beside", "database_mapping": ["shop:rescued"], "operation_id": "op-aside"}
    trouble = {"fail": {"restore.attach": "injected trouble"}}
    with three_shards.turned(1, **trouble), pytest.raises(OperationIncomplete):
        await three_shards.restore("aside", **form)
    done = await three_shards.restore("aside", **form)
    assert (done.status, done.verdict, done.safety_copy) == (Status.COMPLETED, "passed", None)
    assert three_shards.contents("rescued.orders") == [
        {"rescued.orders": held["shop.orders"]} for held in before
    ]
    assert state_of(three_shards, "IN ('orders', 'names', 'daily', 'clock')") == live
    engines = "SELECT DISTINCT engine FROM system.tables WHERE database = 'rescued' ORDER BY 1"
    assert three_shards.everywhere(engines) == [["MergeTree\nSummingMergeTree"]] * 3
    told = [step for step in done.next_steps if step.startswith("shop.orders on")]
    ways = [step.partition(": ")[2].split(" | ") for step in told]
    for number, statement in ((0, 0), (2, 2)):
        three_shards.nodes[number].query(ways[number][statement])
    after = three_shards.contents("shop.orders")
    assert (after[0], after[2]) == (before[0], before[2])


async def test_a_partition_that_came_back_beside_is_moved_by_the_statement_that_is_told(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    of_month = "SELECT * FROM shop.orders WHERE toYYYYMM(day) = 202602 ORDER BY ALL"
    before = one_shard.everywhere(of_month)
    await one_shard.backup("month-aside")
    one_shard.everywhere("TRUNCATE TABLE shop.orders")
    done = await one_shard.restore("month-aside", mode="beside", partitions=["202602"])
    (told,) = [step for step in done.next_steps if step.startswith("shop.orders on")]
    one_shard.everywhere(told.partition(": ")[2].split(" | ")[0])
    assert one_shard.everywhere(of_month) == before
    assert one_shard.everywhere("SELECT count() FROM shop.orders") == [["10"]]


async def test_a_dry_run_tells_first_what_its_server_has_not_forgotten_yet(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    before = one_shard.contents("shop.orders")
    await one_shard.backup("not-needed")
    one_shard.everywhere("DROP TABLE shop.orders")
    planned = await one_shard.restore("not-needed", dry_run=True)
    assert planned.plan[-1].endswith("attach the rows of shop.orders (30 rows)")
    statement = planned.plan[0].partition(" there: ")[2]
    assert statement.startswith("UNDROP TABLE `shop`.`orders`")
    one_shard.everywhere(statement)
    assert one_shard.contents("shop.orders") == before


async def test_of_a_cluster_of_which_only_the_bucket_is_left_one_command_brings_back_all(
    one_shard: Bench, cluster_factory: ClusterFactory
) -> None:
    one_shard.everywhere(*statements(SCHEMA), *statements(ROWS))
    await one_shard.backup("weekly-1")
    one_shard.everywhere("INSERT INTO other.names VALUES (77, 'the last one')")
    before = answers(one_shard)
    await one_shard.backup("weekly-2")
    empty = Bench(cluster_factory(shards=1, remote=one_shard.cluster.remote))
    inventory = str(empty.cluster.inventory_path)
    where = ("--installation", "demo", "--inventory", inventory)
    done = await asyncio.to_thread(by_hand, "restore", *where, "--backup", "latest")
    assert done.returncode == 0, done.stderr
    assert "| backup | weekly-2 |" in done.stdout
    assert "| verdict | passed |" in done.stdout
    assert answers(empty) == before
