"""From words to a typed command, with the flag traps of the real server's parser.

Flags are moved before the names first, and a switch takes the word behind it along; the parser
then stops at the first word that is no flag, so everything behind that word is lost in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from deployments.sandbox.double.errors import CommandFailed


class Kind(Enum):
    TEXT = auto()
    LIST = auto()
    SWITCH = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    word: str
    arguments: tuple[str, ...]
    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    switches: frozenset[str]

    @property
    def name(self) -> str:
        return self.argument(0)

    @property
    def tables(self) -> str:
        return self.texts.get("tables", "")

    @property
    def partitions(self) -> tuple[str, ...]:
        return self.lists.get("partitions", ())

    @property
    def overrides(self) -> dict[str, str]:
        pairs = (item.partition("=") for item in self.lists.get("env", ()))
        return {name: value if separator else "true" for name, separator, value in pairs}

    def argument(self, position: int) -> str:
        return self.arguments[position] if position < len(self.arguments) else ""


# the first name of each line is the one by which the rest of this package asks for it
_COMMON = {
    "env environment-override": Kind.LIST,
    "config c": Kind.TEXT,
    "command-id": Kind.TEXT,
    "help h": Kind.SWITCH,
}
_SELECTION = {"tables table t": Kind.TEXT, "partitions": Kind.LIST, "skip-projections": Kind.LIST}
_ONLY = dict.fromkeys(("rbac-only", "configs-only", "named-collections-only"), Kind.SWITCH)
_RESUME = {"resume resumable": Kind.SWITCH}
_CREATE = {
    **_SELECTION,
    **_ONLY,
    **_RESUME,
    "diff-from-remote": Kind.TEXT,
    "schema s": Kind.SWITCH,
    "rbac backup-rbac do-backup-rbac": Kind.SWITCH,
    "configs backup-configs do-backup-configs": Kind.SWITCH,
    "named-collections backup-named-collections do-backup-named-collections": Kind.SWITCH,
    "skip-check-parts-columns": Kind.SWITCH,
}
_TRANSFER_ONLY = {
    "rbac-only rbac": Kind.SWITCH,
    "configs-only configs": Kind.SWITCH,
    "named-collections-only named-collections": Kind.SWITCH,
}
_DIFF_FROM = {"diff-from": Kind.TEXT}
_DELETE_SOURCE = {"delete-source delete delete-local": Kind.SWITCH}
_HARDLINK = {"hardlink-exists-files": Kind.SWITCH}
_RESTORE_REMOTE = {
    **_SELECTION,
    **_ONLY,
    **_RESUME,
    "restore-database-mapping m": Kind.LIST,
    "restore-table-mapping tm": Kind.LIST,
    "schema s": Kind.SWITCH,
    "data d": Kind.SWITCH,
    "rm drop": Kind.SWITCH,
    "ignore-dependencies i": Kind.SWITCH,
    "rbac restore-rbac do-restore-rbac": Kind.SWITCH,
    "configs restore-configs do-restore-configs": Kind.SWITCH,
    "named-collections restore-named-collections do-restore-named-collections": Kind.SWITCH,
    "restore-schema-as-attach": Kind.SWITCH,
    "skip-empty-tables": Kind.SWITCH,
    "rebind-replica-path-if-exists": Kind.SWITCH,
}
_DOWNLOAD = {
    "tables table t": Kind.TEXT,
    "partitions": Kind.LIST,
    "schema schema-only s": Kind.SWITCH,
}
_FLAGS: dict[str, dict[str, Kind]] = {
    "create": _CREATE,
    "create_remote": _CREATE | _DIFF_FROM | _DELETE_SOURCE,
    "upload": {
        **_SELECTION,
        **_TRANSFER_ONLY,
        **_RESUME,
        **_DIFF_FROM,
        **_DELETE_SOURCE,
        "diff-from-remote": Kind.TEXT,
        "schema s": Kind.SWITCH,
    },
    "download": _DOWNLOAD | _TRANSFER_ONLY | _RESUME | _HARDLINK,
    "restore": _RESTORE_REMOTE | {"replicated-copy-to-detached": Kind.SWITCH},
    "restore_remote": _RESTORE_REMOTE | _HARDLINK,
    "delete": {"force f": Kind.SWITCH},
    "list": {"format f": Kind.TEXT},
    "rebase": {},
    "rebalance": {"tables table t": Kind.TEXT, "dry-run": Kind.SWITCH},
}


def parse(words: Sequence[str]) -> Command:
    """Make a command of the words; CommandFailed where the real parser refuses a flag."""
    flags = _by_name(_FLAGS[words[0]] | _COMMON)
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    switches: set[str] = set()
    rest = list(_flags_first(flags, words[1:]))
    while rest and rest[0].startswith("-") and rest[0] not in {"-", "--"}:
        name, kind, value = _take_flag(flags, rest)
        if kind is Kind.TEXT:
            texts[name] = value
        elif kind is Kind.LIST:
            lists[name] = (*lists.get(name, ()), value)
        elif _is_true(name, value):
            switches.add(name)
    return Command(
        word=words[0],
        arguments=tuple(rest[1:] if rest[:1] == ["--"] else rest),
        texts=texts,
        lists=lists,
        switches=frozenset(switches),
    )


def _by_name(flags: Mapping[str, Kind]) -> dict[str, tuple[str, Kind]]:
    return {
        name: (names.split()[0], kind) for names, kind in flags.items() for name in names.split()
    }


def _flags_first(flags: Mapping[str, object], words: Sequence[str]) -> Iterator[str]:
    moved: list[str] = []
    left: list[str] = []
    value_may_follow = False
    for position, word in enumerate(words):
        known = _is_known_flag(flags, word)
        if value_may_follow and not known:
            moved.append(word)
            value_may_follow = False
        elif word == "--":
            left = ["--", *left, *words[position + 1 :]]
            break
        elif known:
            moved.append(word)
            value_may_follow = "=" not in word
        else:
            left.append(word)
    yield from moved
    yield from left


def _is_known_flag(flags: Mapping[str, object], word: str) -> bool:
    return word.startswith("-") and word.lstrip("-").partition("=")[0] in flags


def _take_flag(flags: Mapping[str, tuple[str, Kind]], rest: list[str]) -> tuple[str, Kind, str]:
    word = rest.pop(0)
    bare = word[2:] if word.startswith("--") else word[1:]
    given, separator, value = bare.partition("=")
    if not given or given.startswith("-"):
        raise CommandFailed(f"bad flag syntax: {word}")
    if given not in flags:
        raise CommandFailed(f"flag provided but not defined: -{given}")
    name, kind = flags[given]
    if separator:
        return name, kind, value
    if kind is Kind.SWITCH:
        return name, kind, "true"
    if not rest:
        raise CommandFailed(f"flag needs an argument: -{given}")
    return name, kind, rest.pop(0)


def _is_true(name: str, value: str) -> bool:
    if value in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if value in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    raise CommandFailed(f'invalid boolean value "{value}" for -{name}: parse error')
