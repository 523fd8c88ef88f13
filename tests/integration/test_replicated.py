"""On servers that really replicate: one replica per shard stores, and every replica comes back."""

import pytest

from tasks.domain.errors import PreflightFailed, TargetNotEmpty
from tasks.domain.outcomes import Status
from tests.integration.bench import Bench
from tests.integration.replicated_shop import (
    LOSSES,
    catch_up,
    contents,
    counts,
    open_shop,
)

pytestmark = [pytest.mark.replicated, pytest.mark.prefect]


async def test_rows_of_one_replica_per_shard_come_back_on_all_of_them(replicas: Bench) -> None:
    open_shop(replicas)
    before = contents(replicas)
    made = await replicas.backup("one-of-each")
    assert [chosen.replica for chosen in made.replicas] == [
        "chi-demo-main-0-0",
        "chi-demo-main-1-0",
    ]
    assert made.rows == 2 * 300 + 10 + 12
    assert made.uncovered == (
        "shop.seen on chi-demo-main-0-1: 11 rows",
        "shop.seen on chi-demo-main-1-1: 13 rows",
    )

    replicas.drop("shop")
    done = await replicas.restore("one-of-each")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before
    assert before[0] == before[1] != before[2] == before[3]
    assert counts(replicas, "shop.seen") == [10, 0, 12, 0]
    assert counts(replicas, "shop.all_orders") == [600] * 4
    assert replicas.everywhere("SELECT sum(orders) FROM shop.days") == [["300"]] * 4


async def test_overwriting_beside_living_siblings_doubles_no_row_and_can_be_undone(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    before = contents(replicas)
    await replicas.backup("overwritten")
    replicas.add_orders(1, first=5000)
    catch_up(replicas)
    later = contents(replicas)
    with replicas.refusal(
        TargetNotEmpty, "shop.seen on chi-demo-main-0-1", "accept_loss", after_asking=True
    ):
        await replicas.restore("overwritten", overwrite=True)

    done = await replicas.restore("overwritten", overwrite=True, accept_loss=LOSSES)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before
    assert counts(replicas, "shop.seen") == [10, 0, 12, 0]

    assert done.safety_copy is not None
    undone = await replicas.restore(done.safety_copy, overwrite=True)
    assert (undone.status, undone.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == later
    assert counts(replicas, "shop.seen") == [10, 11, 12, 13]


async def test_a_sidecar_alone_doubles_the_rows_of_a_replica_whose_sibling_lives(
    replicas: Bench,
) -> None:
    """The danger that a restore of the whole cluster is there to avoid."""
    open_shop(replicas)
    for command in ("create --tables=shop.*", "upload", "delete local", "download"):
        replicas.tell(0, f"{command} alone")
    replicas.tell(0, "restore --schema alone")
    catch_up(replicas)
    assert counts(replicas) == [300] * 4
    replicas.tell(0, "restore --data alone")
    catch_up(replicas)
    assert counts(replicas) == [600, 600, 300, 300]


async def test_a_replica_that_lags_behind_or_is_away_gives_way_to_its_sibling(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    replicas.nodes[0].query("SYSTEM STOP REPLICATION QUEUES shop.orders")
    replicas.add_orders(1, first=5000)
    replicas.nodes[2].kill()
    try:
        made = await replicas.backup("by-siblings")
    finally:
        replicas.nodes[0].query("SYSTEM START REPLICATION QUEUES shop.orders")
        replicas.nodes[2].start()
    behind, away = made.replicas
    assert (behind.replica, away.replica) == ("chi-demo-main-0-1", "chi-demo-main-1-1")
    assert "chi-demo-main-0-0" in behind.message
    assert "shop.orders" in behind.message
    assert "chi-demo-main-1-0" in away.message
    assert made.rows == 600 + 11 + 300 + 13


async def test_an_increment_stays_with_the_replica_that_stored_its_base_and_comes_back_on_all(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    replicas.nodes[0].query("SYSTEM STOP REPLICATION QUEUES shop.orders")
    replicas.add_orders(1, first=5000)
    try:
        await replicas.backup("base")
    finally:
        replicas.nodes[0].query("SYSTEM START REPLICATION QUEUES shop.orders")
    catch_up(replicas)
    replicas.add_orders(0, first=9000, parts=1)
    catch_up(replicas)
    before = contents(replicas)
    made = await replicas.backup("increment", incremental="auto")
    assert [share.base for share in made.increments] == ["base", "base"]
    assert [share.replica for share in made.increments] == [
        "chi-demo-main-0-1",
        "chi-demo-main-1-0",
    ]
    assert made.replicas[0].message.startswith("it stored base, on which most can be saved")

    replicas.drop("shop")
    done = await replicas.restore("increment")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas) == before


async def test_all_replicas_on_one_path_are_refused(replicas: Bench) -> None:
    open_shop(replicas)
    with replicas.refusal(PreflightFailed, "share", "{replica}", after_asking=True):
        await replicas.backup("overlaid", replica_selection="AllReplicas")


async def test_all_replicas_on_paths_of_their_own_come_back_with_their_own_rows(
    own_paths: Bench,
) -> None:
    open_shop(own_paths)
    before = contents(own_paths)
    made = await own_paths.backup("both", replica_selection="AllReplicas")
    assert (len(made.replicas), made.uncovered) == (2, ())
    own_paths.drop("shop")
    done = await own_paths.restore("both")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(own_paths) == before
    assert counts(own_paths, "shop.seen") == [10, 11]


async def test_one_replica_is_no_source_for_siblings_on_paths_of_their_own(
    own_paths: Bench,
) -> None:
    open_shop(own_paths)
    await own_paths.backup("of-one")
    own_paths.drop("shop")
    with own_paths.refusal(PreflightFailed, "chi-demo-main-0-1", "AllReplicas", after_asking=True):
        await own_paths.restore("of-one")


async def test_a_partition_a_lost_table_and_rows_beside_come_back_beside_living_siblings(
    replicas: Bench,
) -> None:
    open_shop(replicas)
    month = "(SELECT * FROM shop.orders WHERE toYYYYMM(day) = 202602)"
    before, whole = contents(replicas, month), contents(replicas)
    await replicas.backup("some")
    replicas.add_orders(1, first=5000)
    catch_up(replicas)
    form = {"tables": ["shop.orders"]}
    done = await replicas.restore("some", partitions=["202602"], overwrite=True, **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    assert contents(replicas, month) == before
    assert counts(replicas) == [500, 500, 300, 300]

    replicas.nodes[1].query("DROP TABLE shop.orders SYNC")
    done = await replicas.restore("some", mode="missing", **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    catch_up(replicas)
    assert counts(replicas) == [500, 500, 300, 300]

    done = await replicas.restore("some", mode="beside", database_mapping=["shop:rescued"], **form)
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed")
    rescued = "SELECT count(), sum(cityHash64(*)) FROM rescued.orders"
    assert [replicas.nodes[number].query(rescued) for number in (0, 2)] == whole[::2]
    assert counts(replicas) == [500, 500, 300, 300]
    engines = "SELECT DISTINCT engine FROM system.tables WHERE database = 'rescued'"
    assert replicas.everywhere(engines) == [["MergeTree"], [""]] * 2
