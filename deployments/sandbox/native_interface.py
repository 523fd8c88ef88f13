"""The native TCP protocol in front of the engine: what the real sidecar speaks, and no more."""

import sys
from enum import IntEnum
from socketserver import StreamRequestHandler, ThreadingTCPServer

from deployments.sandbox import native_wire as wire
from deployments.sandbox.engine import Engine, EngineError, Session, first_word
from deployments.sandbox.users import Denied, Users

STREAMED = frozenset({"SELECT", "WITH"})
UNEXPECTED_PACKET = 101


class Packet(IntEnum):
    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4


class NativeInterface(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], *, engine: Engine, users: Users, name: str
    ) -> None:
        self.engine = engine
        self.users = users
        self.name = name
        super().__init__(address, _Handler)


class _Handler(StreamRequestHandler):
    server: NativeInterface
    # Without these two each answer waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        self._reader = wire.Reader(self.rfile)
        try:
            self._greet()
            while True:
                self._answer(Packet(self._reader.number()))
        except (EOFError, ConnectionError):
            return
        except Denied as error:
            self._refuse(error, error.code)
        except (ValueError, wire.ProtocolError) as error:
            # What follows in the stream cannot be understood: the connection ends.
            self._refuse(error, UNEXPECTED_PACKET)

    def _greet(self) -> None:
        if self._reader.number() != Packet.HELLO:
            message = "expected a hello"
            raise wire.ProtocolError(message)
        self._hello = wire.Hello.read(self._reader)
        self._user = self.server.users.authenticate(self._hello.user, self._hello.password)
        engine = self.server.engine
        self._send(wire.hello(engine.version, engine.timezone, self.server.name))

    def _answer(self, packet: Packet) -> None:
        match packet:
            case Packet.PING:
                self._send(wire.PONG)
            case Packet.QUERY:
                self._query(wire.Query.read(self._reader))
            case Packet.DATA:
                self._reader.end_of_data()
            case Packet.CANCEL:
                pass  # an answer is complete before the next packet is read
            case Packet.HELLO:
                message = "a second hello"
                raise wire.ProtocolError(message)

    def _query(self, query: wire.Query) -> None:
        try:
            with self.server.engine.open_session(
                self._user, database=self._hello.database
            ) as session:
                session.set_known(query.settings)
                self._execute(session, query.statement)
        except EngineError as error:
            self._refuse(error, error.code)
        else:
            self._send(wire.END_OF_STREAM)

    def _execute(self, session: Session, statement: str) -> None:
        if first_word(statement.encode("utf-8", "surrogateescape")) in STREAMED:
            self._select(session, statement)
        elif rows := session.run(statement, "Native"):
            self.wfile.write(wire.data(rows))
            self.wfile.write(wire.EMPTY_BLOCK)

    def _select(self, session: Session, statement: str) -> None:
        empty = True
        for block in session.stream(statement):
            self.wfile.write(wire.data(block))
            empty = False
        if empty:
            described = session.rows(f"DESCRIBE ({statement.rstrip().rstrip(';')})")
            self.wfile.write(wire.header([(row[0], row[1]) for row in described]))
        self.wfile.write(wire.EMPTY_BLOCK)

    def _send(self, packet: bytes) -> None:
        self.wfile.write(packet)
        self.wfile.flush()

    def _refuse(self, error: Exception, code: int) -> None:
        print(f"native: {error}"[:500], file=sys.stderr, flush=True)
        self._send(wire.exception(code, f"DB::Exception: {error}"))
