"""Credentials: taken from the environment, demanded, and never told to anybody."""

from collections.abc import Iterator

import pytest

from deployments.sandbox.prefect_server import PrefectServer
from deployments.sandbox.users import User
from tasks.domain.errors import NotAllowed, PreflightFailed
from tasks.domain.outcomes import Status
from tests.clusters import ClusterFactory
from tests.integration.bench import Bench
from tests.integration.runs import everything_told, run_of

pytestmark = [pytest.mark.sandbox, pytest.mark.prefect]

PASSWORD, API_USER, API_PASSWORD = "pw-of-the-server", "api-somebody", "pw-of-the-api"
SECRETS = (PASSWORD, API_USER, API_PASSWORD)


@pytest.fixture(scope="module")
def strict_bench(cluster_factory: ClusterFactory) -> Bench:
    """Start a server and a sidecar with passwords of their own, and settings that interfere."""
    environment = {
        "API_USERNAME": API_USER,
        "API_PASSWORD": API_PASSWORD,
        "BACKUPS_TO_KEEP_REMOTE": "1",
        "BACKUPS_TO_KEEP_LOCAL": "1",
        "RESTORE_SCHEMA_ON_CLUSTER": "{cluster}",
    }
    users = (User(name="operator", password=PASSWORD), User(name="reader", readonly=True))
    return Bench(cluster_factory(users=users, environment=environment))


@pytest.fixture
def strict(
    strict_bench: Bench, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    for name, value in strict_bench.cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield from strict_bench.cleaned()


async def test_no_credential_is_told_by_success_or_failure(strict: Bench) -> None:
    strict.fill_shop(rows=30)
    before = strict.contents("shop.orders")
    made = await strict.backup_run("secret")
    strict.drop("shop")
    with strict.turned(0, fail={"restore.schema": "injected trouble"}):
        failed = await strict.restore_run("secret", operation_id="undo")
    done = await strict.restore_run("secret", operation_id="undo")
    assert [state.is_completed() for state in (made, failed, done)] == [True, False, True]
    assert strict.contents("shop.orders") == before
    for state in (made, failed, done):
        told = await everything_told(run_of(state))
        assert "outcome" in told
        assert [secret for secret in SECRETS if secret in told] == []
    for command in strict.commands(0):
        assert [secret for secret in SECRETS if secret in command] == []


async def test_a_sidecar_that_is_away_is_told_without_its_address_credentials(
    strict: Bench,
) -> None:
    strict.fill_shop(rows=30)
    strict.sidecar(0).kill()
    state = await strict.backup_run("away")
    assert state.is_failed()
    told = await everything_told(run_of(state))
    assert "chi-demo-main-0-0" in told
    assert [secret for secret in SECRETS if secret in told] == []


async def test_the_sidecars_own_retention_deletes_nothing(strict: Bench) -> None:
    strict.fill_shop(rows=30)
    for name in ("kept-1", "kept-2", "kept-3"):
        assert (await strict.backup(name)).status is Status.COMPLETED
    assert {"kept-1", "kept-2", "kept-3"} <= strict.listed(0, "remote")


async def test_a_wrong_password_is_refused_without_being_told(
    strict: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "guessed-badly")
    with strict.refusal(Exception, "chi-demo-main-0-0", "516") as caught:
        await strict.backup("locked-out")
    assert "guessed-badly" not in str(caught.value)


async def test_a_user_who_may_not_write_is_refused_before_a_backup_begins(
    strict: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict.fill_shop(rows=30)
    monkeypatch.setenv("CLICKHOUSE_USER", "reader")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "")
    with strict.refusal(NotAllowed, "chi-demo-main-0-0", "164"):
        await strict.backup("read-only")


async def test_credentials_that_are_not_in_the_environment_are_asked_for_by_name(
    strict: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLICKHOUSE_PASSWORD")
    with strict.refusal(NotAllowed, "CLICKHOUSE_PASSWORD"):
        await strict.backup("nameless")


async def test_a_sidecar_that_ignores_overrides_is_refused(
    cluster_factory: ClusterFactory, prefect_server: PrefectServer
) -> None:
    deaf = Bench(cluster_factory(environment={"DOUBLE_IGNORE_OVERRIDES": "true"}))
    deaf.fill_shop(rows=10)
    with deaf.refusal(PreflightFailed, "override", "chi-demo-main-0-0", after_asking=True):
        await deaf.backup("deaf")
