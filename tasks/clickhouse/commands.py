"""Commands for a sidecar, built from typed values only.

A flag after the name is ignored, a value without `=` may swallow the name, and some malformed
input ends the sidecar's process: hence one builder, `word --flag=value ... NAME`, and nothing else.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tasks.domain.actions import TOKEN, Action
from tasks.domain.errors import InvalidRequest

# without these a sidecar's own retention deletes other backups, and every node's schema restore
# would run ON CLUSTER
_OVERRIDES = {
    "RESTORE_SCHEMA_ON_CLUSTER": "",
    "BACKUPS_TO_KEEP_REMOTE": "0",
    "BACKUPS_TO_KEEP_LOCAL": "0",
    "ALLOW_EMPTY_BACKUPS": "false",
    # parts that cannot be read would be left out of a backup without a word
    "MAX_BROKEN_PART_RATIO": "0",
}
# a table that is attached as a whole drops the replica that its backup names from its path
_BY_PARTS = {"CLICKHOUSE_RESTORE_AS_ATTACH": "false"}
_TRY = "CHOPS_TRY"
_VALUE = re.compile(r"[\w.,:*?-]*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Verb(StrEnum):
    """The words that this product sends."""

    CREATE = "create"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    RESTORE = "restore"
    DELETE = "delete"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Token:
    """What makes a command recognisable in a sidecar's history: the operation, and the attempt."""

    operation_id: str
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line for one sidecar; `text` is what its history will show, word for word."""

    verb: Verb
    name: str
    text: str


def create(name: str, token: Token, *, tables: tuple[str, ...], flags: "CreateFlags") -> Command:
    """Freeze `tables` into the local copy `name`."""
    values = {"tables": ",".join(tables), "partitions": flags.partitions}
    switches = [
        switch
        for switch, wanted in (
            ("schema", flags.schema_only),
            ("rbac", flags.rbac),
            ("configs", flags.configs),
            ("named-collections", flags.named_collections),
        )
        if wanted
    ]
    return _built(Verb.CREATE, name, token, values, switches=tuple(switches))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFlags:
    """What a `create` keeps besides, or instead of, the rows of its tables."""

    partitions: tuple[str, ...] = ()
    schema_only: bool = False
    rbac: bool = False
    configs: bool = False
    named_collections: bool = False


def upload(
    name: str, token: Token, *, tables: tuple[str, ...], limit: int | None, base: str = ""
) -> Command:
    """Copy the local copy to the remote storage, without the parts that `base` holds there.

    A broken base is accepted by the sidecar, and what is built on it cannot be restored.
    `limit`: bytes per second.
    """
    throttle = {} if limit is None else {"UPLOAD_MAX_BYTES_PER_SECOND": str(limit)}
    values = {"tables": ",".join(tables)}
    if base:
        values["diff-from-remote"] = _checked_name(base)
    return _built(Verb.UPLOAD, name, token, values, overrides=throttle)


def download(
    name: str,
    token: Token,
    *,
    tables: tuple[str, ...],
    partitions: tuple[str, ...] = (),
    schema_only: bool = False,
    limit: int | None = None,
) -> Command:
    """Copy a remote backup to the local disk. `limit`: bytes per second."""
    throttle = {} if limit is None else {"DOWNLOAD_MAX_BYTES_PER_SECOND": str(limit)}
    switches = ("schema",) if schema_only else ()
    values = {"tables": ",".join(tables), "partitions": partitions}
    return _built(Verb.DOWNLOAD, name, token, values, switches=switches, overrides=throttle)


def restore_schema(name: str, token: Token, *, tables: tuple[str, ...]) -> Command:
    """Create `tables` of the local copy anew. What stands there under these names is DROPPED."""
    return _built(Verb.RESTORE, name, token, {"tables": ",".join(tables)}, switches=("schema",))


def restore_data(
    name: str,
    token: Token,
    *,
    tables: tuple[str, ...],
    partitions: tuple[str, ...] = (),
    database_mapping: Mapping[str, str] | None = None,
) -> Command:
    """Attach the rows of the local copy. Sent twice it doubles them.

    Not so with `partitions` (`database.table:id,id`), which are emptied first.
    """
    values = {"tables": ",".join(tables), "partitions": partitions}
    if database_mapping:
        pairs = (":".join(pair) for pair in sorted(database_mapping.items()))
        values["restore-database-mapping"] = ",".join(pairs)
    return _built(Verb.RESTORE, name, token, values, switches=("data",), overrides=_BY_PARTS)


def probe_overrides(name: str, token: Token) -> Command:
    """Ask harmlessly whether the sidecar obeys overrides: nothing of that name exists."""
    return _built(Verb.DOWNLOAD, name, token, {}, overrides={"REMOTE_STORAGE": "none"})


def delete(where: str, name: str) -> Command:
    """Delete a backup; the words must stand in this order, or the sidecar's process ends."""
    if where not in {"local", "remote"}:
        message = f"a backup is deleted from 'local' or 'remote', not from {where!r}"
        raise InvalidRequest(message)
    return Command(verb=Verb.DELETE, name=name, text=f"delete {where} {_checked_name(name)}")


def kill(action: Action) -> Command:
    """Stop a running command, named as its row names it: a masked value stays masked."""
    return Command(verb=Verb.KILL, name=action.name, text=f"kill {shlex.quote(action.command)}")


def _built(
    verb: Verb,
    name: str,
    token: Token,
    values: Mapping[str, Sequence[str]],
    *,
    switches: tuple[str, ...] = (),
    overrides: Mapping[str, str] | None = None,
) -> Command:
    if values.get("tables") == "":  # a sidecar would take it for every table, ours included
        message = f"{verb} {name}: a command names its tables, and there are none"
        raise InvalidRequest(message)
    told = {TOKEN: token.operation_id, _TRY: token.attempt}
    environment = {**_OVERRIDES, **(overrides or {}), **told}
    words = [verb.value]
    words += [f"--env={key}={_checked_value(value)}" for key, value in environment.items()]
    for flag, given in values.items():
        several = (given,) if isinstance(given, str) else given
        words += [f"--{flag}={_checked_value(value)}" for value in several if value]
    words += [f"--{switch}" for switch in switches]
    text = " ".join([*words, _checked_name(name)])
    return Command(verb=verb, name=name, text=text)


def _checked_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        message = f"{value!r} cannot stand in a sidecar's command"
        raise InvalidRequest(message)
    return value


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or ".." in name:
        message = f"{name!r} cannot be the name of a backup in a sidecar's command"
        raise InvalidRequest(message)
    return name
