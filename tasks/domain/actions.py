"""Actions: what a row of a sidecar's history says, and whom it belongs to."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.domain.names import manifest_name

# the override that carries an operation's id in every command
TOKEN = "CHOPS_OP"  # noqa: S105 - the name of an override, not a secret


class ActionStatus(StrEnum):
    """Every status that a sidecar gives."""

    IN_PROGRESS = "in progress"
    SUCCESS = "success"
    ERROR = "error"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One row of system.backup_actions."""

    command: str
    status: ActionStatus
    error: str = ""

    @property
    def running(self) -> bool:
        return self.status is ActionStatus.IN_PROGRESS

    @property
    def verb(self) -> str:
        return self.command.partition(" ")[0]

    @property
    def name(self) -> str:
        return self.command.rpartition(" ")[2]

    @property
    def resumed(self) -> bool:
        """Tell whether the sidecar began it by itself, after a restart."""
        return "--resumable=1" in self.command

    def belongs_to(self, operation_id: str) -> bool:
        return f"--env={TOKEN}={operation_id} " in self.command


def busy_with(
    history: tuple[Action, ...], *, operation_id: str, own_name: str | None = None
) -> Action | None:
    """Find what keeps a sidecar at work for somebody else; listings do not count.

    `own_name` is the backup that this operation began: after a restart the sidecar goes on
    uploading it by itself, without our token.
    """
    own = () if own_name is None else (own_name, manifest_name(own_name))
    for action in history:
        ours = action.belongs_to(operation_id) or (action.resumed and action.name in own)
        if action.running and action.verb != "list" and not ours:
            return action
    return None
