"""Translate what the driver raises into our errors: by numeric code and JSON body, never by text.

Texts of servers are cut and stripped of credentials before they become part of a message.
"""

import json
import re
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import Error

from tasks.domain.errors import (
    ActionFailed,
    BackupError,
    ClusterBusy,
    ClusterUnavailable,
    NotAllowed,
    ServerError,
)

REFUSED_BY_SIDECAR = 86  # RECEIVED_ERROR_FROM_REMOTE_IO_SERVER: the sidecar answered 400 or 500
NO_ANSWER = 1000  # POCO_EXCEPTION: the sidecar's connection failed
UNKNOWN_TABLE, TABLE_EXISTS, UNKNOWN_DATABASE = 60, 57, 81

_NOT_ALLOWED = frozenset({164, 192, 193, 194, 291, 392, 497, 516})
_UNAVAILABLE = frozenset({159, 198, 202, 209, 210, 225, 241, 242, 425, 999, NO_ANSWER})
_LOCKED = "another operation is currently running"
_SECRET = re.compile(
    r"(?i)\b([\w-]*(?:pass|password|secret|token|user|username|key))=[^&\s'\"]+|(//)[^/@\s]+@"
)
_LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True)
class Refusal:
    """The JSON body of a sidecar that refused a command."""

    operation: str
    error: str


def translated(error: Error, *, where: str) -> BackupError:
    """Our error for a driver's error at the server `where`; chain it with `from`."""
    code = error.code
    text = told(str(error))
    if code is None:
        return ClusterUnavailable(f"{where} does not answer: {text}")
    if code == REFUSED_BY_SIDECAR:
        return _of_refusal(str(error), where)
    if code in _NOT_ALLOWED:
        return NotAllowed(f"{where} refuses (code {code}): {text}")
    if code in _UNAVAILABLE:
        whom = f"the sidecar of {where}" if code == NO_ANSWER else where
        return ClusterUnavailable(f"{whom} does not answer (code {code}): {text}")
    return ServerError(f"{where} answers with code {code}: {text}", code=code)


def told(text: str) -> str:
    """Make a foreign text fit for a message: one line, no credentials, cut."""
    flat = " ".join(text.split())
    clean = _SECRET.sub(lambda m: f"{m[1]}=[hidden]" if m[1] else "//[hidden]@", flat)
    return clean if len(clean) <= _LONGEST_TEXT else f"{clean[:_LONGEST_TEXT]}..."


def refusal(text: str) -> Refusal | None:
    """Find the sidecar's JSON body inside a server's text; None where there is none."""
    start = text.find('{"status":')
    if start < 0:
        return None
    try:
        body, _ = json.JSONDecoder().raw_decode(text[start:])
    except ValueError:
        return None
    return Refusal(operation=str(body.get("operation", "")), error=str(body.get("error", "")))


def _of_refusal(text: str, where: str) -> BackupError:
    body = refusal(text)
    if body is None:
        return ActionFailed(f"the sidecar of {where} refuses: {told(text)}")
    if _LOCKED in body.error:
        return ClusterBusy(f"the sidecar of {where} is at work: {told(body.error)}")
    return ActionFailed(f"the sidecar of {where} refuses: {told(body.error)}")
