"""A command line as the real server takes it apart, and the masking of secrets in its row."""

from collections.abc import Iterator

MASK = "[MASKED]"

_SECRET = (
    "PASSWORD",
    "SECRET",
    "ACCESS_KEY",
    "ACCOUNT_KEY",
    "SSE_KEY",
    "SSE_CUSTOMER_KEY",
    "ENCRYPTION_KEY",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE_KEY",
    "SAS",
    "CONNECTION_STRING",
)
_OVERRIDE_FLAGS = ("--environment-override", "--env", "-environment-override", "-env")


class UnreadableLine(Exception):
    """A quote or an escape is not finished."""


def split(line: str) -> list[str]:
    """Split a shell-like line; unlike in Python's shlex, `#` in a word is no comment."""
    words: list[str] = []
    rest = iter(line)
    for first in rest:
        if first in " \t\r\n":
            continue
        if first == "#":
            _skip_comment(rest)
            continue
        words.append(_word(first, rest))
    return words


def _skip_comment(rest: Iterator[str]) -> None:
    for character in rest:
        if character == "\n":
            return


def _word(first: str, rest: Iterator[str]) -> str:
    word = _piece(first, rest)
    for character in rest:
        if character in " \t\r\n":
            break
        word += _piece(character, rest)
    return word


def _piece(character: str, rest: Iterator[str]) -> str:
    if character == "\\":
        return _escaped(rest)
    if character in "'\"":
        return _quoted(character, rest)
    return character


def _escaped(rest: Iterator[str]) -> str:
    for character in rest:
        return character
    raise UnreadableLine("EOF found after escape character")


def _quoted(quote: str, rest: Iterator[str]) -> str:
    text = ""
    for character in rest:
        if character == quote:
            return text
        text += _escaped(rest) if character == "\\" and quote == '"' else character
    raise UnreadableLine("EOF found when expecting closing quote")


def masked(line: str) -> str:
    """Hide the values of overrides whose names look secret: so the line is stored."""
    for payload in _overrides(split(line)):
        name, separator, value = payload.partition("=")
        if separator and name and value and any(word in name.upper() for word in _SECRET):
            line = line.replace(payload, f"{name}={MASK}", 1)
    return line


def _overrides(words: list[str]) -> Iterator[str]:
    for position, word in enumerate(words):
        flag, separator, value = word.partition("=")
        if flag not in _OVERRIDE_FLAGS:
            continue
        if separator:
            yield value
        elif position + 1 < len(words):
            yield words[position + 1]
