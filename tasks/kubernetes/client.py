"""The opening of the door to Kubernetes: one client, and its errors turned into ours."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException, ConflictException, NotFoundException
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from tasks.domain.errors import BackupError, ClusterUnavailable, NotAllowed

_NOT_ALLOWED = frozenset({401, 403, 422})
_LONGEST_TEXT = 300


@asynccontextmanager
async def open_kubernetes(config_file: str | None = None) -> AsyncIterator[ApiClient]:
    """Connect as the pod's own service account, else as the kubeconfig says.

    Raises NotAllowed where neither is there.
    """
    configuration = Configuration()
    try:
        if config_file is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file, client_configuration=configuration
            )
    except ConfigException as error:
        message = f"no way into Kubernetes: {error}"
        raise NotAllowed(message) from error
    configuration.retries = None  # a write that is sent twice would conflict with itself
    async with ApiClient(configuration) as api:
        yield api


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Turn the client's errors into ours; "not found" and "conflict" are answers, and pass."""
    try:
        yield
    except (NotFoundException, ConflictException):
        raise
    except ApiException as error:
        raise _translated(error, what) from error
    except (aiohttp.ClientError, OSError) as error:  # asyncio's TimeoutError is one
        message = f"the Kubernetes API does not answer: {what}: {type(error).__name__}"
        raise ClusterUnavailable(message) from error


def _translated(error: ApiException, what: str) -> BackupError:
    text = f"{what}: {error.status} {_message(error)}"
    if error.status in _NOT_ALLOWED:
        return NotAllowed(f"the Kubernetes API refuses {text}")
    return ClusterUnavailable(f"the Kubernetes API does not answer {text}")


def _message(error: ApiException) -> str:
    """Take the sentence of a Status; another body is nobody's business, and may hold anything."""
    try:
        told = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        told = error.reason
    return str(told)[:_LONGEST_TEXT]
