"""`python -m flows`: the same operations without a Prefect server, for when glass must break."""

import pytest

from tests.integration.bench import Bench
from tests.integration.killing import by_hand

pytestmark = pytest.mark.sandbox


def test_a_backup_and_its_restore_need_no_prefect_server(one_shard: Bench) -> None:
    one_shard.fill_shop(rows=90)
    before = one_shard.contents("shop.orders")
    where = ("--installation", "demo", "--inventory", str(one_shard.cluster.inventory_path))
    made = by_hand("backup", *where, "--backup-name", "by-hand", "--tables", "shop.*")
    assert made.returncode == 0, made.stderr
    assert "# backup of by-hand on demo: Completed" in made.stdout
    one_shard.drop("shop")
    done = by_hand("restore", *where, "--backup", "by-hand")
    assert done.returncode == 0, done.stderr
    assert "| verdict | passed |" in done.stdout
    assert one_shard.contents("shop.orders") == before


def test_a_refusal_is_one_sentence_and_no_traceback(one_shard: Bench) -> None:
    where = ("--installation", "demo", "--inventory", str(one_shard.cluster.inventory_path))
    refused = by_hand("restore", *where, "--backup", "nosuch")
    assert refused.returncode == 1
    assert refused.stderr.startswith("BackupNotFound: ")
    assert "nosuch" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param(("backup",), "--installation", id="missing"),
        pytest.param(("backup", "--installation=demo", "--force"), "--force", id="unknown"),
        pytest.param(("backup", "--install=demo"), "--install", id="abbreviated"),
        pytest.param(("destroy",), "destroy", id="operation"),
        pytest.param(("backup", "--options={bad"), "'{bad' is not a JSON object", id="not-json"),
        pytest.param(("backup", "--options=[]"), "'[]' is not a JSON object", id="no-object"),
    ],
)
def test_a_malformed_command_line_is_refused_by_its_word(
    arguments: tuple[str, ...], word: str
) -> None:
    refused = by_hand(*arguments)
    assert refused.returncode == 2
    assert word in refused.stderr
