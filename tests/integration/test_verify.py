"""A backup is verified on every shard: what is whole passes, what is damaged is named."""

import shutil

import pytest

from flows.list import list_backups
from tasks.clickhouse.client import open_cluster
from tasks.clickhouse.journal import read_known
from tasks.domain.catalogue_result import ListOutcome
from tasks.domain.errors import BackupNotFound, InvalidRequest
from tasks.domain.journal import Event
from tasks.domain.outcomes import Status
from tasks.domain.proofs import Proof
from tests.integration.bench import Bench
from tests.integration.damage import archives, copy_of, flip_a_byte
from tests.integration.kinds import ROWS, SCHEMA, answers, statements

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

SEEN = "CREATE TABLE shop.seen (id UInt64) ENGINE = MergeTree ORDER BY id"
EXPIRING = """
CREATE TABLE kinds.expired (day Date) ENGINE = MergeTree ORDER BY day
TTL day + INTERVAL 1 DAY SETTINGS merge_with_ttl_timeout = 0
"""
EXPIRED = (
    EXPIRING,
    "SYSTEM STOP MERGES kinds.expired",
    "INSERT INTO kinds.expired SELECT toDate('2020-01-01') + number FROM numbers(30)",
)
ACTIVE_ROWS = "SELECT * FROM other.counted ORDER BY at"


async def proofs(bench: Bench) -> list[Proof]:
    """Read what every replica knows to be proven."""
    async with open_cluster(bench.cluster.inventory) as cluster:
        known = [await read_known(server) for server in cluster.servers]
    noted = (entry for journal in known for entry in journal.entries)
    return [Proof.model_validate_json(e.payload) for e in noted if e.event is Event.VERIFIED]


async def test_a_drill_brings_back_rows_of_every_kind_and_touches_nothing_that_is_in_use(
    one_shard: Bench,
) -> None:
    one_shard.everywhere(*statements(SCHEMA), *statements(ROWS), *EXPIRED)
    await one_shard.backup("drilled")
    before, held, counted = answers(one_shard), one_shard.state(), one_shard.everywhere(ACTIVE_ROWS)
    done = await one_shard.verify("drilled")
    assert (done.status, done.verdict) == (Status.COMPLETED, "passed"), done.findings
    drilled = {finding.table for finding in done.findings if finding.table}
    assert {name for name in drilled if ".inner" not in name} == {
        "kinds.rich",
        "kinds.versions",
        "kinds.daily",
        "kinds.expired",
        "other.names",
        "other.counted",
    }
    assert [name for name in drilled if ".inner" in name]  # the rows of kinds.inside
    assert sum(finding.rows for finding in done.findings) > 500 + 100 + 50
    assert answers(one_shard) == before
    assert one_shard.state() == held
    assert one_shard.everywhere(ACTIVE_ROWS) == counted
    (proof,) = await proofs(one_shard)
    assert (proof.backup_name, proof.level, proof.verdict) == ("drilled", "restore", "passed")
    assert proof.seconds == done.seconds_to_restore
    assert proof.seconds["0"] > 0


async def test_damage_is_found_at_the_level_that_can_see_it_and_named(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=90)
    three_shards.everywhere(SEEN, "INSERT INTO shop.seen SELECT number FROM numbers(50)")
    await three_shards.backup("damaged")
    listed = await three_shards.verify("damaged", level="listing")
    assert (listed.status, listed.verdict) == (Status.COMPLETED, "passed")

    flip_a_byte(archives(three_shards, 1, "damaged", "shop.orders")[1], "data.bin")
    fetched = await three_shards.verify("damaged", level="download")
    assert fetched.verdict == "passed"
    drilled = await three_shards.verify("damaged")
    assert drilled.verdict == "failed"
    wrong = [finding for finding in drilled.findings if not finding.passed]
    assert [(finding.shard, finding.table) for finding in wrong] == [("1", "shop.orders")]
    assert [replica.done for replica in drilled.replicas] == [True, False, True]
    assert sorted(drilled.seconds_to_restore) == ["0", "2"]

    archives(three_shards, 2, "damaged", "shop.seen")[0].unlink()
    lost = await three_shards.verify("damaged", level="download")
    assert lost.verdict == "failed"
    assert [finding.shard for finding in lost.findings if not finding.passed] == ["2"]

    (copy_of(three_shards, 0, "damaged") / "metadata.json").unlink()
    broken = await three_shards.verify("damaged", level="listing")
    assert broken.verdict == "failed"
    assert [finding.shard for finding in broken.findings if not finding.passed] == ["0"]
    levels = [(proof.level, proof.verdict) for proof in await proofs(three_shards)]
    assert sorted(levels) == sorted(
        3
        * [
            ("listing", "passed"),
            ("download", "passed"),
            ("restore", "failed"),
            ("download", "failed"),
            ("listing", "failed"),
        ]
    )


