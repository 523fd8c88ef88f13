"""Actions: what a row of a sidecar's history says, and whom it belongs to."""

from dataclasses import dataclass
from enum import StrEnum

# the override that carries an operation's id in every command
TOKEN = "CHOPS_OP"  # noqa: S105 - the name of an override, not a secret


class Status(StrEnum):
    """Every status that a sidecar gives."""

    IN_PROGRESS = "in progress"
    SUCCESS = "success"
    ERROR = "error"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row of system.backup_actions."""

    command: str
    status: Status
    error: str = ""

    @property
    def running(self) -> bool:
        return self.status is Status.IN_PROGRESS

    @property
    def verb(self) -> str:
        return self.command.partition(" ")[0]

    @property
    def name(self) -> str:
        return self.command.rpartition(" ")[2]

    def belongs_to(self, operation_id: str) -> bool:
        return f"--env={TOKEN}={operation_id} " in self.command


def busy_with(history: tuple[Action, ...], *, operation_id: str) -> Action | None:
    """Find what keeps a sidecar at work for somebody else; listings do not count."""
    for action in history:
        if action.running and action.verb != "list" and not action.belongs_to(operation_id):
            return action
    return None
