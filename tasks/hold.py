"""The task of a hold: one row in the journal of one replica."""

from tasks.clickhouse.client import Server
from tasks.clickhouse.journal import JournalWriter, prepare_journal
from tasks.domain.journal import Event
from tasks.domain.outcomes import Attempt
from tasks.fan_out import HEALING, step


@step(task_run_name="hold-{server.name}", **HEALING)
async def note_hold(server: Server, attempt: Attempt, *, reason: str, release: bool) -> None:
    """Write down that the installation is held, or is so no more; the last word counts."""
    await prepare_journal(server)
    writer = JournalWriter(server, operation_id=attempt.operation_id, operation=attempt.operation)
    await writer.append(Event.RELEASED if release else Event.HELD, payload=reason)
