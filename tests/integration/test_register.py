"""Registering says what it did, does it once, and leaves what others added."""

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.schedules import CronSchedule

from deployments.registration import Pools, left_over, register
from deployments.registry import BACKUP_ON_DEMAND, DEPLOYMENTS, RESTORE_ON_DEMAND, Deployment
from deployments.sandbox.prefect_server import PrefectServer

pytestmark = pytest.mark.prefect

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def client(prefect_server: PrefectServer) -> AsyncIterator[PrefectClient]:
    async with get_client() as opened:
        assert str(opened.api_url).startswith(prefect_server.api_url)
        yield opened


@pytest.fixture
def deployment(request: pytest.FixtureRequest) -> Deployment:
    return replace(BACKUP_ON_DEMAND, name=request.node.name.replace("_", "-"))


async def sentences(client: PrefectClient, *deployments: Deployment) -> list[str]:
    return [sentence async for sentence in register(client, deployments, Pools())]


async def test_the_second_registration_changes_nothing(
    client: PrefectClient, deployment: Deployment
) -> None:
    first = await sentences(client, deployment)
    before = await client.read_deployment_by_name(deployment.full_name)
    second = await sentences(client, deployment)
    assert first[-1] == f"deployment {deployment.full_name}: created in work pool chops"
    assert second == [
        "work pool chops: there (process)",
        f"deployment {deployment.full_name}: unchanged",
    ]
    assert await client.read_deployment_by_name(deployment.full_name) == before


async def test_what_drifted_is_brought_back_and_schedules_stay(
    client: PrefectClient, deployment: Deployment
) -> None:
    await sentences(client, deployment)
    found = await client.read_deployment_by_name(deployment.full_name)
    nightly = DeploymentScheduleCreate(schedule=CronSchedule(cron="30 2 * * *"), slug="nightly")
    await client.create_deployment_schedules(found.id, [nightly])
    await client.update_deployment(found.id, DeploymentUpdate(description="changed by hand"))
    assert (await sentences(client, deployment))[-1] == (
        f"deployment {deployment.full_name}: updated (description)"
    )
    repaired = await client.read_deployment_by_name(deployment.full_name)
    assert repaired.description == found.description
    assert [schedule.slug for schedule in repaired.schedules] == ["nightly"]


async def test_a_destructive_deployment_left_from_before_is_named(client: PrefectClient) -> None:
    gone = replace(RESTORE_ON_DEMAND, name="never-registered")
    there = replace(RESTORE_ON_DEMAND, name="registered-before")
    await sentences(client, there)
    named = [sentence async for sentence in left_over(client, (gone, there))]
    assert len(named) == 1
    assert f"prefect deployment delete {there.full_name}" in named[0]


def run(server: PrefectServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", *arguments),
        env={"PREFECT_API_URL": server.api_url, "PREFECT_HOME": str(server.home)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_prefect_deploy_and_register_agree_to_the_last_field(
    prefect_server: PrefectServer,
) -> None:
    made = run(prefect_server, "deployments.register")
    assert made.returncode == 0, made.stderr
    deployed = run(prefect_server, "prefect", "--no-prompt", "deploy", "--all")
    assert deployed.returncode == 0, deployed.stdout
    again = run(prefect_server, "deployments.register")
    assert again.stdout.splitlines() == [
        "work pool chops: there (process)",
        "work pool chops-destructive: there (process)",
        *(f"deployment {each.full_name}: unchanged" for each in DEPLOYMENTS),
    ]


@pytest.mark.parametrize(
    "option",
    [pytest.param("--work-pol=x", id="misspelt"), pytest.param("--without", id="abbreviated")],
)
def test_an_unknown_option_is_refused(option: str, prefect_server: PrefectServer) -> None:
    refused = run(prefect_server, "deployments.register", option)
    assert refused.returncode != 0
    assert option in refused.stderr


def test_a_server_that_does_not_answer_is_named(prefect_server: PrefectServer) -> None:
    refused = subprocess.run(
        (sys.executable, "-m", "deployments.register"),
        env={
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_HOME": str(prefect_server.home),
            "PREFECT_CLIENT_MAX_RETRIES": "0",
        },
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "http://127.0.0.1:9/api" in refused.stderr
    assert "Traceback" not in refused.stderr
