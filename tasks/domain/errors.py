"""Every error that an operator can see, split first by what the caller should do.

BackupError
├── TransientError              trying again may help
│   ├── ClusterUnavailable      a ClickHouse server or its sidecar does not answer
│   ├── StorageUnavailable      the remote storage does not answer, or lists only a part
│   ├── ClusterBusy             another operation holds the lock, or a sidecar is at work
│   └── FateUnknown             a command was sent and its reply was lost: observe, never resend
└── PermanentError              trying again will not help
    ├── InvalidRequest          what was asked for is malformed or contradicts itself
    ├── NotAllowed              the server refuses: missing right, wrong password
    ├── PreflightFailed         the cluster is not fit for this operation
    ├── BackupNotFound          no such backup in the remote listings
    ├── BackupUnusable          incomplete, corrupt, or written by a newer version
    ├── TopologyMismatch        the backup does not fit the target cluster
    ├── TargetNotEmpty          a restore would destroy rows that nobody gave up
    ├── TargetChanged           somebody else changed a table during the restore
    ├── LockLost                this process may no longer act: another one may
    ├── ActionFailed            a sidecar reported an error for a command
    ├── ServerError             ClickHouse refused a statement for a reason not listed above
    └── OperationIncomplete     the operation ended; its outcome says what is missing
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.domain.outcomes import Outcome


class BackupError(Exception):
    """Root of everything this product raises on purpose."""


class TransientError(BackupError):
    """Trying again may help."""


class ClusterUnavailable(TransientError):
    """Look at the server or sidecar that is named, then run the operation again."""


class StorageUnavailable(TransientError):
    """Look at the object store of the sidecar that is named, then run the operation again."""


class ClusterBusy(TransientError):
    """Wait for the operation that is named, or clear it if its process is dead."""


class FateUnknown(TransientError):
    """Run the same operation again: it observes what became of the command."""


class PermanentError(BackupError):
    """Trying again will not help."""


class InvalidRequest(PermanentError):
    """Correct the parameter that is named."""


class NotAllowed(PermanentError):
    """Correct the credentials, or grant the right that is named."""


class PreflightFailed(PermanentError):
    """Mend what the findings name: nothing has been sent or destroyed."""


class BackupNotFound(PermanentError):
    """Look for the name in the listings of all shards."""


class BackupUnusable(PermanentError):
    """Choose another backup; this one cannot be restored as it is."""


class TopologyMismatch(PermanentError):
    """Choose a cluster of the layout that the backup was taken from."""


class TargetNotEmpty(PermanentError):
    """Restore elsewhere, or say `overwrite` (and `accept_loss` for what cannot be refilled)."""


class TargetChanged(PermanentError):
    """Find out who changes tables during the restore, then run it again."""


class LockLost(PermanentError):
    """Run the same operation again: it takes the lock anew and goes on where this one stopped."""


class ActionFailed(PermanentError):
    """Read the sidecar's own message in the text."""


class ServerError(PermanentError):
    """Read the server's own message in the text."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class OperationIncomplete(PermanentError):
    """Read the outcome: it lists every shard, what it holds and what to do."""

    def __init__(self, outcome: "Outcome") -> None:
        super().__init__(outcome.headline)
        self.outcome = outcome
