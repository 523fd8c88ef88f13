"""Give up an operation whose flow is gone or going: stop its actions, apply the recovery rule.

Plain functions, no Prefect tasks: a run that is being cancelled may be refused new ones. Every
step finds out first what is done, so that it may be interrupted anywhere and begun again.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.clickhouse import commands
from tasks.clickhouse.actions import Sidecar, Timeouts, read_actions
from tasks.clickhouse.client import Cluster, Server
from tasks.clickhouse.commands import Verb
from tasks.clickhouse.journal import JournalWriter, read_journal, read_payload
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import write_companion
from tasks.clickhouse.submission import Lease
from tasks.clickhouse.versions import read_sidecar_version
from tasks.domain.abort_result import Abandoned
from tasks.domain.actions import Action, ActionStatus, at_work_for, stops_what_it_kills
from tasks.domain.errors import BackupError, ClusterUnavailable, FateUnknown
from tasks.domain.journal import Entry, Event, Journal, Step
from tasks.domain.names import aborted_id, manifest_name
from tasks.domain.recovery import (
    Interrupted,
    Remains,
    Remedy,
    Way,
    recover,
    touched_by,
)
from tasks.domain.restore_need import end_of
from tasks.fan_out import all_or_raise, fan_out
from tasks.leftovers import drop_scratch

PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Site:
    """One replica of the cluster, whoever is at work on it."""

    shard: str
    server: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What journals say of the operation. Without a journal it is known by its token alone."""

    operation_id: str
    start: Entry | None = None
    journals: Mapping[str, Journal] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        return self.start.operation if self.start else ""

    @property
    def name(self) -> str:
        return str(self.start.document()["name"]) if self.start else ""


