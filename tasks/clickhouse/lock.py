"""The exclusive lock of an installation without Kubernetes: generation tables `chops.lock_<n>`.

Generation n belongs to whoever succeeded in creating its table: the server refuses the second
CREATE with code 57. The holder stands in the table's own definition, so that holding and saying
who holds are one step. Renewals and the release are rows in it. A taker creates n+1.
The holder stops by itself when half a lease passed since its last renewal (its own monotonic
clock), or when a higher generation exists.
"""

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tasks.clickhouse.client import Server
from tasks.clickhouse.errors import TABLE_EXISTS
from tasks.domain.errors import BackupError, ClusterBusy, LockLost, ServerError
from tasks.domain.tables import RESERVED_DATABASE

_TABLE = re.compile(r"lock_(\d+)")
_RENEWALS_PER_LEASE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds, or held, a generation. `renewals` are rows so far, the last one silent since."""

    generation: int
    operation_id: str
    operation: str
    instance: str
    lease_seconds: int
    released: bool
    renewals: int
    silent_seconds: int

    @property
    def is_alive(self) -> bool:
        """Tell whether it may still act: it stops by itself half a lease after a renewal."""
        return not self.released and self.silent_seconds <= self.lease_seconds


class Lock:
    """A held generation: the lease of everything that its operation does."""

    def __init__(self, server: Server, holder: Holder) -> None:
        self._server = server
        self.holder = holder
        self._renewed = _clock()
        self._lost = False
        self._trouble: BackupError | None = None

    @property
    def remaining_seconds(self) -> float:
        """How long this holder may still act without another renewal."""
        return max(0.0, self._renewed + self.holder.lease_seconds / 2 - _clock())

    async def check(self) -> None:
        """Raise LockLost when another one may act by now."""
        if self._lost or self.remaining_seconds <= 0:
            raise self._loss() from self._trouble

    async def renew(self) -> None:
        """Write that we are alive. Raises LockLost when too late, or a higher generation exists."""
        await self.check()
        started = _clock()
        if await _highest_generation(self._server) != self.holder.generation:
            self._lost = True
            raise self._loss()
        await _write(self._server, self.holder.generation, "renewed")
        self._renewed = started

    def _loss(self) -> LockLost:
        message = (
            f"operation {self.holder.operation_id} lost the lock of its cluster "
            f"(generation {self.holder.generation}): another one may act, so it stops"
        )
        return LockLost(f"{message} ({self._trouble})" if self._trouble else message)

    async def release(self) -> None:
        await _write(self._server, self.holder.generation, "released")

    async def keep_renewing(self) -> None:
        """Renew until cancelled or lost; what fails is tried again until it is too late."""
        while True:
            await asyncio.sleep(self.holder.lease_seconds / 2 / _RENEWALS_PER_LEASE)
            try:
                await self.renew()
            except LockLost:
                return
            except BackupError as error:
                self._trouble = error


@asynccontextmanager
async def held_lock(
    server: Server, *, operation_id: str, operation: str, lease_seconds: int
) -> AsyncIterator[Lock]:
    """Hold the installation's lock. Raises ClusterBusy naming the holder, dead or alive.

    A generation that the same operation left behind is waited out for a full lease, unchanged by
    our own clock, and then taken over: its process may still be alive.
    """
    lock = await _acquire(
        server, operation_id=operation_id, operation=operation, lease_seconds=lease_seconds
    )
    renewing = asyncio.create_task(lock.keep_renewing())
    try:
        yield lock
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError, BackupError):
            await renewing
        with contextlib.suppress(BackupError):
            await lock.release()


async def demand_unheld(server: Server, *, operation_id: str) -> None:
    """Raise ClusterBusy naming the holder, dead or alive, unless it is `operation_id` itself."""
    holder = await read_holder(server)
    if holder is not None and not holder.released and holder.operation_id != operation_id:
        raise ClusterBusy(_refusal(holder))


async def read_holder(server: Server) -> Holder | None:
    """Read who holds the newest generation, or held it last; None before the first."""
    generation = await _highest_generation(server)
    return None if generation == 0 else await _read(server, generation)


async def release_by_hand(server: Server, *, operation_id: str) -> bool:
    """Release what a dead holder left, if it is still `operation_id`; False where it is not."""
    holder = await read_holder(server)
    if holder is None or holder.released or holder.operation_id != operation_id:
        return False
    await _write(server, holder.generation, "released")
    return True


async def _acquire(
    server: Server, *, operation_id: str, operation: str, lease_seconds: int
) -> Lock:
    holder = await read_holder(server)
    if holder is not None and not holder.released:
        if holder.operation_id != operation_id:
            raise ClusterBusy(_refusal(holder))
        await _wait_out(server, holder)
    generation = (holder.generation if holder else 0) + 1
    ours = Holder(
        generation=generation,
        operation_id=operation_id,
        operation=operation,
        instance=secrets.token_hex(6),
        lease_seconds=lease_seconds,
        released=False,
        renewals=0,
        silent_seconds=0,
    )
    lock = Lock(server, ours)
    try:
        await _create(server, ours)
    except ServerError as error:
        if error.code != TABLE_EXISTS:
            raise
        winner = await read_holder(server)
        message = _refusal(winner) if winner else f"{server.name}: somebody else took the lock"
        raise ClusterBusy(message) from error
    await lock.renew()
    await _forget_before(server, generation)
    return lock


async def _wait_out(server: Server, holder: Holder) -> None:
    since, seen = _clock(), holder
    while _clock() - since <= holder.lease_seconds:
        await asyncio.sleep(holder.lease_seconds / 2 / _RENEWALS_PER_LEASE)
        now = await read_holder(server)
        if now is None or now.released:
            return
        if (now.generation, now.renewals) != (seen.generation, seen.renewals):
            message = f"{_refusal(now)} It is this very operation, and its process is alive."
            raise ClusterBusy(message)


def _refusal(holder: Holder) -> str:
    if holder.is_alive:
        return (
            f"{holder.operation} operation {holder.operation_id} is at work on this cluster "
            f"(renewed {holder.silent_seconds} s ago)."
        )
    return (
        f"{holder.operation} operation {holder.operation_id} holds the lock of this cluster and "
        f"has been silent for {holder.silent_seconds} s: its process looks dead. Run it again with "
        f"operation_id={holder.operation_id} to finish it, or give it up with "
        f"`python -m flows unlock --operation-id {holder.operation_id}`."
    )


async def _highest_generation(server: Server) -> int:
    rows = await server.rows(
        "SELECT name FROM system.tables WHERE database = {database:String} AND name LIKE 'lock_%'",
        {"database": RESERVED_DATABASE},
    )
    found = (_TABLE.fullmatch(row["name"]) for row in rows)
    return max((int(match[1]) for match in found if match), default=0)


async def _create(server: Server, holder: Holder) -> None:
    told = json.dumps(
        {
            "operation_id": holder.operation_id,
            "operation": holder.operation,
            "instance": holder.instance,
            "lease_seconds": holder.lease_seconds,
        }
    )
    await server.execute(
        f"CREATE TABLE {_name(holder.generation)} (event String, holder String DEFAULT '{told}', "
        "at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY at"
    )


async def _read(server: Server, generation: int) -> Holder | None:
    place = {"database": RESERVED_DATABASE, "table": f"lock_{generation}"}
    told = await server.value(
        "SELECT default_expression AS told FROM system.columns "
        "WHERE database = {database:String} AND table = {table:String} AND name = 'holder'",
        place,
    )
    if not told:
        return None
    # a holder that died before its first renewal has been silent since it made the table
    rows = await server.rows(
        "SELECT countIf(event = 'released') > 0 AS released, count() AS renewals, "
        "toUInt32(now()) - greatest(toUInt32(max(at)), (SELECT toUInt32(metadata_modification_time)"
        " FROM system.tables WHERE database = {database:String} AND name = {table:String})) "
        f"AS silent_seconds FROM {_name(generation)}",
        place,
    )
    return Holder(
        generation=generation,
        **json.loads(str(told).strip("'")),
        released=bool(rows[0]["released"]),
        renewals=int(rows[0]["renewals"]),
        silent_seconds=int(rows[0]["silent_seconds"]),
    )


async def _write(server: Server, generation: int, event: str) -> None:
    await server.insert_row(_name(generation), {"event": event})


async def _forget_before(server: Server, generation: int) -> None:
    """Drop generations that nobody can take any more: the newest one always stays."""
    for old in range(max(1, generation - 3), generation - 1):
        await server.execute(f"DROP TABLE IF EXISTS {_name(old)}")


def _clock() -> float:
    """Read a clock that goes on while the machine sleeps: a woken holder must not act on."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _name(generation: int) -> str:
    return f"{RESERVED_DATABASE}.lock_{generation}"
