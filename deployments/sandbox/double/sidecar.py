"""The running server: takes words, keeps the lock and the history, and starts the work."""

import asyncio
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence

from deployments.sandbox.double import delete, resume
from deployments.sandbox.double.actions import History, Row, end_process
from deployments.sandbox.double.clickhouse import ClickHouse
from deployments.sandbox.double.commands import Command, parse
from deployments.sandbox.double.create import create
from deployments.sandbox.double.download import download
from deployments.sandbox.double.errors import (
    BackupExists,
    CommandFailed,
    InvalidSettings,
    ProcessEnds,
)
from deployments.sandbox.double.files import pid_path
from deployments.sandbox.double.integration_tables import create_integration_tables
from deployments.sandbox.double.knobs import Steps
from deployments.sandbox.double.rebase import rebase
from deployments.sandbox.double.restore import restore
from deployments.sandbox.double.settings import Settings
from deployments.sandbox.double.site import Site
from deployments.sandbox.double.upload import upload
from deployments.sandbox.double.watch import Watch, too_many_errors

LOCKED = "another operation is currently running"
CLEANING: Mapping[str, Callable[[Site], None]] = {
    "clean": delete.clean_shadow,
    "clean_local_broken": delete.clean_local_broken,
    "clean_remote_broken": delete.clean_remote_broken,
}


class Sidecar:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self.settings = Settings.from_environment(environment)
        self.history = History(
            steps=Steps(self.settings.knobs),
            cancel_timeout_seconds=self.settings.cancel_timeout_seconds,
            size=self.settings.status_history_size,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: dict[Settings, ClickHouse] = {}

    async def site(self) -> Site:
        return await self._reach(self.settings)

    async def _reach(self, settings: Settings) -> Site:
        server = self._servers.setdefault(settings, ClickHouse(settings))
        return await Site.reach(settings, server)

    async def prepare(self) -> None:
        """Make the tables anew, at the start and at every reload."""
        await ClickHouse(self.settings).connect()
        if self.settings.create_integration_tables:
            await create_integration_tables(await self.site())

    async def reload(self) -> None:
        await self.prepare()
        self._forget_pid_files(await self.history.cancel_all("canceled via API /restart"))

    async def stop(self) -> None:
        self._forget_pid_files(await self.history.cancel_all("canceled during server stop"))

    def refuse_if_busy(self) -> None:
        if self.history.busy and not self.settings.allow_parallel:
            raise CommandFailed(LOCKED)

    def begin(self, words: Sequence[str], line: str) -> None:
        """Start a command and return; what becomes of it is told by its row alone."""
        self.refuse_if_busy()
        row = None if words[0] in self.settings.skip_commands else self.history.start(line)
        self._spawn(row, self.perform(words))

    async def finish(self, line: str, work: Awaitable[None]) -> None:
        """Run a command to its end, which the caller waits for, and tell it of an error."""
        self.refuse_if_busy()
        row = self.history.start(line)
        await asyncio.wait({self._spawn(row, work)})
        if row.status == "error":
            raise CommandFailed(row.error)

    async def kill(self, line: str, command: str) -> None:
        """Cancel a command; without one it may find nobody but itself, and waits for itself."""
        row = self.history.start(line)
        try:
            cancelled = await self.history.cancel(command, "canceled from API /backup/actions")
        except CommandFailed as error:
            self.history.stop(row, str(error))
            raise
        self._forget_pid_files([cancelled])
        self.history.stop(row, None)

    async def resume(self) -> None:
        """Resume one by one; the first that fails, or a command of somebody else, ends it."""
        for found in resume.find((await self.site()).local):
            if self.history.busy and not self.settings.allow_parallel:
                return
            row = self.history.start(found.line)
            await asyncio.wait({self._spawn(row, self.perform(found.words))})
            if row.status != "success":
                return
            found.state_file.unlink()

    def begin_watch(self, words: Sequence[str]) -> None:
        """Start to make backups at intervals: a row of its own, and one for each backup."""
        watch = Watch.of(words)
        self.refuse_if_busy()
        self._spawn(self.history.start(watch.line), self._watch(watch))

    async def _watch(self, watch: Watch) -> None:
        macros = await ClickHouse(self.settings).macros()
        base, last_full = "", 0.0
        while True:
            started = time.monotonic()
            full = not base or started - last_full >= watch.full_interval_seconds
            name = watch.name("full" if full else "increment", macros)
            await self._watch_once(watch, name, "" if full else base)
            base, last_full = name, started if full else last_full
            await asyncio.sleep(max(0.0, started + watch.interval_seconds - time.monotonic()))

    async def _watch_once(self, watch: Watch, name: str, base: str) -> None:
        row = self.history.start(f"create_remote {name}", str(uuid.uuid4()))
        error: str | None = "context canceled"
        try:
            await self.perform(watch.create_remote(name, base))
            await self.perform(("delete", "--force", "local", name))
            error = None
        except CommandFailed as reason:
            error = str(reason)
            raise too_many_errors(watch) from reason
        finally:
            self.history.stop(row, error)

    async def perform(self, words: Sequence[str]) -> None:
        command = parse(words)
        if "help" in command.switches or command.word == "list":
            return
        site = await self._reach(self._settings_for(command))
        await _WORK[command.word](site, command)

    async def clean(self, word: str) -> None:
        CLEANING[word](await self.site())

    def _settings_for(self, command: Command) -> Settings:
        if self.settings.ignore_overrides:
            return self.settings
        return Settings.from_environment(self._environment | command.overrides)

    def _spawn(self, row: Row | None, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._work(row, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if row:
            row.task = task
        return task

    async def _work(self, row: Row | None, work: Awaitable[None]) -> None:
        error: str | None = None
        try:
            await work
            # the real server refreshes its metrics, for which it needs the node to answer
            await ClickHouse(self.settings).connect()
        except (InvalidSettings, ProcessEnds) as reason:
            end_process(str(reason))
        except asyncio.CancelledError:
            error = "context canceled"
        except (CommandFailed, OSError) as reason:
            error = str(reason)
        except Exception:  # noqa: BLE001 - a row must not stay in progress for a mistake in here
            traceback.print_exc(file=sys.stderr)
            error = traceback.format_exc(limit=1)
        if row:
            self.history.stop(row, error)

    def _forget_pid_files(self, lines: Sequence[str]) -> None:
        for line in lines:
            name = line.split()[-1].strip("\"'")
            if "/" not in name:
                pid_path(name).unlink(missing_ok=True)


async def _create_remote(site: Site, command: Command) -> None:
    await create(site, command)
    await upload(site, command)


async def _restore_remote(site: Site, command: Command) -> None:
    try:
        await download(site, command)
    except BackupExists:
        pass  # an older local copy is taken as it is
    except CommandFailed as error:
        raise CommandFailed(f"RestoreFromRemote Download: {error}") from error
    await restore(site, command)


async def _delete(site: Site, command: Command) -> None:
    delete.check_arguments(command)
    await delete.delete(site, command)


async def _rebalance(_site: Site, command: Command) -> None:
    """There is one disk to lay parts on, so that nothing ever moves."""
    if not command.name:
        raise ProcessEnds("backup name must be defined")


_WORK: Mapping[str, Callable[[Site, Command], Awaitable[None]]] = {
    "create": create,
    "upload": upload,
    "create_remote": _create_remote,
    "download": download,
    "restore": restore,
    "restore_remote": _restore_remote,
    "delete": _delete,
    "rebase": rebase,
    "rebalance": _rebalance,
}
