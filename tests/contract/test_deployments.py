"""What is said twice about deployments agrees, and every deployment finds its flow."""

from pathlib import Path

import pytest
import yaml

from deployments.registration import Pools
from deployments.registry import DEPLOYMENTS, Deployment

CHECKOUT = Path(__file__).resolve().parents[2]

every_deployment = pytest.mark.parametrize(
    "deployment", [pytest.param(each, id=each.full_name) for each in DEPLOYMENTS]
)


@every_deployment
def test_a_deployment_finds_a_flow_of_its_name(deployment: Deployment) -> None:
    assert deployment.load_flow().name == deployment.flow_name


@every_deployment
def test_a_form_describes_every_field(deployment: Deployment) -> None:
    flow = deployment.load_flow()
    assert flow.description
    fields = flow.parameters.properties
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_the_form_of_a_verification_offers_its_levels() -> None:
    (flow,) = (d.load_flow() for d in DEPLOYMENTS if d.flow_name == "verify-backup")
    assert flow.parameters.properties["level"]["enum"] == ["listing", "download", "restore"]
    assert flow.parameters.properties["level"]["default"] == "restore"


def test_prefect_yaml_says_what_the_registry_says() -> None:
    written = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
    assert written == [
        {
            "name": deployment.name,
            "entrypoint": deployment.entrypoint,
            "tags": list(deployment.tags),
            "work_pool": {"name": Pools().of(deployment)},
            "enforce_parameter_schema": True,
        }
        for deployment in DEPLOYMENTS
    ]


def test_what_can_destroy_has_a_work_pool_of_its_own() -> None:
    pools = {
        destructive: {Pools().of(each) for each in DEPLOYMENTS if each.destructive is destructive}
        for destructive in (False, True)
    }
    assert pools[True]
    assert pools[False]
    assert pools[True].isdisjoint(pools[False])
