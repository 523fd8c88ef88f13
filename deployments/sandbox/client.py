"""A few lines of HTTP to ask a node: for readiness, the command line and the demo."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlencode

from deployments.sandbox.processes import HOST
from deployments.sandbox.users import User

OK = 200
TIMEOUT_SECONDS = 60.0
PING_TIMEOUT_SECONDS = 2.0


class QueryFailed(Exception):
    """The node refused a statement. `code` is ClickHouse's own number."""

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


def query(
    port: int, statement: str, *, user: User, settings: Mapping[str, str] | None = None
) -> str:
    """Run one statement. The answer is TSV without the last line end, unless it names a format."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(
            "POST",
            f"/?{urlencode(settings or {})}",
            body=statement.encode(),
            headers={"X-ClickHouse-User": user.name, "X-ClickHouse-Key": user.password},
        )
        response = connection.getresponse()
        text = response.read().decode().removesuffix("\n")
    finally:
        connection.close()
    if response.status != OK:
        raise QueryFailed(text, code=int(response.getheader("X-ClickHouse-Exception-Code", "0")))
    return text


def answers_ping(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=PING_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
