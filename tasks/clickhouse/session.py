"""A session: one replica during one operation, with its server, its sidecar and its journal."""

from tasks.clickhouse.actions import Sidecar, Timeouts
from tasks.clickhouse.client import Server
from tasks.clickhouse.journal import JournalWriter, read_own_journal, read_payload
from tasks.clickhouse.listing import read_listing
from tasks.clickhouse.submission import Lease
from tasks.domain.journal import Event, Journal


class ReplicaSession:
    """Everything that an operation does to one replica goes through here."""

    def __init__(
        self,
        server: Server,
        *,
        shard: str,
        operation: str,
        operation_id: str,
        lease: Lease,
        timeouts: Timeouts,
    ) -> None:
        self.server = server
        self.shard = shard
        self.operation_id = operation_id
        self.lease = lease
        self.sidecar = Sidecar(server, operation_id=operation_id, lease=lease, timeouts=timeouts)
        self._writer = JournalWriter(server, operation_id=operation_id, operation=operation)

    def __repr__(self) -> str:
        return f"ReplicaSession(shard {self.shard}, {self.replica})"

    @property
    def replica(self) -> str:
        return self.server.name

    @property
    def place(self) -> str:
        return f"shard {self.shard}, replica {self.replica}"

    async def holds(self, backup: str, *, location: str) -> bool:
        """Tell whether the sidecar lists a whole copy of `backup`, `local` or `remote`."""
        return (await read_listing(self.server)).holds(backup, location=location)

    async def journal(self) -> Journal:
        """Read what this operation wrote down here, earlier attempts included.

        The payloads of fingerprints and manifests are left out: `payload` reads one.
        """
        journal = await read_own_journal(self.server, operation_id=self.operation_id)
        return journal.of(self.operation_id)

    async def payload(self, event: Event, subject: str) -> str:
        """Read the newest payload of that kind that this operation wrote down here."""
        return await read_payload(
            self.server, operation_id=self.operation_id, event=event, subject=subject
        )

    async def note(self, event: Event, subject: str = "", payload: str = "") -> None:
        """Write one row into the journal. Raises LockLost: what another one may undo is no fact."""
        await self.lease.check()
        await self._writer.append(event, subject, payload)
