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
UNKNOWN_COLUMN = 47

_NOT_ALLOWED = frozenset({164, 192, 193, 194, 291, 392, 491, 497, 516})
_UNAVAILABLE = frozenset({159, 198, 202, 209, 210, 225, 241, 242, 425, 999, NO_ANSWER})
_LOCKED = "another operation is currently running"
_QUOTED = r"(?:'(?:\\.|[^'\\])*(?:'|$)|\"(?:\\.|[^\"\\])*(?:\"|$))"
_VALUE = rf"(?:{_QUOTED}|\\*['\"]?[^&\s'\"]+)"
_WORD = "pass|passwd|password|secret|token"
_NAME = f"{_WORD}|user|username|key|keyid|credential|signature|sig"
_KEY = "(?:access|secret|clickhouse)[_-]?key"
_DATABASES = r"s3\w*|gcs|oss|cosn|azure\w*|mysql|postgresql|mongodb|redis|remote\w*"
_SECRETS = {
    # https://name:word@host
    r"//[^\s'\"?]{1,500}@": "//[hidden]@",
    # ?user=name&pass=word, CLICKHOUSE_PASSWORD=word, X-Amz-Signature=word
    rf"(?<![\w-])([\w-]{{0,60}}(?:{_NAME}))\s?=\s?{_VALUE}": r"\1=[hidden]",
    # "password": "word", x-clickhouse-key: word
    rf"(?<![\w-])([\w-]{{0,60}}(?:{_WORD}|{_KEY})\\?['\"]?)\s?:\s?{_VALUE}": r"\1: [hidden]",
    r"\b(bearer|basic) [\w.~+/=-]{8,}": r"\1 [hidden]",
    rf"\b(identified\b[^'\"]{{0,60}}){_QUOTED}": r"\1[hidden]",
    # engines and table functions that take a password among their arguments
    rf"\b({_DATABASES})\((?:{_QUOTED}|[^'\"()])*": r"\1([hidden]",
}
_HIDING = tuple((re.compile(found, re.IGNORECASE), shown) for found, shown in _SECRETS.items())
_LONGEST_TEXT = 600
_LONGEST_READ = 8000  # a secret cut in two is still hidden up to the cut


@dataclass(frozen=True, slots=True)
class Refusal:
    """The JSON body of a sidecar that refused a command."""

    operation: str
    error: str


def translated(error: Error, *, where: str) -> BackupError:
    """Our error for a driver's error at the server `where`; chain it with `from`.

    The driver's error loses its credentials too: a traceback prints what is chained.
    """
    ours = _ours(error, where)
    error.args = (redacted(str(error)),)
    return ours


def _ours(error: Error, where: str) -> BackupError:
    code = error.code
    text = redacted(str(error))
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


def redacted(text: str) -> str:
    """Make a foreign text fit for a message: one line, no credentials, cut."""
    clean = " ".join(text[:_LONGEST_READ].split())
    for pattern, shown in _HIDING:
        clean = pattern.sub(shown, clean)
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
        return ActionFailed(f"the sidecar of {where} refuses: {redacted(text)}")
    if _LOCKED in body.error:
        return ClusterBusy(f"the sidecar of {where} is at work: {redacted(body.error)}")
    return ActionFailed(f"the sidecar of {where} refuses: {redacted(body.error)}")
