"""What the product and its driver say to a modern server, said as ClickHouse 18.16 understands it.

Pure text work. Parameters become literals, system tables get the columns they lack, and words go
that the old parser does not know. What 18.16 cannot know stays empty: no uuid, no SQL functions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_PARAMETER = re.compile(r"(?P<among>\bIN\s+)?\{(?P<name>\w+):(?P<type>\w+(?:\([\w, ()]*\))?)\}")
_BARE_QUOTE = re.compile(r"(\\.)|'", re.DOTALL)
_READ = re.compile(r"\b(FROM|JOIN)\s+system\.(\w+)\b")
_DROP = re.compile(r"(DROP\s.+?)\s+SYNC\b(\s+SETTINGS\b.*)?", re.DOTALL)
_TEXT = r"'((?:\\.|[^'\\])*)'"
_URL = re.compile(rf"\burl\({_TEXT}, {_TEXT}, {_TEXT}\)")
_TUPLES = re.compile(r"(\w+) Array\(Tuple\(([\w ,]+)\)\)")
# of a part that came after the hashes were taken: equal to none of them
_UNKNOWN_HASH = "'unknown'"

_NIL = "toUUID('00000000-0000-0000-0000-000000000000')"
_COUNTED = (
    "SELECT database, table AS name, sum(rows) AS counted, sum(bytes_on_disk) AS weighed "
    "FROM system.parts WHERE active GROUP BY database, table"
)
_TABLE_COLUMNS = (
    "database, name, engine, is_temporary, data_path, metadata_path, metadata_modification_time, "
    "create_table_query, engine_full, partition_key, sorting_key, primary_key"
)
_OF_MERGE_TREE = "if(engine LIKE '%MergeTree', toNullable({column}), NULL)"
_TABLES = (
    f"SELECT {_TABLE_COLUMNS}, {_NIL} AS uuid, [data_path] AS data_paths, "
    f"{_OF_MERGE_TREE.format(column='counted')} AS total_rows, "
    f"{_OF_MERGE_TREE.format(column='weighed')} AS total_bytes "
    f"FROM system.tables ANY LEFT JOIN ({_COUNTED}) USING (database, name)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What no statement of the old server tells: its disk, and hashes of parts by their paths.

    `relay` is an address that fetches another one for the server, in a form that it can read.
    """

    disk_path: str
    free_bytes: int
    total_bytes: int
    relay: str
    hashes: Mapping[str, str] = field(default_factory=dict)


def reads_parts(sql: str) -> bool:
    return any(table == "parts" for _, table in _READ.findall(sql))


def translated(sql: str, parameters: Mapping[str, str], facts: Facts) -> str:
    bound = _PARAMETER.sub(lambda found: _bound(found, parameters), sql)
    shaped = _READ.sub(lambda found: _shaped(found, facts), bound)
    short = _DROP.sub(r"\1", shaped) if shaped.startswith("DROP") else shaped
    return _URL.sub(lambda found: _relayed(found, facts.relay), short)


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _bound(found: re.Match[str], parameters: Mapping[str, str]) -> str:
    if found["name"] not in parameters:
        return found[0]
    text = parameters[found["name"]]
    if found["type"] == "String":
        return f"'{_BARE_QUOTE.sub(_escaped, text)}'"
    if not found["among"]:
        return text
    # no array may stand behind IN, and no list may be empty
    among = f"({text[1:-1]})" if text != "[]" else "(SELECT '' FROM system.one WHERE 0)"
    return f"{found['among']}{among}"


def _escaped(found: re.Match[str]) -> str:
    """Finish what the driver escaped as a TSV field, in which a quote may stand as it is."""
    return found[1] or "\\'"


def _relayed(found: re.Match[str], relay: str) -> str:
    """Read through the relay, which sends tuples of strings as arrays, and make tuples of those.

    The old server reads no objects below a row, and no shape with a type that holds a blank.
    """
    address, form, shape = found.groups()
    tuples = {name: fields.count(",") + 1 for name, fields in _TUPLES.findall(shape)}
    plain = _TUPLES.sub(r"\1 Array(Array(String))", shape)
    columns = [_remade(column.split()[0], tuples) for column in plain.split(",")]
    source = f"url('{relay}?of={quote(address, safe='')}', '{form}', '{plain}')"
    return f"(SELECT {', '.join(columns)} FROM {source})"


def _remade(column: str, tuples: Mapping[str, int]) -> str:
    if column not in tuples:
        return column
    fields = ", ".join(f"field[{number + 1}]" for number in range(tuples[column]))
    return f"arrayMap(field -> ({fields}), {column}) AS {column}"


def _shaped(found: re.Match[str], facts: Facts) -> str:
    word, table = found.groups()
    selects = {
        "tables": _TABLES,
        "settings": "SELECT *, 0 AS readonly FROM system.settings",
        "functions": "SELECT *, 'System' AS origin, '' AS create_query FROM system.functions",
        "disks": (
            f"SELECT 'default' AS name, {literal(facts.disk_path)} AS path, 'local' AS type, "
            f"toUInt64({facts.free_bytes}) AS free_space, "
            f"toUInt64({facts.total_bytes}) AS total_space"
        ),
        "parts": (
            f"SELECT *, 'default' AS disk_name, {_hash(facts.hashes)} AS hash_of_all_files "
            "FROM system.parts"
        ),
    }
    return f"{word} ({selects[table]})" if table in selects else found[0]


def _hash(hashes: Mapping[str, str]) -> str:
    if not hashes:
        return _UNKNOWN_HASH
    paths, known = (", ".join(map(literal, side)) for side in (hashes, hashes.values()))
    return f"transform(path, [{paths}], [{known}], {_UNKNOWN_HASH})"
