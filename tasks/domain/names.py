"""Names that this product gives or accepts, and what a sidecar does to a bad one.

A sidecar silently removes blanks, slashes and double dots from a name, and takes a leading dash
for a flag: such names are refused here, before anything is sent.
"""

import re
from datetime import datetime

from tasks.domain.errors import InvalidRequest

_BACKUP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_OPERATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LABEL = re.compile(r"(?=.{1,128}$)[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
LATEST = "latest"  # what stands for the name of the newest backup
OLDEST = "oldest"  # and of the oldest one
_RESERVED_WORDS = frozenset({LATEST, OLDEST, "previous"})
_SAFETY_PREFIX = "pre-restore-"
EVERY_BACKUP = "*"  # what an operation on all backups writes where others name one
_ABORT_PREFIX = "abort:"  # holds a character that no other operation's id may hold
_COMPANIONS = (".manifest", ".probe")
_LONGEST_NAME = 128


def checked_backup_name(name: str) -> str:
    """Return `name`, or raise InvalidRequest saying what is wrong with it."""
    if len(name) > _LONGEST_NAME:
        message = f"backup name is {len(name)} characters long; at most {_LONGEST_NAME} are allowed"
        raise InvalidRequest(message)
    if not _BACKUP_NAME.fullmatch(name):
        message = (
            f"backup name {name!r} is not usable: letters, digits, '_' and '-', with single dots "
            "between them, not beginning with '-'"
        )
        raise InvalidRequest(message)
    if name in _RESERVED_WORDS or name.startswith(_SAFETY_PREFIX) or is_companion(name):
        message = f"backup name {name!r} is reserved: choose another one"
        raise InvalidRequest(message)
    return name


def checked_operation_id(operation_id: str) -> str:
    """Return `operation_id`, or raise InvalidRequest: it travels inside commands."""
    if not _OPERATION_ID.fullmatch(operation_id):
        message = (
            f"operation id {operation_id!r} is not usable: up to 64 letters, digits, '_' and '-', "
            "beginning with a letter or digit"
        )
        raise InvalidRequest(message)
    return operation_id


def checked_label(label: str) -> str:
    """Return `label`, the name of a schedule, or raise InvalidRequest."""
    if not _LABEL.fullmatch(label):
        message = (
            f"{label!r} cannot be the name of a schedule: up to 128 letters, digits, '_' and '-', "
            "with single dots between them, beginning with a letter or digit"
        )
        raise InvalidRequest(message)
    return label


def default_backup_name(installation: str, now: datetime) -> str:
    """Name a backup after its installation and the second in which it was asked for, in UTC."""
    return checked_backup_name(f"{installation}-{now:%Y%m%dT%H%M%SZ}")


def manifest_name(backup: str) -> str:
    return f"{backup}.manifest"


def backup_of(companion: str) -> str | None:
    """Tell whose manifest a listed name is; None for what is no manifest."""
    backup = companion.removesuffix(".manifest")
    return None if backup == companion else backup


def probe_name(backup: str, number: int) -> str:
    """Name the companion by which replica `number` shows what its remote path shares."""
    return f"{backup}.probe{number}"


def is_probe_of(backup: str, name: str) -> bool:
    return re.fullmatch(rf"{re.escape(backup)}\.probe\d+", name) is not None


def abort_id(operation_id: str) -> str:
    """Name the operation that aborts another one: a lock that it holds tells of both."""
    return f"{_ABORT_PREFIX}{operation_id}"


def aborted_id(operation_id: str) -> str:
    """Tell which operation an abort, interrupted itself, was to abort; else the id as it is."""
    return operation_id.removeprefix(_ABORT_PREFIX)


def safety_name(operation_id: str) -> str:
    """Name the local copy that an overwriting restore takes before it drops anything."""
    return f"{_SAFETY_PREFIX}{operation_id}"


def undone_by(backup: str) -> str | None:
    """Tell which restore is undone by restoring `backup`; None for what is no safety copy."""
    operation_id = backup.removeprefix(_SAFETY_PREFIX)
    return None if operation_id == backup else operation_id


def checked_source_name(name: str) -> str:
    """Return the name of a backup or of a safety copy, or raise InvalidRequest."""
    undone = undone_by(name)
    if undone is None:
        return checked_backup_name(name)
    checked_operation_id(undone)
    return name


def is_companion(name: str) -> bool:
    """Tell whether a listed name is not a backup of its own, but belongs to another one."""
    return any(re.search(rf"{re.escape(suffix)}\d*$", name) for suffix in _COMPANIONS)
