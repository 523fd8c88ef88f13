"""A prune on real flows: the plan first, children first, every shard, and resumable anywhere."""

from typing import Any

import pytest
from prefect.client.schemas.objects import State

from deployments.sandbox.prefect_server import PrefectServer
from flows.abort import abort_operation
from flows.hold import hold_installation
from flows.prune import prune_backups
from tasks.domain.errors import BackupNotFound, InvalidRequest, OperationIncomplete
from tasks.domain.outcomes import Status
from tasks.domain.phases import PrunePhase
from tasks.domain.prune_result import PruneOutcome
from tasks.domain.retention_judgement import Fate
from tests.integration.bench import Bench
from tests.integration.ended import demand_nothing_left, remote
from tests.integration.killing import LEASE, another_process
from tests.integration.runs import artifacts_of, run_of
from tests.moments import Moment, Point

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]


async def prune(bench: Bench, **form: Any) -> PruneOutcome:
    done: PruneOutcome = await prune_backups(**bench.form(form))
    return done


async def stopped(bench: Bench, **form: Any) -> PruneOutcome:
    """Run a prune that cannot do all that it is asked for."""
    with pytest.raises(OperationIncomplete) as caught:
        await prune(bench, **form)
    assert isinstance(caught.value.outcome, PruneOutcome)
    return caught.value.outcome


def names(bench: Bench) -> list[set[str]]:
    """List what each shard holds besides what tells it apart."""
    return [{name for name in listed if "seed-" not in name} for listed in remote(bench)]


def whole(*backups: str) -> set[str]:
    return {name for backup in backups for name in (backup, f"{backup}.manifest")}


def fates(outcome: PruneOutcome) -> dict[str, Fate]:
    return {d.name: d.fate for d in outcome.decisions if not d.name.startswith("seed-")}


def deletions(bench: Bench, number: int) -> list[str]:
    return [c.rpartition(" ")[2] for c in bench.commands(number, of="delete remote")]


async def backed_up(bench: Bench, *backups: str) -> None:
    bench.fill_shop(rows=30)
    for backup in backups:
        await bench.backup(backup)


async def test_a_plan_is_shown_held_to_and_carried_out_on_every_shard(three_shards: Bench) -> None:
    await backed_up(three_shards, "p1", "p2", "p3")
    for command in ("create --tables=shop.* by-hand", "upload by-hand", "delete local by-hand"):
        three_shards.tell(1, command)
    before = names(three_shards)
    planned = await prune(three_shards, keep_last=2, dry_run=True)
    assert planned.status is Status.PLANNED
    assert fates(planned) == {
        "p1": Fate.DELETE,
        "p2": Fate.KEEP,
        "p3": Fate.KEEP,
        "by-hand": Fate.LEAVE,
    }
    assert names(three_shards) == before
    with pytest.raises(InvalidRequest, match="not the approved one"):
        await prune(three_shards, keep_last=1, approved_plan=planned.plan_digest)
    state: State[Any] = await prune_backups(
        **three_shards.form({}, keep_last=2, approved_plan=planned.plan_digest), return_state=True
    )
    done: PruneOutcome = await state.aresult()
    assert (done.status, done.deleted) == (Status.COMPLETED, ("p1",))
    assert names(three_shards) == [
        whole("p2", "p3"),
        whole("p2", "p3") | {"by-hand"},
        whole("p2", "p3"),
    ]
    assert all(replica.size_bytes > 0 for replica in done.replicas)
    shown = str((await artifacts_of(run_of(state)))["plan"].data)
    assert "no rule keeps it (keep_last=2)" in shown
    assert "not ours" in shown
    sent = three_shards.sent()
    again = await prune(three_shards, keep_last=2)
    assert (again.status, again.deleted) == (Status.COMPLETED, ())
    assert three_shards.sent() == sent


async def test_a_chain_goes_from_its_end_and_not_while_a_stranger_needs_it(
    three_shards: Bench,
) -> None:
    await backed_up(three_shards, "full")
    for number, increment in enumerate(("inc-1", "inc-2")):
        three_shards.add_orders(0, rows=10, first=1000 * (number + 1))
        await three_shards.backup(increment, incremental="full" if number == 0 else "inc-1")
    assert (await prune(three_shards, keep_last=1)).deleted == ()
    refused = await stopped(three_shards, names=["full"])
    assert refused.standing["full"].startswith("inc-1 needs it")
    assert "--cascade" in refused.next_steps[0]
    three_shards.tell(0, "create --tables=shop.* theirs")
    three_shards.tell(0, "upload --diff-from-remote=inc-1 theirs")
    blocked = await stopped(three_shards, names=["full"], cascade=True)
    assert blocked.deleted == ()
    assert "theirs needs it, and is not ours" in blocked.standing["inc-1"]
    three_shards.tell(0, "delete remote theirs")
    done = await prune(three_shards, names=["full"], cascade=True)
    assert done.deleted == ("inc-2", "inc-1", "full")
    assert names(three_shards) == [set()] * 3
    for number in range(3):
        # the last ones: a sidecar's history goes over tests
        gone = [name for name in deletions(three_shards, number) if name != "theirs"][-6:]
        assert gone == [name for b in ("inc-2", "inc-1", "full") for name in (f"{b}.manifest", b)]
    with pytest.raises(BackupNotFound, match="full"):
        await prune(three_shards, names=["full"])


