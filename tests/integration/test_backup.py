"""A backup of three shards: frozen at once, uploaded side by side, told shard by shard."""

import asyncio

import pytest

from tasks.domain.outcomes import Status
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

SHARDS = range(3)


async def test_every_shard_has_its_own_outcome_and_its_copy_of_the_manifest(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop()
    three_shards.add_orders(2, rows=60, first=900)
    made = await three_shards.backup("whole")
    assert [(r.shard, r.done, r.phase, r.rows) for r in made.replicas] == [
        ("0", True, "committed", 300),
        ("1", True, "committed", 300),
        ("2", True, "committed", 360),
    ]
    assert all(replica.size_bytes > 0 for replica in made.replicas)
    assert made.size_bytes == sum(replica.size_bytes for replica in made.replicas)
    assert made.manifest_written
    for shard in SHARDS:
        assert {"whole", "whole.manifest"} <= three_shards.listed(shard, "remote")
        assert three_shards.listed(shard, "local") == set()


async def test_the_skew_between_shards_is_told_and_holds_no_upload(three_shards: Bench) -> None:
    three_shards.fill_shop()
    with three_shards.turned(0, seconds={"upload.data": 2.0}):
        made = await three_shards.backup("skewed")
    assert made.skew_seconds is not None
    assert 0 < made.skew_seconds < 8 < made.seconds


async def test_a_slow_upload_holds_no_other_shard_up(three_shards: Bench) -> None:
    three_shards.fill_shop()
    with three_shards.turned(0, pause=("upload.start",)):
        running = asyncio.create_task(three_shards.backup("side-by-side"))
        for shard in (1, 2):
            await three_shards.wait_for(
                lambda: "side-by-side" in three_shards.listed(shard, "remote"),  # noqa: B023
                what=f"shard {shard} has uploaded",
            )
        assert "side-by-side" not in three_shards.listed(0, "remote")
        assert not running.done()
    assert (await running).status is Status.COMPLETED


async def test_no_shard_uploads_before_every_shard_is_frozen(three_shards: Bench) -> None:
    three_shards.fill_shop()
    with three_shards.turned(2, pause=("create.freeze",)):
        running = asyncio.create_task(three_shards.backup("barrier"))
        await three_shards.wait_for(
            lambda: "barrier" in three_shards.listed(0, "local"), what="shard 0 is frozen"
        )
        assert three_shards.is_at_work(2, "create")
        assert three_shards.commands(0, of="upload")[-1:] != ["barrier"]
        assert "barrier" not in three_shards.listed(0, "remote")
    assert (await running).status is Status.COMPLETED


async def test_without_a_name_the_backup_is_named_after_installation_and_time(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=10)
    made = await three_shards.backup("")
    assert made.backup_name == f"demo-{made.started:%Y%m%dT%H%M%SZ}"


async def test_a_shard_without_tables_takes_part_and_the_whole_is_restorable(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop()
    three_shards.nodes[1].query("DROP DATABASE shop SYNC")
    before = [three_shards.nodes[n].query("SELECT * FROM shop.orders ORDER BY ALL") for n in (0, 2)]
    made = await three_shards.backup("two-of-three")
    assert made.status is Status.COMPLETED
    three_shards.drop("shop")
    await three_shards.restore("two-of-three")
    after = [three_shards.nodes[n].query("SELECT * FROM shop.orders ORDER BY ALL") for n in (0, 2)]
    assert after == before
    assert three_shards.tables("shop")[1] == ""


async def test_every_command_names_its_tables_and_switches_the_sidecars_own_retention_off(
    three_shards: Bench,
) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("overridden", operation_id="op-overridden")
    sent = [c for c in three_shards.commands(0) if "--env=CHOPS_OP=op-overridden " in c]
    of_data = [c for c in sent if c.endswith(" overridden")]
    assert [command.split()[0] for command in of_data] == ["create", "upload"]
    for command in of_data:
        assert "--tables=shop.* " in command
        assert "--env=BACKUPS_TO_KEEP_REMOTE=0 --env=BACKUPS_TO_KEEP_LOCAL=0 " in command
        assert "--env=RESTORE_SCHEMA_ON_CLUSTER= " in command


async def test_limits_and_extras_reach_the_sidecar(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    extras = {"rbac": True, "configs": True, "named_collections": True}
    options = {"max_upload_bytes_per_second": 5_000_000, **extras}
    await three_shards.backup("extras", options=options)
    for shard in SHARDS:
        (create,) = (c for c in three_shards.commands(shard, of="create") if c.endswith(" extras"))
        (upload,) = (c for c in three_shards.commands(shard, of="upload") if c.endswith(" extras"))
        assert "--rbac --configs --named-collections extras" in create
        assert "--env=UPLOAD_MAX_BYTES_PER_SECOND=5000000 " in upload
