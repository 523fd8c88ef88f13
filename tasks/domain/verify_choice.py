"""Which backup a verification takes when it is not named: the newest recovery point, or the oldest.

Both are points that count: whole, of everything, not suspect, and of this installation.
"""

from tasks.domain.catalogue import Backup, Catalogue, State
from tasks.domain.errors import BackupNotFound
from tasks.domain.names import OLDEST

_TOLD = 10


def point_of(catalogue: Catalogue, which: str) -> tuple[str, tuple[str, ...]]:
    """Choose the point, and say why. Raises BackupNotFound where there is none.

    What nobody can tell of is passed over, and told: another one is worth a drill too.
    """
    points = [backup for backup in catalogue.backups if backup.counts]
    if not points:
        message = (
            f"there is no recovery point to verify: {len(catalogue.backups)} backups are listed, "
            "and none of them is whole, of everything, not suspect and of this installation"
        )
        raise BackupNotFound(message)
    chosen = points[0] if which == OLDEST else points[-1]
    why = f"{chosen.name} is the {which} recovery point, frozen by {_at(chosen)}"
    return chosen.name, (why, *_passed_over(catalogue, chosen, which))


def _passed_over(catalogue: Catalogue, chosen: Backup, which: str) -> tuple[str, ...]:
    beyond = (
        backup
        for backup in catalogue.backups
        if (backup.at < chosen.at if which == OLDEST else backup.at > chosen.at)
    )
    doubtful = (b for b in beyond if b.state is State.UNKNOWN or (b.listed_on and not b.manifest))
    told = [f"passed over, since nobody can tell what it is: {b.name}" for b in doubtful]
    return tuple(told[:_TOLD])


def _at(backup: Backup) -> str:
    return f"{backup.at:%Y-%m-%d %H:%M:%S} UTC"