@pytest.mark.parametrize(
    "aborted", [pytest.param(False, id="rerun"), pytest.param(True, id="abort")]
)
async def test_what_a_killed_prune_began_is_finished_by_the_next_one(
    three_shards: Bench, prefect_server: PrefectServer, *, aborted: bool
) -> None:
    await backed_up(three_shards, "k1", "k2")
    moment = Moment(
        phase=PrunePhase.DATA, replica=three_shards.members[1].replica, point=Point.BEFORE
    )
    form = {"keep_last": 1, "operation_id": "op-killed"}
    with another_process(prefect_server, three_shards, "prune", moment, **form) as flow:
        assert flow.is_held()
        await three_shards.wait_for(
            lambda: all("k1" not in three_shards.listed(n, "remote") for n in (0, 2)),
            what="the other shards are through",
        )
    assert names(three_shards)[1] == {"k1"} | whole("k2")
    if aborted:
        ended = await abort_operation(
            **three_shards.form({"options": LEASE}, operation_id="op-killed")
        )
        assert [replica.phase for replica in ended.replicas] == ["kept as it stands"] * 3
    again = {"keep_last": 1} if aborted else form
    done = await prune(three_shards, **again, options=LEASE)
    assert (done.status, done.deleted) == (Status.COMPLETED, ("k1",))
    assert names(three_shards) == [whole("k2")] * 3
    await demand_nothing_left(three_shards, "op-killed")


async def test_a_shard_that_dies_or_refuses_is_told_and_done_by_the_next_prune(
    three_shards: Bench,
) -> None:
    await backed_up(three_shards, "d1", "d2", "d3")
    with three_shards.turned(1, die=("delete.start",)):
        died = await stopped(three_shards, keep_last=1)
    assert (died.status, died.deleted) == (Status.FAILED, ())
    assert [replica.failed for replica in died.replicas] == [False, True, False]
    three_shards.sidecar(1).start()
    # data stays while a manifest may still say that it is there
    left = whole("d2", "d3") | {"d1"}
    assert names(three_shards) == [left, whole("d1", "d2", "d3"), left]
    with three_shards.turned(1, fail={"delete.start": "the object is locked"}):
        refused = await stopped(three_shards, keep_last=1)
    assert "the object is locked" in refused.standing["d1"]
    left = whole("d3") | {"d1", "d2"}
    assert names(three_shards) == [left, whole("d1", "d2", "d3"), left]
    done = await prune(three_shards, keep_last=1)
    assert (done.status, done.deleted) == (Status.COMPLETED, ("d1", "d2"))
    assert names(three_shards) == [whole("d3")] * 3


async def test_what_is_not_seen_or_is_held_deletes_nothing(three_shards: Bench) -> None:
    await backed_up(three_shards, "h1", "h2")
    before, sent = names(three_shards), three_shards.sent()
    with three_shards.turned(1, partial_listing=True):
        partial = await stopped(three_shards, keep_last=1)
    with three_shards.turned(1, remote_away=True):
        away = await stopped(three_shards, keep_last=1)
    form = three_shards.form({}, reason="audit 7, says ann")
    await hold_installation(**form)
    held = await stopped(three_shards, keep_last=1)
    assert held.standing == {"h1": "held: audit 7, says ann"}
    assert "flows hold --release" in held.next_steps[0]
    for outcome in (partial, away, held):
        assert (outcome.status, outcome.deleted) == (Status.FAILED, ())
    assert (names(three_shards), three_shards.sent()) == (before, sent)
    await hold_installation(**form, release=True)
    assert (await prune(three_shards, keep_last=1)).deleted == ("h1",)


async def test_a_child_or_a_hold_that_came_since_the_plan_stops_it(
    three_shards: Bench, prefect_server: PrefectServer
) -> None:
    await backed_up(three_shards, "c1", "c2", "c3")
    moment = Moment(
        phase=PrunePhase.ANNOUNCE, replica=three_shards.members[2].replica, point=Point.BEFORE
    )
    with another_process(prefect_server, three_shards, "prune", moment, keep_last=1) as flow:
        assert flow.is_held()
        three_shards.tell(2, "create --tables=shop.* late")
        three_shards.tell(2, "upload --diff-from-remote=c1 late")
        three_shards.tell(2, "delete local late")
        await hold_installation(**three_shards.form({}, reason="audit 8, says ann"))
        flow.go_on()
        end = flow.end()
    assert end.error == "OperationIncomplete"
    for word in ("c1: late needs it", "c2: held: audit 8, says ann"):
        assert word in end.told
    kept = whole("c1", "c2", "c3")
    assert names(three_shards) == [kept, kept, kept | {"late"}]


async def test_one_delete_serves_the_replicas_that_share_a_path(two_by_two: Bench) -> None:
    await backed_up(two_by_two, "s1", "s2")
    before = [len(deletions(two_by_two, number)) for number in range(4)]
    done = await prune(two_by_two, keep_last=1)
    assert done.deleted == ("s1",)
    assert names(two_by_two) == [whole("s2")] * 4
    asked = [len(deletions(two_by_two, number)) - before[number] for number in range(4)]
    assert [asked[0] + asked[1], asked[2] + asked[3]] == [2, 2]


@pytest.mark.replicated
async def test_each_holder_of_a_path_of_its_own_deletes_its_copy(own_paths: Bench) -> None:
    own_paths.everywhere(
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (a UInt8) ENGINE = MergeTree ORDER BY a",
        "INSERT INTO shop.t VALUES (1)",
    )
    for backup in ("o1", "o2"):
        await own_paths.backup(backup, replica_selection="AllReplicas")
    done = await prune(own_paths, keep_last=1)
    assert done.deleted == ("o1",)
    assert names(own_paths) == [whole("o2")] * 2
