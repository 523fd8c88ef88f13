"""Which tables and parts a command means: the three pattern languages of the real server."""

import re
from collections.abc import Iterable

_SEPARATORS = str.maketrans({"/": "_", "\\": "_"})


def matches_any(pattern: str, table: str) -> bool:
    """Match as upload, download and restore do: a comma list of globs over `database.table`."""
    wanted = table.translate(_SEPARATORS)
    return any(
        _glob(glob.strip().translate(_SEPARATORS)).fullmatch(wanted)
        for glob in (pattern or "*").split(",")
    )


def _glob(glob: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*|\?|\[[^\]]*\])", glob)
    regex = "".join(_glob_piece(piece) for piece in pieces)
    return re.compile(regex, re.DOTALL)


def _glob_piece(piece: str) -> str:
    if piece == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    return piece if piece.startswith("[") and piece.endswith("]") else re.escape(piece)


def matches_for_create(pattern: str, table: str) -> bool:
    """Match as create does: the list becomes a regular expression; here `*` crosses the dot."""
    if not pattern:
        return True
    replaced = {
        ".": r"\.",
        "$": ".",
        ",": "$|^",
        "*": ".*",
        "?": ".",
        " ": "",
        "`": "",
        '"': "",
        "-": r"\-",
    }
    regex = "".join(replaced.get(character, character) for character in pattern)
    return re.search(f"^{regex}$", table) is not None


def databases_of(pattern: str) -> list[str]:
    """Take the database part of each glob of a table pattern."""
    return [glob.strip().rpartition(".")[0] or glob.strip() for glob in pattern.split(",") if glob]


def names_database(pattern: str, database: str) -> bool:
    return any(_glob(glob).fullmatch(database) for glob in databases_of(pattern))


def partition_ids(partitions: Iterable[str], table: str) -> frozenset[str]:
    """Choose the ids of this table; none means all. `db.glob:ids` is for matching tables only."""
    wanted: set[str] = set()
    for item in partitions:
        tables, colon, ids = item.rpartition(":")
        if colon and not matches_any(tables, table):
            continue
        wanted.update(one.strip() for one in ids.split(",") if one.strip())
    return frozenset() if "*" in wanted else frozenset(wanted)


def part_is_wanted(part: str, ids: frozenset[str]) -> bool:
    return not ids or part.partition("_")[0] in ids
