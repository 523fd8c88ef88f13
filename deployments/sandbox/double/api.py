"""Routes: what the URL tables read and write, and the few addresses beside them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from deployments.sandbox.double import listing, shell
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.sidecar import CLEANING, Sidecar
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.web import ConnectionDropped, Reply, Request

VERSION = "double"
_VERSION_THAT_KILLS_IN_NAME_ONLY = "2.7.3"

_ASYNCHRONOUS = frozenset(
    {
        "create",
        "upload",
        "create_remote",
        "download",
        "restore",
        "restore_remote",
        "list",
        "rebase",
        "rebalance",
    }
)
_LARGEST_LAST = 2**15 - 1

Row = Mapping[str, Any]


class Api:
    def __init__(self, sidecar: Sidecar, reload: Callable[[], None]) -> None:
        self._sidecar = sidecar
        self._reload = reload

    async def answer(self, request: Request) -> Reply:
        settings = self._sidecar.settings
        if request.credentials != (settings.api_username, settings.api_password):
            return Reply(HTTPStatus.UNAUTHORIZED, b"401 Unauthorized\n")
        if request.method == "POST":
            return await self._post(request)
        return await self._get(request)

    async def _post(self, request: Request) -> Reply:
        if request.path == "/backup/actions":
            return await self._actions(request)
        if request.path in {"/", "/restart"}:
            return self._restart()
        if request.path == "/backup/kill":
            return await self._kill(request)
        return _failed(HTTPStatus.NOT_FOUND, request.path, f"POST {request.path} 404 Not Found")

    async def _get(self, request: Request) -> Reply:
        fixed = {
            "/backup/version": [{"version": self._version}],
            "/health": [{"status": "OK"}],
            "/backup/status": self._sidecar.history.shown(last=1),
        }
        if request.path in fixed:
            return _rows(fixed[request.path])
        if request.path == "/backup/actions":
            return self._history(request)
        if request.path.startswith("/backup/list"):
            return await self._list(request)
        if request.path in {"/backup/tables", "/backup/tables/all"}:
            return await self._tables(request)
        if request.path in {"/restart", "/backup/kill"}:
            return await self._post(request)
        return _failed(HTTPStatus.NOT_FOUND, request.path, f"GET {request.path} 404 Not Found")

    @property
    def _version(self) -> str:
        old = self._sidecar.history.kills_in_name_only
        return _VERSION_THAT_KILLS_IN_NAME_ONLY if old else VERSION

    async def _actions(self, request: Request) -> Reply:
        if not request.body:
            return _failed(HTTPStatus.BAD_REQUEST, "", "empty request")
        accepted: list[Row] = []
        for line in filter(None, request.body.decode().split("\n")):
            refused = await self._action(line, accepted)
            if refused:
                return refused
        return _rows(accepted)

    async def _action(self, line: str, accepted: list[Row]) -> Reply | None:
        """Add to what is accepted, or say why not: the lines before it have begun already."""
        try:
            given = json.loads(line).get("command", "")
        except (ValueError, AttributeError) as error:
            return _failed(HTTPStatus.BAD_REQUEST, line, str(error))
        try:
            words, command = shell.split(given), shell.masked(given)
        except shell.UnreadableLine as error:
            return _failed(HTTPStatus.BAD_REQUEST, "", str(error))
        if not words:
            raise ConnectionDropped
        try:
            status = await self._act(words, command)
        except CommandFailed as error:
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, command, str(error))
        if status is None:
            return _failed(HTTPStatus.BAD_REQUEST, command, "unknown command")
        accepted.append({"status": status, "operation": command})
        return None

    async def _act(self, words: Sequence[str], command: str) -> str | None:
        sidecar, word = self._sidecar, words[0]
        if word in _ASYNCHRONOUS:
            sidecar.begin(words, command)
            return "acknowledged"
        if word == "watch":
            sidecar.begin_watch(words)
            return "acknowledged"
        if word == "delete":
            sidecar.refuse_if_busy()
            await sidecar.finish(command, sidecar.perform(words))
        elif word in CLEANING:
            sidecar.refuse_if_busy()
            await sidecar.finish(word, sidecar.clean(word))
        elif word == "kill":
            await sidecar.kill(command, words[1] if len(words) > 1 else "")
        else:
            return None
        return "success"

    def _history(self, request: Request) -> Reply:
        last = request.query.get("last", "") or "0"
        if not last.lstrip("+-").isdigit() or abs(int(last)) > _LARGEST_LAST:
            text = f'strconv.ParseInt: parsing "{last}": invalid syntax'
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, "actions", text)
        return _rows(self._sidecar.history.shown(request.query.get("filter", ""), int(last)))

    async def _list(self, request: Request) -> Reply:
        where = request.path.removeprefix("/backup/list").strip("/")
        history = self._sidecar.history
        hidden = request.method == "HEAD" or "list" in self._sidecar.settings.skip_commands
        row = None if hidden else history.start(f"list {where}".strip())
        rows = list(listing.backup_rows(await self._sidecar.site(), where))
        if row:
            history.stop(row, None)
        return _rows(rows)

    async def _tables(self, request: Request) -> Reply:
        try:
            return _rows(_tables_of_backup(await self._sidecar.site(), request.query))
        except CommandFailed as error:
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, "tables", str(error))

    def _restart(self) -> Reply:
        self._reload()
        return _rows([{"status": "acknowledged", "operation": "restart"}], HTTPStatus.CREATED)

    async def _kill(self, request: Request) -> Reply:
        try:
            command = await self._sidecar.history.cancel(
                request.query.get("command", ""), "canceled from API /backup/kill"
            )
        except CommandFailed as error:
            return _failed(HTTPStatus.INTERNAL_SERVER_ERROR, "kill", str(error))
        return _rows([{"status": "success", "operation": "kill", "command": command}])


def _tables_of_backup(site: Site, query: Mapping[str, str]) -> list[Row]:
    """List tables of a backup only: nothing asks this program for those of the server."""
    asked = {name.replace("-", "_"): value for name, value in query.items()}
    pattern = asked.get("table", "")
    with_parts = bool({asked.get("list_parts"), asked.get("parts")} & {"1", "true"})
    if "local_backup" in asked:
        local = asked["local_backup"]
        return [*listing.local_tables(site, local, pattern, with_parts=with_parts)]
    if "remote_backup" in asked:
        remote = asked["remote_backup"]
        return [*listing.remote_tables(site, remote, pattern, with_parts=with_parts)]
    raise CommandFailed("name a local_backup or a remote_backup")


def _rows(rows: Iterable[Row], status: HTTPStatus = HTTPStatus.OK) -> Reply:
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    return Reply(status, "".join(lines).encode())


def _failed(status: HTTPStatus, operation: str, error: str) -> Reply:
    named = {"operation": operation} if operation else {}
    return _rows([{"status": "error", **named, "error": error}], status)
