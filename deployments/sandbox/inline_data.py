"""Data that follow an INSERT in the same request.

The engine takes a blank line for their end, and so loses what a binary format has behind two
bytes of value 10 in a row. Such data go through a file.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

INSERT = re.compile(
    rb"(?P<target>\s*INSERT\s+INTO\s.+?)(?P<format>\s(?:SETTINGS\s.+?\s)?FORMAT\s+\w+)[ \t]*\r?\n?",
    re.DOTALL | re.IGNORECASE,
)
BLANK_LINE = b"\n\n"


@contextmanager
def readable(statement: bytes) -> Iterator[bytes]:
    """Give the statement in a form in which the engine reads all of its data."""
    insert = INSERT.match(statement)
    if insert is None or BLANK_LINE not in statement[insert.end() :]:
        yield statement
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(statement[insert.end() :])
        file.flush()
        yield b"%s FROM INFILE '%s'%s" % (insert["target"], file.name.encode(), insert["format"])