async def abandon(
    cluster: Cluster,
    operation_id: str,
    *,
    lease: Lease,
    width: int,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Abandoned:
    """Stop what runs for the operation, undo it or roll it forward, and close it in the journals.

    The caller holds the lock (`lease`), and no command of the operation may begin any more. A
    replica that does not answer, or whose sidecar would not stop within `patience_seconds`, is
    named in the result, and the operation stays open there.
    """
    work = _Abandonment(cluster, lease=lease, width=width, patience_seconds=patience_seconds)
    return await work.of(operation_id)


class _Abandonment:
    """One pass over a cluster."""

    def __init__(
        self, cluster: Cluster, *, lease: Lease, width: int, patience_seconds: float
    ) -> None:
        self._sites = tuple(
            _Site(shard.name, cluster.server(replica.name))
            for shard in cluster.topology.shards
            for replica in shard.replicas
        )
        self._lease = lease
        self._width = width
        self._timeouts = Timeouts(action_seconds=patience_seconds, busy_seconds=patience_seconds)

    async def of(self, given_id: str) -> Abandoned:
        operation_id = aborted_id(given_id)
        begun, silent = await self._begun(operation_id)
        answering = [site for site in self._sites if site.server.name not in silent]
        remains = await fan_out(
            (self._remains(site, begun) for site in answering), width=self._width
        )
        seen = Interrupted(
            operation=begun.operation,
            operation_id=operation_id,
            name=begun.name,
            remains=tuple(all_or_raise(remains)),
            silent=silent,
        )
        remedies = recover(seen)
        ended = await fan_out(
            (self._apply(remedy, seen, begun) for remedy in remedies), width=self._width
        )
        troubles = {
            remedy.replica: str(end)
            for remedy, end in zip(remedies, ended, strict=True)
            if isinstance(end, BackupError)
        }
        return Abandoned(seen=seen, remedies=remedies, troubles=troubles)

    async def _begun(self, operation_id: str) -> tuple[_Begun, dict[str, str]]:
        """Find out what the operation was, and who does not answer."""
        reading = (read_journal(site.server, operation_id=operation_id) for site in self._sites)
        found = await fan_out(reading, width=self._width)
        looks = {site.server.name: look for site, look in zip(self._sites, found, strict=True)}
        journals = {
            name: look.of(operation_id) for name, look in looks.items() if isinstance(look, Journal)
        }
        silent = {name: str(look) for name, look in looks.items() if isinstance(look, BackupError)}
        starts = (journal.last(Event.STARTED) for journal in journals.values())
        start = next((start for start in starts if start is not None), None)
        return _Begun(operation_id=operation_id, start=start, journals=journals), silent

    def _server(self, replica: str) -> Server:
        return next(site.server for site in self._sites if site.server.name == replica)

    def _sidecar(self, server: Server, operation_id: str) -> Sidecar:
        return Sidecar(
            server, operation_id=operation_id, lease=self._lease, timeouts=self._timeouts
        )

    async def _remains(self, site: _Site, begun: _Begun) -> Remains:
        """Stop what runs, then look: what is seen stays as it is."""
        trouble, listing, away = "", None, False
        try:
            trouble = await self._stopped(site.server, begun)
            listing = await read_listing(site.server)
        except BackupError as error:
            away = isinstance(error, ClusterUnavailable) and not trouble
            trouble = trouble or str(error)
        return Remains(
            shard=site.shard,
            replica=site.server.name,
            journal=begun.journals[site.server.name],
            listing=listing,
            trouble=trouble,
            away=away,
        )

    async def _stopped(self, server: Server, begun: _Begun) -> str:
        """Kill what runs and wait until it is gone; else say what is still at work."""
        deadline = _now() + self._timeouts.action_seconds
        if not stops_what_it_kills(await read_sidecar_version(server)):
            left = await self._gone(server, begun, deadline=deadline)
            return left or await _killed_in_name(server, begun)
        sidecar = self._sidecar(server, begun.operation_id)
        for action in await self._running(server, begun):
            if action.verb in {Verb.KILL, Verb.DELETE}:
                continue  # they end by themselves
            with contextlib.suppress(FateUnknown):  # it goes on for now: looked at below
                await sidecar.kill(action)
        return await self._gone(server, begun, deadline=deadline)

    async def _gone(self, server: Server, begun: _Begun, *, deadline: float) -> str:
        while left := await self._running(server, begun):
            if _now() > deadline:
                return f"its sidecar is still at work on `{left[0].verb} {left[0].name}`"
            await self._lease.check()
            await asyncio.sleep(_PAUSE_SECONDS)
        return ""

    async def _running(self, server: Server, begun: _Begun) -> tuple[Action, ...]:
        history = await read_actions(server)
        names = touched_by(begun.start, begun.journals[server.name])
        return at_work_for(history, operation_id=begun.operation_id, names=names)

    async def _apply(self, remedy: Remedy, seen: Interrupted, begun: _Begun) -> None:
        server, journal = self._server(remedy.replica), begun.journals[remedy.replica]
        writer = JournalWriter(server, operation_id=begun.operation_id, operation=begun.operation)
        sidecar = self._sidecar(server, begun.operation_id)
        if remedy.way is Way.UNDO and remedy.delete:
            await self._lease.check()
            await writer.append(Event.INTENT, Step.UNDO)
        for location, name in remedy.delete:
            await sidecar.delete(commands.delete(location, name))
        if remedy.manifest is not None:
            text = await self._text(remedy.manifest, seen)
            await write_companion(sidecar, manifest_name(seen.name), text)
            await writer.append(Event.STEP, Step.MANIFEST)
        if remedy.closes and journal.entries:
            await drop_scratch(server, journal)
            await self._close(remedy.way, journal, writer)

    async def _text(self, author: str, seen: Interrupted) -> str:
        return await read_payload(
            self._server(author),
            operation_id=seen.operation_id,
            event=Event.MANIFEST,
            subject=seen.name,
        )

    async def _close(self, way: Way, journal: Journal, writer: JournalWriter) -> None:
        await self._lease.check()
        if way is Way.UNDO and journal.last(Event.INTENT) is not None:
            await writer.append(Event.UNDONE)
        for started in journal.unfinished():
            facts = started.lock()
            instance = facts.instance if facts else ""
            await writer.append(Event.FINISHED, instance, end_of(journal).value)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _killed_in_name(server: Server, begun: _Begun) -> str:
    """Name what somebody killed on a sidecar that only changes the label and works on, unseen."""
    for action in await read_actions(server):
        if action.status is ActionStatus.CANCEL and action.belongs_to(begun.operation_id):
            return (
                f"`{action.verb} {action.name}` was killed, and a sidecar as old as this one may "
                "work on all the same: restart it"
            )
    return ""
