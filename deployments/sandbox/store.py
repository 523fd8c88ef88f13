"""The S3 server that real sidecars upload to: versitygw over a folder, one per cluster."""

import http.client
from pathlib import Path

from deployments.sandbox.processes import HOST, Process, Program

BUCKET = "backups"
REGION = "us-east-1"
ACCESS_KEY = "sandbox"
SECRET_KEY = "sandbox-secret"  # noqa: S105 - of a server that listens on this machine only
PING_TIMEOUT_SECONDS = 2.0


def make_store(binary: Path, home: Path, folder: Path, *, port: int) -> Process:
    program = Program(
        name="store",
        arguments=(
            str(binary),
            *("--port", f"{HOST}:{port}"),
            *("--access", ACCESS_KEY),
            *("--secret", SECRET_KEY),
            *("--region", REGION),
            *("posix", str(folder)),
        ),
        home=home,
    )
    return Process(program, answers=lambda: _answers(port))


def _answers(port: int) -> bool:
    """Any answer will do: without a signature it is a refusal."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PING_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
