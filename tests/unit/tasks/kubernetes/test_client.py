"""What the API answers becomes an error of ours, with its sentence and nothing else of its body."""

from pathlib import Path

import aiohttp
import pytest
from kubernetes.aio.client.exceptions import ApiException, ConflictException, NotFoundException

from tasks.domain.errors import BackupError, ClusterUnavailable, NotAllowed
from tasks.kubernetes.client import open_kubernetes, translating

STATUS = '{"kind": "Status", "message": "leases is forbidden", "details": {"token": "word"}}'


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [
        pytest.param(ApiException(401), NotAllowed, "401", id="unknown-user"),
        pytest.param(ApiException(403, body=STATUS), NotAllowed, "leases is forbidden", id="right"),
        pytest.param(
            ApiException(500, "trouble", body="word"), ClusterUnavailable, "trouble", id="fault"
        ),
        pytest.param(ApiException(429, "slower"), ClusterUnavailable, "slower", id="throttled"),
        pytest.param(aiohttp.ClientError("word"), ClusterUnavailable, "ClientError", id="broken"),
        pytest.param(TimeoutError(), ClusterUnavailable, "TimeoutError", id="no-reply"),
    ],
)
def test_an_error_of_the_api_is_translated_without_its_secrets(
    theirs: Exception, ours: type[BackupError], told: str
) -> None:
    with pytest.raises(ours) as caught, translating("reading lease:a/b"):
        raise theirs
    assert told in str(caught.value)
    assert "reading lease:a/b" in str(caught.value)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [pytest.param(NotFoundException, id="404"), pytest.param(ConflictException, id="409")]
)
def test_not_found_and_conflict_are_answers(answer: type[ApiException]) -> None:
    with pytest.raises(answer), translating("reading"):
        raise answer


async def test_without_a_way_into_kubernetes_the_refusal_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="no way into Kubernetes"):
        async with open_kubernetes(str(tmp_path / "no-such-kubeconfig")):
            pass
