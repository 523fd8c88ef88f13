"""Tasks of a verification: each lets one replica try its copy, and leaves the findings as values.

A try always begins afresh: what an earlier one downloaded proves nothing, and was not timed.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.clickhouse import commands
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.manifest import read_manifest
from tasks.clickhouse.parts import read_frozen, read_parts
from tasks.clickhouse.scratch import (
    drop_scratch_databases,
    find_damage,
    make_scratch_databases,
    make_scratch_table,
)
from tasks.clickhouse.session import ReplicaSession
from tasks.clickhouse.tables import drop_table
from tasks.clickhouse.tidy import tidied
from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    BackupUnusable,
    NotAllowed,
    ServerError,
)
from tasks.domain.fingerprint import Part, Verdict
from tasks.domain.inspection import Observation
from tasks.domain.journal import Event, Step
from tasks.domain.manifest import Manifest, TableRecord
from tasks.domain.names import manifest_name
from tasks.domain.phases import VerifyPhase
from tasks.domain.proofs import Proof
from tasks.domain.scratch_tables import scratch_definition
from tasks.domain.tables import Table, scratch_database, table_patterns
from tasks.domain.trials import Trial, Tried
from tasks.domain.verification import (
    copy_findings,
    drilled_tables,
    error_findings,
    table_finding,
    verdict_on,
)
from tasks.domain.verify_listing import (
    differing,
    listing_findings,
    no_manifest,
    readers_left,
    readers_of,
    steady,
    unreadable_manifest,
)
from tasks.domain.verify_outcome import Finding, verdict_of
from tasks.domain.verify_request import VerifyLevel
from tasks.download import bring_copy
from tasks.fan_out import HEALING, step
from tasks.fleet import Fleet, failed, succeeded
from tasks.leftovers import drop_scratch
from tasks.operation import Operation

_SETTLING_SECONDS = 2.0
_LONGEST_NAMES = 50_000  # characters of table names in one command


@step(task_run_name="download-{trial.record.shard}-{trial.replica}", **HEALING)
async def try_download(
    session: ReplicaSession, trial: Trial, backup: str, limit: int | None
) -> Tried:
    """Download the copy as a restore would, and hold it against the manifest."""
    await session.sidecar.settle_down()
    await drop_scratch(session.server, await session.journal())
    command = commands.download(
        backup,
        session.sidecar.token(),
        tables=trial.record.patterns,
        schema_only=False,
        limit=limit,
    )
    begun = _now()
    try:
        await bring_copy(session, command, ours=None)
    except ActionFailed as error:
        finding = await _not_downloaded(session, trial, backup, error)
        return Tried(findings=(finding,), seconds=_now() - begun, usable=False)
    seconds = _now() - begun
    if not await session.holds(backup, location="local"):
        lost = trial.finding(
            VerifyLevel.DOWNLOAD,
            Verdict.FAILED,
            f"{backup} was downloaded, and is not listed whole",
        )
        return Tried(findings=(lost,), seconds=seconds, usable=False)
    findings = copy_findings(trial, await read_frozen(session.server, backup))
    usable = verdict_of(findings) is not Verdict.FAILED
    return Tried(findings=findings, seconds=seconds, usable=usable)


@step(task_run_name="drill-{trial.record.shard}-{trial.replica}", **HEALING)
async def try_restore(session: ReplicaSession, trial: Trial, backup: str) -> Tried:
    """Bring the rows back into scratch databases, compare them, read them, and drop them again."""
    await session.sidecar.settle_down()
    await drop_scratch(session.server, await session.journal())
    tables = drilled_tables(trial.record)
    names = sorted({table.database for table in tables})
    scratch = {name: scratch_database(session.sidecar.token().attempt) for name in names}
    await session.note(Event.INTENT, Step.DRILL, json.dumps(list(scratch.values())))
    async with tidied(lambda: drop_scratch_databases(session.server, scratch.values())):
        return await _Drill(session, trial, backup, scratch).tried(tables)


@step(task_run_name="proof-{session.replica}", **HEALING)
async def note_proof(session: ReplicaSession, proof: Proof) -> None:
    """Write down what was proven, so that the catalogue knows it wherever it asks."""
    await session.note(Event.VERIFIED, proof.backup_name, proof.model_dump_json())


async def read_manifests(
    fleet: Fleet, sources: Iterable[str], backup: str, observed: Observation
) -> tuple[Manifest | None, tuple[Finding, ...]]:
    """Read every shard's copy of the manifest: the first that can be, and what is wrong with any.

    `sources`: replicas that list it.
    """
    able = tuple(sources)

    async def look(session: ReplicaSession) -> Manifest | Finding:
        return await manifest_or_why(session, backup)

    results = await fleet.phase(VerifyPhase.MANIFEST, readers_of(able, observed), look)
    first = next(_legible(results), None)
    if first is not None:
        rest = readers_left(first[1], able, results, observed)
        results |= await fleet.phase(VerifyPhase.MANIFEST, rest, look)
    wrong = (
        *(finding for finding in succeeded(results).values() if isinstance(finding, Finding)),
        *error_findings(VerifyLevel.LISTING, observed, failed(results)),
        *differing(dict(_legible(results)), observed),
    )
    if first is None:
        return None, wrong or (no_manifest(observed),)
    return first[1], wrong


async def manifest_or_why(session: ReplicaSession, backup: str) -> Manifest | Finding:
    """Read one copy of the manifest; else say what was found out."""
    try:
        return await look_into_manifest(session, backup)
    except BackupUnusable as error:
        listed = await session.holds(manifest_name(backup), location="remote")
        return unreadable_manifest(session.shard, session.replica, error, still_listed=listed)


async def look_at_listings(
    operation: Operation, manifest: Manifest, observed: Observation
) -> tuple[Finding, ...]:
    """Hold the listings against the manifest; once more where something seems to be missing."""
    found = listing_findings(manifest, observed)
    if verdict_of(found) is not Verdict.FAILED:
        return found
    await asyncio.sleep(_SETTLING_SECONDS)
    return steady(found, listing_findings(manifest, await operation.observe()))


@step(task_run_name="manifest-{session.replica}", **HEALING)
async def look_into_manifest(session: ReplicaSession, backup: str) -> Manifest:
    """Read the manifest from the bucket, each time anew: what was read once may be lost since."""
    return await read_manifest(session.sidecar, backup)


class _Drill:
    """One drill on one replica. `scratch`: database -> the one that stands for it."""

    def __init__(
        self, session: ReplicaSession, trial: Trial, backup: str, scratch: Mapping[str, str]
    ) -> None:
        self._session = session
        self._trial = trial
        self._backup = backup
        self._scratch = scratch
        self._left_alone: dict[str, bool] = {}  # table -> whether nothing of it is merged

    async def tried(self, tables: Sequence[TableRecord]) -> Tried:
        begun = _now()
        await make_scratch_databases(self._session.server, self._scratch.values())
        refused = await self._make(tables)
        made = [table for table in tables if table.full_name not in refused]
        troubled = await self._fill(made)
        seconds = _now() - begun
        failed = await self._fill_one_by_one(troubled)
        judged = {**refused, **failed}
        rest = [table for table in made if table.full_name not in judged]
        findings = (*judged.values(), *await self._compared(rest))
        return Tried(findings=findings, seconds=seconds)

    async def _make(self, tables: Sequence[TableRecord]) -> dict[str, Finding]:
        """Make the tables; say of which ones the server will have none."""
        refused = {}
        for table in tables:
            await self._session.lease.check()
            try:
                await self._make_one(table)
            except (BackupUnusable, ServerError, NotAllowed) as error:
                message = f"could not tell: there can be no such table here: {error}"
                refused[table.full_name] = self._finding(Verdict.UNKNOWN, message, table)
        return refused

    async def _make_one(self, table: TableRecord) -> None:
        stopped = await make_scratch_table(self._session.server, self._target(table))
        self._left_alone[table.full_name] = stopped

    async def _fill(self, tables: Sequence[TableRecord]) -> list[TableRecord]:
        """Attach the rows of all; give back those of commands that failed."""
        troubled: list[TableRecord] = []
        for some in _portions(tables):
            try:
                await self._attach(some)
            except ActionFailed:
                troubled += some
        return troubled

    async def _fill_one_by_one(self, tables: Sequence[TableRecord]) -> dict[str, Finding]:
        """Find out which tables made a command fail: it tells of one, and leaves out others."""
        failed = {}
        for table in tables:
            await drop_table(self._session.server, self._target(table))
            await self._make_one(table)
            try:
                await self._attach([table])
            except ActionFailed as error:
                verdict = verdict_on(error)
                failed[table.full_name] = self._finding(verdict, str(error), table)
        return failed

    async def _attach(self, tables: Sequence[TableRecord]) -> None:
        command = commands.restore_data(
            self._backup,
            self._session.sidecar.token(),
            tables=table_patterns(table.as_table() for table in tables),
            database_mapping={table.database: self._scratch[table.database] for table in tables},
        )
        await self._session.sidecar.perform(command)

    async def _compared(self, tables: Sequence[TableRecord]) -> list[Finding]:
        targets = {table.full_name: replace(self._target(table), definition="") for table in tables}
        seen = await read_parts(
            self._session.server, [target.full_name for target in targets.values()]
        )
        findings = []
        for table in tables:
            target = targets[table.full_name]
            parts = seen.get(target.full_name, ())
            alone = self._left_alone[table.full_name]
            finding = table_finding(self._trial, table, parts, left_alone=alone)
            if finding.verdict is Verdict.PASSED:
                finding = await self._read(table, target, parts) or finding
            findings.append(finding)
        return findings

    async def _read(
        self, table: TableRecord, target: Table, parts: Sequence[Part]
    ) -> Finding | None:
        """Read all that came back; None where nothing is wrong with it."""
        await self._session.lease.check()
        try:
            damage = await find_damage(self._session.server, target, parts)
        except (ServerError, NotAllowed) as error:
            message = f"could not tell: its parts are there, and cannot be read: {error}"
            return self._finding(Verdict.UNKNOWN, message, table)
        return self._finding(Verdict.FAILED, f"damaged: {damage}", table) if damage else None

    def _target(self, table: TableRecord) -> Table:
        return Table(
            database=self._scratch[table.database],
            name=table.name,
            engine="MergeTree",
            definition=scratch_definition(table),
        )

    def _finding(self, verdict: Verdict, message: str, table: TableRecord) -> Finding:
        return self._trial.finding(VerifyLevel.RESTORE, verdict, message, table)


async def _not_downloaded(
    session: ReplicaSession, trial: Trial, backup: str, error: ActionFailed
) -> Finding:
    """Judge a download that failed: a storage that does not list the copy any more may be away."""
    verdict = Verdict.UNKNOWN
    if (await read_listing(session.server)).holds(backup, location="remote"):
        verdict = verdict_on(error)
    return trial.finding(VerifyLevel.DOWNLOAD, verdict, str(error))


def _legible(
    results: Mapping[str, Manifest | Finding | BackupError],
) -> Iterator[tuple[str, Manifest]]:
    """Keep the copies that could be read, by replica."""
    return ((name, r) for name, r in results.items() if isinstance(r, Manifest))


def _portions(tables: Sequence[TableRecord]) -> Iterator[list[TableRecord]]:
    """Split tables so that the names of each portion fit into one command."""
    portion, length = list[TableRecord](), 0
    for table in tables:
        if portion and length + len(table.full_name) > _LONGEST_NAMES:
            yield portion
            portion, length = [], 0
        portion.append(table)
        length += len(table.full_name) + 1
    if portion:
        yield portion


def _now() -> float:
    return asyncio.get_running_loop().time()
