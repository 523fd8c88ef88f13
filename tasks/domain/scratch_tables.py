"""Definitions of tables rewritten for a drill: the same columns, in a plain table of its own.

A copy of a Replicated table would join the live one in the coordination service: it becomes the
engine of the same name that does not replicate, which takes the same parts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tasks.domain.errors import BackupUnusable
from tasks.domain.journal import Event, Journal, Step
from tasks.domain.manifest import TableRecord
from tasks.domain.tables import is_scratch_database

_TOKEN = re.compile(
    r"'(?:\\.|''|[^'\\])*'|`(?:\\.|``|[^`\\])*`|\"(?:\\.|\"\"|[^\"\\])*\"|\w+|\s+|.", re.DOTALL
)
_REPLICATED = "Replicated"
_KEEPER_ARGUMENTS = 2  # the path, and the name of the replica


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    depth: int  # how many parentheses are open around it; of a parenthesis itself, around both


def scratch_definition(record: TableRecord) -> str:
    """Render what follows the name in a CREATE TABLE: columns, engine and all that belongs to it.

    Raises BackupUnusable where the backup's definition cannot be read.
    """
    tokens = list(_tokens(record.definition))
    columns = next((i for i, token in enumerate(tokens) if token.text == "("), None)
    engine = None if columns is None else _engine(tokens, after=columns)
    if columns is None or engine is None:
        message = f"the definition of {record.full_name} names no columns or no engine"
        raise BackupUnusable(message)
    arguments = _arguments(tokens, engine)
    rest = tokens[engine + 1 + len(arguments) :]
    name = tokens[engine].text
    kept = _plain(name, arguments)
    head = _text(tokens[columns:engine])
    return f"{head}{name.removeprefix(_REPLICATED)}{kept}{_text(rest)}"


def _tokens(text: str) -> Iterator[_Token]:
    depth = 0
    for found in _TOKEN.finditer(text):
        word = found[0]
        depth -= word == ")"
        yield _Token(word, depth)
        depth += word == "("


def _engine(tokens: Sequence[_Token], *, after: int) -> int | None:
    """Find the name of the table's engine; columns and comments may hold the same words."""
    words = [i for i in range(after, len(tokens)) if not tokens[i].text.isspace()]
    for first, second, third in zip(words, words[1:], words[2:], strict=False):
        if tokens[first] == _Token("ENGINE", 0) and tokens[second] == _Token("=", 0):
            return third
    return None


def _arguments(tokens: Sequence[_Token], engine: int) -> list[_Token]:
    """Give what stands in parentheses right behind the engine, with them; empty where none do."""
    behind = tokens[engine + 1 :]
    if not behind or behind[0].text != "(":
        return []
    end = next(i for i, token in enumerate(behind) if token == _Token(")", 0))
    return list(behind[: end + 1])


def _plain(engine: str, arguments: Sequence[_Token]) -> str:
    """Leave out what tells a replicated engine its place in the coordination service."""
    if not engine.startswith(_REPLICATED) or not arguments:
        return _text(arguments)
    split = [0, *(i for i, token in enumerate(arguments) if token == _Token(",", 1))]
    split.append(len(arguments) - 1)
    each = [_text(arguments[a + 1 : b]).strip() for a, b in pairwise(split)]
    placed = len(each) >= _KEEPER_ARGUMENTS and all(
        argument.startswith("'") for argument in each[:_KEEPER_ARGUMENTS]
    )
    return f"({', '.join(each[_KEEPER_ARGUMENTS:] if placed else each)})"


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(token.text for token in tokens)


def drilled_databases(journal: Journal) -> frozenset[str]:
    """Name the databases that drills of this journal made, or were about to make."""
    noted = (
        entry.document()
        for entry in journal.entries
        if (entry.event, entry.subject) == (Event.INTENT, Step.DRILL)
    )
    names = {name for databases in noted for name in databases}
    return frozenset(name for name in names if is_scratch_database(name))
