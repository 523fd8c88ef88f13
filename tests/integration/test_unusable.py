"""A backup that does not fit, or cannot be read, is refused before a table is dropped."""

import pytest

from tasks.domain.errors import BackupUnusable, TopologyMismatch
from tasks.domain.inventory import Inventory
from tests.integration.bench import Bench

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

MANIFEST = "CREATE TABLE chops.manifest (manifest String) ENGINE = MergeTree ORDER BY tuple()"


def replace_manifest(bench: Bench, backup: str, text: str) -> None:
    node = bench.nodes[0]
    bench.tell(0, f"delete remote {backup}.manifest")
    node.query("DROP TABLE IF EXISTS chops.manifest SYNC")
    node.query(MANIFEST)
    node.query(f"INSERT INTO chops.manifest FORMAT JSONEachRow {text}")
    for command in ("create --tables=chops.manifest", "upload", "delete local"):
        bench.tell(0, f"{command} {backup}.manifest")
    node.query("DROP TABLE chops.manifest SYNC")


@pytest.mark.parametrize(
    ("backup", "row", "words"),
    [
        pytest.param("cut", '{"manifest": "{\\"format\\": 1"}', ["corrupt"], id="cut-short"),
        pytest.param(
            "two", '{"manifest": "a"} {"manifest": "b"}', ["corrupt", "2 rows"], id="two-rows"
        ),
        pytest.param(
            "altered",
            '{"manifest": "{\\"format\\": 1, \\"digest\\": \\"0\\", \\"manifest\\": {}}"}',
            ["corrupt", "digest"],
            id="altered",
        ),
        pytest.param(
            "newer",
            '{"manifest": "{\\"format\\": 99, \\"digest\\": \\"0\\", \\"manifest\\": {}}"}',
            ["format 99"],
            id="newer",
        ),
    ],
)
async def test_a_manifest_that_cannot_be_read_destroys_nothing(
    one_shard: Bench, backup: str, row: str, words: list[str]
) -> None:
    one_shard.fill_shop(rows=10)
    await one_shard.backup(backup)
    replace_manifest(one_shard, backup, row)
    with one_shard.refusal(BackupUnusable, backup, *words, after_asking=True):
        await one_shard.restore(backup, overwrite=True)


async def test_a_backup_of_three_shards_is_not_restored_onto_two(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("of-three")
    whole = three_shards.cluster.inventory
    smaller = whole.model_copy(update={"shards": whole.shards[:2]})
    with three_shards.refusal(TopologyMismatch, "of-three", "0, 1, 2", after_asking=True):
        await three_shards.restore("of-three", overwrite=True, inventory=smaller)


async def test_a_shard_is_not_restored_from_the_path_of_another_one(three_shards: Bench) -> None:
    three_shards.fill_shop(rows=10)
    await three_shards.backup("in-order")
    whole = three_shards.cluster.inventory
    first, second, third = whole.shards
    swapped = (
        first.model_copy(update={"replicas": second.replicas}),
        second.model_copy(update={"replicas": first.replicas}),
        third,
    )
    exchanged = Inventory(installation="demo", cluster="main", shards=swapped)
    with three_shards.refusal(TopologyMismatch, "{shard}", after_asking=True):
        await three_shards.restore("in-order", overwrite=True, inventory=exchanged)
