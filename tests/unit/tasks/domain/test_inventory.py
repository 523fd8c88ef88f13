"""Inventories: whatever is wrong with one is told in one sentence; what is right round-trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.domain.errors import InvalidRequest
from tasks.domain.inventory import Inventory
from tasks.domain.topology import Replica
from tests.builders import make_inventory, make_topology
from tests.unit.tasks.domain.hostile import ODD_NAMES, UNSPEAKABLE

WHOLE = """
installation: demo
cluster: main
shards:
  - name: "0"
    replicas:
      - {name: a, host: 127.0.0.1}
"""

LIKE_A_HOST_NAME = {"double-dot", "trailing-dot"}
labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)


def refusal(text: str) -> str:
    with pytest.raises(InvalidRequest) as refused:
        Inventory.from_yaml(text, origin="demo.yaml")
    return str(refused.value)


def test_the_smallest_inventory_has_plain_defaults() -> None:
    inventory = Inventory.from_yaml(WHOLE, origin="demo.yaml")
    assert inventory.topology.replicas == (Replica(name="a", host="127.0.0.1", port=8123),)
    assert inventory.credentials is None


@given(labels, labels, st.integers(min_value=1, max_value=65535))
def test_an_inventory_that_was_written_is_read_back(
    installation: str, shard: str, port: int
) -> None:
    replicas = [{"name": "a", "host": "h", "secure": True, "port": port}]
    inventory = Inventory.model_validate(
        {
            "installation": installation,
            "cluster": "main",
            "credentials": {"username_env": "CLICKHOUSE_X"},
            "lock": "a",
            "shards": [{"name": shard, "replicas": replicas}],
        }
    )
    assert Inventory.from_yaml(inventory.to_yaml(), origin="demo.yaml") == inventory


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "Input should be a valid dictionary", id="empty"),
        pytest.param("- a", "Input should be a valid dictionary", id="list"),
        pytest.param("a: [", "is not YAML, line 1", id="unclosed"),
        pytest.param("a: b: c", "is not YAML, line 1, column 5", id="two-colons"),
        pytest.param("\x00", "is not YAML", id="control-character"),
        pytest.param("a: 2026-13-45", "is not YAML", id="impossible-date"),
        pytest.param("[" * 1000, "is not YAML", id="too-deep"),
        pytest.param("!!python/object:os.system {}", "is not YAML", id="foreign-object"),
        pytest.param("installation: demo", "cluster: Field required", id="field-missing"),
        pytest.param(WHOLE + "colour: red", "colour: Extra inputs", id="unknown-field"),
        pytest.param(WHOLE.replace("demo", "-x"), "installation: ", id="bad-label"),
        pytest.param(WHOLE.replace("a,", "a, port: 0,"), "port: ", id="bad-port"),
        pytest.param(WHOLE + "lock: b", "lock names b, which is not one of", id="foreign-lock"),
        pytest.param(WHOLE.partition("  - ")[0] + "  []", "shards: ", id="no-shard"),
        pytest.param(
            WHOLE + "      - {name: b, host: 127.0.0.1}",
            "address 127.0.0.1:8123 stands twice",
            id="same-server-twice",
        ),
        pytest.param(
            WHOLE + "      - {name: a, host: b}", "replica a stands twice", id="same-name-twice"
        ),
        pytest.param(
            WHOLE + "credentials: {password_env: HOME}",
            "credentials.password_env: ",
            id="any-environment-variable",
        ),
    ],
)
def test_a_wrong_inventory_is_told_in_one_sentence(text: str, told: str) -> None:
    sentence = refusal(text)
    assert sentence.startswith("inventory demo.yaml ")
    assert told in sentence
    assert "\n" not in sentence


@given(st.text(max_size=40))
def test_no_text_does_more_than_being_refused(text: str) -> None:
    assert refusal(text).startswith("inventory demo.yaml ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WHOLE + "password: hunter2", id="extra-field"),
        pytest.param(WHOLE + "password: 'hunter2", id="unclosed-quote"),
        pytest.param(WHOLE.replace("a,", "a, port: hunter2,"), id="wrong-type"),
        pytest.param(WHOLE + "credentials: {password_env: hunter2}", id="value-for-a-name"),
    ],
)
def test_a_password_that_somebody_wrote_there_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Inventory.from_yaml(text, origin="demo.yaml")
    chain = [refused.value, refused.value.__cause__]
    assert all("hunter2" not in str(error) for error in chain)


@pytest.mark.parametrize(
    "label", [*UNSPEAKABLE, *(odd for odd in ODD_NAMES if odd.id not in LIKE_A_HOST_NAME)]
)
def test_a_hostile_label_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="installation"):
        make_topology(installation=label)


def test_shards_and_replicas_keep_their_order() -> None:
    names = [replica.name for replica in make_inventory(shards=2, replicas=2).topology.replicas]
    assert names == [f"chi-demo-main-{s}-{r}" for s in range(2) for r in range(2)]
