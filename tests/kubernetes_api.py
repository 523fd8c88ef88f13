"""A real kube-apiserver with etcd for tests: the API alone, no nodes, no controllers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.sandbox.processes import HOST, Process, Program, free_ports
from tests.peers.require import require_peer

_ADMINISTRATOR, _NOBODY = "administrator", "nobody"  # tokens and user names at once


@dataclass(frozen=True, slots=True)
class KubernetesApi:
    """Ways in, for one who may do everything and for one who may do nothing; and the server."""

    config_file: Path
    powerless_config_file: Path
    server: Process


@contextmanager
def served_kubernetes(home: Path) -> Iterator[KubernetesApi]:
    etcd_port, peer_port, port = free_ports(3)
    etcd = _etcd(home, etcd_port, peer_port)
    server = _apiserver(home, etcd_port, port)
    etcd.start()
    try:
        server.start()
        yield KubernetesApi(
            _kubeconfig(home, port, _ADMINISTRATOR), _kubeconfig(home, port, _NOBODY), server
        )
    finally:
        server.stop()
        etcd.stop()


def _etcd(home: Path, port: int, peer_port: int) -> Process:
    url = f"http://{HOST}:{port}"
    arguments = (
        str(require_peer("etcd")),
        *("--data-dir", str(home / "etcd")),
        *("--listen-client-urls", url),
        *("--advertise-client-urls", url),
        *("--listen-peer-urls", f"http://{HOST}:{peer_port}"),
        "--unsafe-no-fsync",
    )
    program = Program(name="etcd", arguments=arguments, home=home)
    return Process(program, answers=lambda: _answers(f"{url}/health"))


def _apiserver(home: Path, etcd_port: int, port: int) -> Process:
    key = home / "service-accounts.key"
    key.write_bytes(_private_key())
    tokens = home / "tokens.csv"
    tokens.write_text(
        f'{_ADMINISTRATOR},{_ADMINISTRATOR},1,"system:masters"\n{_NOBODY},{_NOBODY},2\n'
    )
    arguments = (
        str(require_peer("kube-apiserver")),
        f"--etcd-servers=http://{HOST}:{etcd_port}",
        f"--secure-port={port}",
        f"--bind-address={HOST}",
        f"--cert-dir={home / 'certificates'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://localhost",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
    )
    program = Program(name="kube-apiserver", arguments=arguments, home=home)
    return Process(program, answers=lambda: _answers(f"https://{HOST}:{port}/readyz"))


def _kubeconfig(home: Path, port: int, token: str) -> Path:
    cluster = {
        "server": f"https://{HOST}:{port}",
        "certificate-authority": str(home / "certificates" / "apiserver.crt"),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path = home / f"kubeconfig-{token}"
    path.write_text(json.dumps(document))
    return path


def _answers(url: str) -> bool:
    """Tell whether it is up; whose certificate it shows is the client's business."""
    headers = {"Authorization": f"Bearer {_ADMINISTRATOR}"}
    try:
        return httpx.get(url, headers=headers, timeout=2, verify=False).is_success  # noqa: S501
    except httpx.HTTPError:
        return False


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
