"""Actions: what a row of a sidecar's history says, and whom it belongs to."""

import shlex
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from tasks.domain.names import is_probe_of, manifest_name
from tasks.domain.versions import number_of

# the override that carries an operation's id in every command
TOKEN = "CHOPS_OP"  # noqa: S105 - the name of an override, not a secret
_KILLS_SINCE = (2, 8, 1)


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


def at_work_for(
    history: tuple[Action, ...], *, operation_id: str, names: Collection[str]
) -> tuple[Action, ...]:
    """Find what runs for an operation: by its token, by name where a token cannot be.

    A sidecar resumes by itself without the token; a delete never carries one, and a kill only that
    of what it kills. `names`: its backups; their probes are meant too.
    """
    return tuple(
        action
        for action in history
        if action.running and _is_for(action, operation_id=operation_id, names=names)
    )


def _is_for(action: Action, *, operation_id: str, names: Collection[str]) -> bool:
    if action.verb == "kill":
        target = replace(action, command=_killed(action.command))
        return target.verb != "kill" and _is_for(target, operation_id=operation_id, names=names)
    if action.belongs_to(operation_id):
        return True
    named = action.name in names or any(is_probe_of(name, action.name) for name in names)
    return named and (action.resumed or action.verb == "delete")


def _killed(command: str) -> str:
    """Read which command a kill names; what cannot be read is nobody's but its own."""
    try:
        return shlex.split(command)[-1]
    except ValueError:
        return command


def stops_what_it_kills(sidecar_version: str) -> bool:
    """Tell whether `kill` ends the work: before 2.8.1 it only changed the label of the row.

    A build from source does not know its version, and is taken for a new one.
    """
    number = number_of(sidecar_version)
    return number is None or number >= _KILLS_SINCE
