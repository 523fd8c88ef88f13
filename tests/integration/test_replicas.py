"""Shards of several replicas: who stores what, what nobody stores, and what may be dropped."""

from collections.abc import Iterator

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from tasks.domain.errors import OperationIncomplete, PreflightFailed, TargetNotEmpty
from tasks.domain.outcomes import BackupOutcome, Status
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


@pytest.fixture(scope="module")
def replicas_with_paths_of_their_own(cluster_factory: ClusterFactory) -> Bench:
    path = "backup/shard-{shard}/{replica}"
    return Bench(cluster_factory(shards=1, replicas=2, remote_path=path))


@pytest.fixture
def own_paths(
    replicas_with_paths_of_their_own: Bench, prefect_server: PrefectServer
) -> Iterator[Bench]:
    yield from replicas_with_paths_of_their_own.cleaned()


async def test_local_rows_of_replicas_that_were_not_chosen_are_named(two_by_two: Bench) -> None:
    two_by_two.fill_shop()
    made = await two_by_two.backup("first-of-each")
    assert [replica.replica for replica in made.replicas] == [
        "chi-demo-main-0-0",
        "chi-demo-main-1-0",
    ]
    assert made.uncovered == (
        "shop.orders on chi-demo-main-0-1: 300 rows",
        "shop.orders on chi-demo-main-1-1: 300 rows",
    )


async def test_rows_of_a_replica_without_a_backup_of_its_own_are_lost_only_when_named(
    two_by_two: Bench,
) -> None:
    two_by_two.fill_shop(rows=30)
    before = two_by_two.contents("shop.orders")
    await two_by_two.backup("of-the-first")
    with two_by_two.refusal(
        TargetNotEmpty, "shop.orders on chi-demo-main-0-1", "accept_loss", after_asking=True
    ):
        await two_by_two.restore("of-the-first", overwrite=True)
    done = await two_by_two.restore("of-the-first", overwrite=True, accept_loss=["shop.orders"])
    assert done.status is Status.COMPLETED
    after = two_by_two.contents("shop.orders")
    assert [after[0], after[2]] == [before[0], before[2]]
    assert [after[1], after[3]] == [{"shop.orders": ""}, {"shop.orders": ""}]
    assert any("chi-demo-main-1-1" in note for note in done.notes)


async def test_all_replicas_come_back_with_their_own_rows_each(own_paths: Bench) -> None:
    own_paths.fill_shop()
    before = own_paths.contents("shop.orders")
    assert before[0] != before[1]
    made = await own_paths.backup("both", replica_selection="AllReplicas")
    assert made.uncovered == ()
    own_paths.drop("shop")
    done = await own_paths.restore("both")
    assert done.status is Status.COMPLETED
    assert own_paths.contents("shop.orders") == before


async def test_a_backup_that_siblings_do_not_see_says_what_that_means(own_paths: Bench) -> None:
    own_paths.fill_shop(rows=10)
    made = await own_paths.backup("of-one-path")
    assert any("chi-demo-main-0-1 does not list" in n and "AllReplicas" in n for n in made.notes)


async def test_all_replicas_on_one_remote_path_are_refused_before_they_overwrite_each_other(
    two_by_two: Bench,
) -> None:
    two_by_two.fill_shop(rows=10)
    with two_by_two.refusal(
        PreflightFailed, "share", "{replica}", "chi-demo-main-0-1", after_asking=True
    ):
        await two_by_two.backup("overlaid", replica_selection="AllReplicas")
    assert two_by_two.listed(0, "remote") & {"overlaid", "overlaid.manifest"} == set()


async def test_shards_on_one_remote_path_are_refused(
    cluster_factory: ClusterFactory, prefect_server: PrefectServer
) -> None:
    bench = Bench(cluster_factory(shards=2, remote_path="backup/all"))
    bench.fill_shop(rows=10)
    with bench.refusal(PreflightFailed, "share", "{shard}", after_asking=True):
        await bench.backup("overlaid")


async def test_a_replica_without_a_sidecar_gives_way_to_its_sibling(two_by_two: Bench) -> None:
    two_by_two.fill_shop(rows=30)
    two_by_two.nodes[0].query("DROP TABLE system.backup_actions SYNC")
    try:
        made = await two_by_two.backup("sibling")
    finally:
        two_by_two.sidecar(0).restart()
    assert made.replicas[0].replica == "chi-demo-main-0-1"
    assert "chi-demo-main-0-0 has no sidecar" in made.replicas[0].message
    assert made.uncovered == ("shop.orders on chi-demo-main-1-1: 30 rows",)


async def interrupted(bench: Bench, name: str) -> BackupOutcome:
    """Begin a backup that finds replica 0 away, and fails on shard 1."""
    bench.fill_shop(rows=30)
    bench.sidecar(0).kill()
    with (
        bench.turned(2, fail={"upload.start": "no space left in the bucket"}),
        pytest.raises(OperationIncomplete) as caught,
    ):
        await bench.backup(name, operation_id=f"op-{name}")
    outcome = caught.value.outcome
    assert isinstance(outcome, BackupOutcome)
    assert outcome.replicas[0].replica == "chi-demo-main-0-1"
    return outcome


async def test_a_rerun_stays_with_the_replica_that_the_first_attempt_chose(
    two_by_two: Bench,
) -> None:
    await interrupted(two_by_two, "stays")
    two_by_two.sidecar(0).start()
    creates = two_by_two.commands(1, of="create")
    made = await two_by_two.backup("stays", operation_id="op-stays")
    assert [replica.replica for replica in made.replicas] == [
        "chi-demo-main-0-1",
        "chi-demo-main-1-0",
    ]
    assert [c for c in two_by_two.commands(0) if c.endswith(" stays")] == []
    assert two_by_two.commands(1, of="create")[: len(creates)] == creates