async def test_what_cannot_be_looked_at_never_passes(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("unseen")
    three_shards.sidecar(1).kill()
    try:
        done = await three_shards.verify("unseen")
    finally:
        three_shards.sidecar(1).start()
    assert (done.status, done.verdict) == (Status.PARTIALLY_FAILED, "could not tell")
    assert sorted(done.seconds_to_restore) == ["0", "2"]
    (wrong,) = (finding for finding in done.findings if not finding.passed)
    assert (wrong.shard, wrong.replica) == ("1", "chi-demo-main-1-0")

    sent = three_shards.sent()
    full = await three_shards.verify("unseen", options={"keep_free_bytes": 2**60})
    assert full.verdict == "could not tell"
    assert all("keep_free_bytes" in f.message for f in full.findings if not f.passed)
    later = [new[len(old) :] for new, old in zip(three_shards.sent(), sent, strict=True)]
    assert not [
        c for told in later for c in told if c.startswith("download") and c.split()[-1] == "unseen"
    ]
    assert await proofs(three_shards) == []


async def test_a_table_that_a_sidecar_cannot_attach_is_told_from_those_it_left_out(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    one_shard.everywhere(SEEN, "INSERT INTO shop.seen SELECT number FROM numbers(50)")
    await one_shard.backup("unattached")
    for archive in archives(one_shard, 0, "unattached", "shop.orders"):
        flip_a_byte(archive, "checksums.txt")
    done = await one_shard.verify("unattached")
    assert done.verdict == "failed"
    judged = {finding.table: finding.verdict for finding in done.findings if finding.table}
    assert judged == {"shop.orders": "failed", "shop.seen": "passed"}


async def test_a_leftover_local_copy_gives_way(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=30)
    await one_shard.backup("leftover")
    one_shard.tell(0, "download leftover")
    done = await one_shard.verify("leftover", level="download")
    assert done.verdict == "passed"
    assert one_shard.listed(0, "local") == set()


async def test_what_nobody_lists_and_what_nobody_can_do_is_refused(one_shard: Bench) -> None:
    with one_shard.refusal(BackupNotFound, "nosuch"):
        await one_shard.verify("nosuch")
    with one_shard.refusal(InvalidRequest, "drill_target", "another-cluster"):
        await one_shard.verify("nosuch", drill_target="another-cluster")
    with one_shard.refusal(InvalidRequest, "level", "'restore'"):
        await one_shard.verify("nosuch", level="drilled")


async def test_the_newest_and_the_oldest_recovery_point_are_found_by_themselves(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=30)
    await one_shard.backup("first")
    await one_shard.backup("middle")
    await one_shard.backup("last", tables=["shop.*"])  # of some tables: no point that counts
    newest = await one_shard.verify("latest", level="download")
    oldest = await one_shard.verify("oldest", level="download")
    assert (newest.backup_name, newest.verdict) == ("middle", "passed")
    assert (oldest.backup_name, oldest.verdict) == ("first", "passed")
    shown: ListOutcome = await list_backups(**one_shard.form({}))
    proven = {
        line.name: line.proof and (line.proof.level, line.proof.verdict) for line in shown.backups
    }
    assert proven["first"] == proven["middle"] == ("download", "passed")
    assert proven["last"] is None


async def test_an_increment_is_drilled_with_its_chain_and_fails_without_its_base(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=60)
    await one_shard.backup("grown-full")
    one_shard.add_orders(0, rows=40, first=5000)
    await one_shard.backup("grown", incremental="grown-full")
    drilled = await one_shard.verify("grown")
    assert (drilled.verdict, sum(finding.rows for finding in drilled.findings)) == ("passed", 100)

    shutil.rmtree(copy_of(one_shard, 0, "grown-full"))
    listed = await one_shard.verify("grown", level="listing")
    assert listed.verdict == "failed"
    assert [f.message for f in listed.findings if "grown-full" in f.message and not f.passed]
    lost = await one_shard.verify("grown")
    assert lost.verdict == "failed"
    assert {finding.level for finding in lost.findings if not finding.passed} == {
        "listing",
        "download",
    }


async def test_a_manifest_that_is_spoiled_fails_and_one_that_is_out_of_reach_is_a_doubt(
    one_shard: Bench,
) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup("illegible")
    with one_shard.turned(0, remote_away=True):
        away = await one_shard.verify("illegible")
    assert away.verdict == "could not tell"
    (archive,) = archives(one_shard, 0, "illegible.manifest", "chops.manifest")
    flip_a_byte(archive, "data.bin")
    spoiled = await one_shard.verify("illegible", level="listing")
    assert spoiled.verdict == "failed"
    assert [finding for finding in spoiled.findings if "manifest" in finding.message]


async def test_every_shard_has_to_hold_the_manifest_itself(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("legible")
    await three_shards.backup("another")
    (archive,) = archives(three_shards, 1, "legible.manifest", "chops.manifest")
    flip_a_byte(archive, "data.bin")
    foreign = copy_of(three_shards, 2, "legible.manifest")
    shutil.rmtree(foreign / "shadow")
    shutil.copytree(copy_of(three_shards, 2, "another.manifest") / "shadow", foreign / "shadow")
    done = await three_shards.verify("legible", level="listing")
    assert (done.status, done.verdict) == (Status.PARTIALLY_FAILED, "failed")
    wrong = {finding.shard: finding.message for finding in done.findings if not finding.passed}
    assert sorted(wrong) == ["1", "2"]
    assert "legible.manifest is corrupt" in wrong["1"]
    assert "another backup, another" in wrong["2"]


async def test_a_drill_fails_where_two_shards_hold_each_other_s_rows(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=30)
    await three_shards.backup("swapped")
    first, second = (copy_of(three_shards, number, "swapped") for number in (0, 1))
    aside = first.with_name("aside")
    for source, target in ((first, aside), (second, first), (aside, second)):
        source.rename(target)
    done = await three_shards.verify("swapped")
    assert done.verdict == "failed"
    drilled = {finding.shard: finding.verdict for finding in done.findings if finding.table}
    assert drilled == {"0": "failed", "1": "failed", "2": "passed"}
