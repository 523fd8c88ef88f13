"""ClickHouse's HTTP interface in front of the engine, as far as clients of this product use it."""

import json
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from deployments.sandbox.engine import Engine, EngineError, Session
from deployments.sandbox.http_request import BadRequest, Request, read_body
from deployments.sandbox.http_sessions import Sessions
from deployments.sandbox.users import Denied, User, Users

OK, SERVER_ERROR = 200, 500
LOGGED_CHARACTERS = 500
HTTP_STATUS: Mapping[int, int] = {47: 404, 48: 501, 60: 404, 62: 400, 81: 404, 115: 404, 516: 403}


class HttpInterface(ThreadingHTTPServer):
    """One thread per connection; an idle connection is closed, and its thread ends with it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], *, engine: Engine, users: Users, name: str
    ) -> None:
        self.engine = engine
        self.users = users
        self.sessions = Sessions()
        self.name = name
        super().__init__(address, _Handler)

    def execute(self, request: Request) -> bytes:
        user = self.users.authenticate(request.user, request.password)
        if request.session is None:
            with self.engine.open_session(
                user, database=request.database, settings=request.settings
            ) as session:
                return _run(session, request)
        with (
            self.sessions.borrow(
                user.name, request.session, lambda: self._open(user, request)
            ) as session,
            session.with_settings(request.settings),
        ):
            return _run(session, request)

    def _open(self, user: User, request: Request) -> Session:
        return self.engine.open_session(user, database=request.database)


def _run(session: Session, request: Request) -> bytes:
    return session.run(request.statement, request.output_format, request.parameters)


class _Handler(BaseHTTPRequestHandler):
    server: HttpInterface
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    # Longer than the 30 s a client keeps an idle connection: it must not send into a closed one.
    timeout = 75

    def _serve(self) -> None:
        began = time.monotonic()
        request: Request | None = None
        try:
            body = read_body(self.rfile, self.headers)
            if urlsplit(self.path).path == "/ping" or (self.path == "/" and not body):
                self._reply(OK, b"Ok.\n", {})
                return
            request = Request.from_http(self.path, self.headers, body)
            answer = self.server.execute(request)
        except (EngineError, BadRequest, Denied) as error:
            self._refuse(error, error.code)
        else:
            elapsed_ns = int((time.monotonic() - began) * 1e9)
            self._reply(
                OK,
                answer,
                {
                    "X-ClickHouse-Summary": json.dumps({"elapsed_ns": str(elapsed_ns)}),
                    "X-ClickHouse-Query-Id": request.query_id,
                    "X-ClickHouse-Format": request.output_format,
                    "X-ClickHouse-Timezone": self.server.engine.timezone,
                },
            )

    def _refuse(self, error: Exception, code: int) -> None:
        text = f"{error} (version {self.server.engine.version})"
        print(text[:LOGGED_CHARACTERS], file=sys.stderr, flush=True)
        # A body that was not read would be taken for the next request of this connection.
        self.close_connection = isinstance(error, BadRequest)
        self._reply(
            HTTP_STATUS.get(code, SERVER_ERROR),
            text.encode() + b"\n",
            {"X-ClickHouse-Exception-Code": str(code)},
        )

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Server-Display-Name", self.server.name)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = _serve  # noqa: N815 - names that the base class looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class
        """Only refusals are logged: a busy poll would drown them."""
