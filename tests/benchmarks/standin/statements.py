"""Every statement of the product that a stand-in knows, with the answer of a server to it.

What is answered here was compared with a real node: `test_standin`.
"""

import json
import re
import time
from typing import Any

from tasks.clickhouse import actions, journal, listing, parts, tables
from tests.benchmarks.standin.native import Columns
from tests.benchmarks.standin.shard import SUBMIT, Rows, Shard, knows
from tests.benchmarks.standin.sidecar import Refused, Unknown
from tests.benchmarks.standin.web import Request

_BULKY = frozenset({"fingerprint", "manifest"})
ADDRESS = "http://stand-in/backup/actions"
_TEXTS = ("database", "name", "engine", "uuid")
TABLES: Columns = {
    **dict.fromkeys(_TEXTS, "String"),
    "modified": "UInt32",
    "definition": "String",
    "rows": "Nullable(UInt64)",
    "size_bytes": "Nullable(UInt64)",
}
PARTS: Columns = {
    **dict.fromkeys(("database", "table", "name", "partition_id"), "String"),
    **dict.fromkeys(("rows", "bytes_on_disk"), "UInt64"),
    "hash_of_all_files": "String",
    "active": "UInt8",
}
JOURNAL: Columns = {
    "at": "UInt32",
    **dict.fromkeys(("operation_id", "operation", "event", "subject", "payload"), "String"),
}
LISTING: Columns = {
    **dict.fromkeys(("name", "location"), "String"),
    "size_bytes": "Int64",
    "created_at": "UInt32",
    **dict.fromkeys(("required", "desc"), "String"),
}
FROZEN: Columns = {
    **dict.fromkeys(("database", "table"), "String"),
    "parts": "Nullable(UInt64)",
    "names": "Array(String)",
}
ACTIONS: Columns = dict.fromkeys(("command", "status", "error"), "String")


def _list_of(text: str) -> list[str]:
    return re.findall(r"'((?:\\.|[^'\\])*)'", text)


@knows(
    "SELECT macro, substitution FROM system.macros",
    dict.fromkeys(("macro", "substitution"), "String"),
)
def _macros(shard: Shard, *_: Any) -> Rows:
    return [{"macro": name, "substitution": value} for name, value in shard.macros.items()]


@knows(tables._READ, TABLES)
def _tables(shard: Shard, *_: Any) -> Rows:
    return [table.shown() for _, table in sorted(shard.contents.tables.items())]


@knows(
    "SELECT name, engine FROM system.databases WHERE name NOT IN {system:Array(String)}",
    dict.fromkeys(("name", "engine"), "String"),
)
def _databases(shard: Shard, *_: Any) -> Rows:
    return [{"name": n, "engine": e} for n, e in sorted(shard.contents.databases.items())]


@knows(journal._READ_OWN, JOURNAL)
def _own_journal(shard: Shard, _: Any, request: Request) -> Rows:
    own = [row for row in shard.journal if row["operation_id"] == request.parameters["own"]]
    return [row | {"payload": "" if row["event"] in _BULKY else row["payload"]} for row in own]


def _demand_journal(shard: Shard) -> None:
    if "chops.operations" not in shard.contents.tables:
        raise Refused("Unknown table expression identifier 'chops.operations'", code=60)


@knows(journal._READ_KNOWN, JOURNAL)
def _known(shard: Shard, *_: Any) -> Rows:
    _demand_journal(shard)
    newest = {row["subject"]: row for row in shard.journal if row["event"] == "known"}
    return sorted(newest.values(), key=lambda row: row["sequence"], reverse=True)


@knows(journal._READ_VERIFIED, JOURNAL)
def _verified(shard: Shard, *_: Any) -> Rows:
    _demand_journal(shard)
    return [row for row in shard.journal if row["event"] == "verified"]


@knows(journal._READ_ALL, JOURNAL)
def _journal(shard: Shard, _: Any, request: Request) -> Rows:
    """Answer for a journal that is younger than thirty days: every one here is."""
    _demand_journal(shard)
    own, bulky = request.parameters["own"], request.parameters["bulky"] == "1"
    shown = []
    for row in shard.journal:
        mine = row["operation_id"] == own
        if not mine and row["event"] not in {"started", "finished"}:
            continue
        told = row["event"] in {"started", "finished"} or (
            mine and (bulky or row["event"] not in _BULKY)
        )
        shown.append(row | {"payload": row["payload"] if told else ""})
    return shown


@knows(journal._READ_PAYLOAD, {"payload": "String"})
def _payload(shard: Shard, _: Any, request: Request) -> Rows:
    asked = request.parameters
    wanted = (asked["own"], asked["event"], asked["subject"])
    found = [
        {"payload": row["payload"]}
        for row in shard.journal
        if (row["operation_id"], row["event"], row["subject"]) == wanted
    ]
    return found[-1:]


@knows("SELECT max(sequence) AS highest FROM chops.operations", {"highest": "UInt64"})
def _highest(shard: Shard, *_: Any) -> Rows:
    return [{"highest": max((row["sequence"] for row in shard.journal), default=0)}]


@knows(
    "INSERT INTO chops.operations (sequence, operation_id, operation, event, subject, payload) "
    "FORMAT JSONEachRow"
)
def _note(shard: Shard, _: Any, request: Request) -> None:
    shard.journal.append({"at": int(time.time()), **json.loads(request.data)})


@knows("CREATE DATABASE IF NOT EXISTS <database>", database=r"`?(?P<database>\w+)`?")
def _create_database(shard: Shard, found: re.Match[str], _: Request) -> None:
    shard.contents.databases.setdefault(found["database"], "Atomic")


@knows("DROP DATABASE IF EXISTS <database> SYNC", database=r"`(?P<database>\w+)`")
def _drop_database(shard: Shard, found: re.Match[str], _: Request) -> None:
    shard.contents.drop_database(found["database"])


@knows(
    "CREATE TABLE <maybe><table> <what> ENGINE = MergeTree ORDER BY <key>",
    maybe="(?P<maybe>IF NOT EXISTS )?",
    table=r"`?(?P<database>\w+)`?\.(?P<name>\w+)",
    what=r"\(.*\)",
    key=r"(at|tuple\(\)|\(sequence, at\))",
)
def _create_table(shard: Shard, found: re.Match[str], request: Request) -> None:
    name = f"{found['database']}.{found['name']}"
    if name not in shard.contents.tables:
        shard.contents.create(found["database"], found["name"], request.statement)
    elif not found["maybe"]:
        raise Refused(f"Table {name} already exists", code=57)


@knows(
    "CREATE TABLE <table> <what>",
    table=r"`(?P<database>chops_scratch_\w+)`\.`(?P<name>\w+)`",
    what=r"\(.*\) ENGINE = MergeTree PARTITION BY .*",
)
def _create_scratch_table(shard: Shard, found: re.Match[str], request: Request) -> None:
    shard.contents.create(found["database"], found["name"], request.statement)


@knows("SYSTEM STOP MERGES <table>", table=r"`chops_scratch_\w+`\.`\w+`")
def _stop_merges(*_: Any) -> None:
    """Nothing merges here anyhow."""


@knows(
    "CHECK TABLE <table> FORMAT JSONEachRow",
    table=r"`(?P<database>chops_scratch_\w+)`\.`(?P<name>\w+)`",
)
def _check(shard: Shard, found: re.Match[str], _: Request) -> Rows:
    parts = shard.contents.parts_of([f"{found['database']}.{found['name']}"])
    return [{"part_path": part["name"], "is_passed": True, "message": ""} for part in parts]


@knows(
    "DROP TABLE IF EXISTS <table> SYNC<settings>",
    table=r"`?(?P<database>\w+)`?\.`?(?P<name>[^`\s]+)`?",
    settings="( SETTINGS max_table_size_to_drop = 0, check_table_dependencies = 0)?",
)
@knows("DROP TABLE IF EXISTS <table>", table=r"(?P<database>chops)\.(?P<name>lock_\d+)")
def _drop_table(shard: Shard, found: re.Match[str], _: Request) -> None:
    shard.contents.drop(f"{found['database']}.{found['name']}")


@knows("INSERT INTO <table> (manifest) FORMAT JSONEachRow", table=r"chops\.manifest")
def _tell(shard: Shard, _: Any, request: Request) -> None:
    table = shard.contents.tables["chops.manifest"]
    table.told = json.loads(request.data)["manifest"]
    size = len(table.told)
    table.parts = [
        {
            "name": "all_1_1_0",
            "partition_id": "all",
            "rows": 1,
            "bytes_on_disk": size,
            "hash_of_all_files": "0" * 32,
            "active": 1,
        }
    ]


@knows(
    "SELECT manifest FROM <table>", {"manifest": "String"}, table=r"`(?P<database>\w+)`\.manifest"
)
def _told(shard: Shard, found: re.Match[str], _: Request) -> Rows:
    return [{"manifest": shard.contents.tables[f"{found['database']}.manifest"].told}]


@knows(
    "SELECT name FROM system.tables WHERE database = {database:String} AND name LIKE 'lock_%'",
    {"name": "String"},
)
def _locks(shard: Shard, *_: Any) -> Rows:
    tables = shard.contents.tables.values()
    return [{"name": t.name} for t in tables if t.full_name.startswith("chops.lock_")]


@knows("INSERT INTO chops.<lock> (event) FORMAT JSONEachRow", lock=r"(?P<lock>lock_\d+)")
def _renew(shard: Shard, found: re.Match[str], request: Request) -> None:
    row = {"at": time.time(), **json.loads(request.data)}
    shard.lock_rows.setdefault(found["lock"], []).append(row)


@knows(
    "SELECT default_expression AS told FROM system.columns "
    "WHERE database = {database:String} AND table = {table:String} AND name = 'holder'",
    {"told": "String"},
)
def _holder(shard: Shard, _: Any, request: Request) -> Rows:
    table = shard.contents.tables[f"chops.{request.parameters['table']}"]
    found = re.search(r"DEFAULT ('.*?'),", table.definition)
    assert found is not None
    return [{"told": found[1]}]


@knows(
    "SELECT countIf(event = 'released') > 0 AS released, count() AS sign, "
    "(SELECT toUInt32(metadata_modification_time) FROM system.tables "
    "WHERE database = {database:String} AND name = {table:String}) AS made, "
    "toUInt32(now()) - greatest(toUInt32(max(at)), made) AS silent_seconds FROM chops.<lock>",
    {
        "released": "UInt8",
        "sign": "UInt64",
        "made": "Nullable(UInt32)",
        "silent_seconds": "Nullable(Int64)",
    },
    lock=r"(?P<lock>lock_\d+)",
)
def _silence(shard: Shard, found: re.Match[str], _: Request) -> Rows:
    rows = shard.lock_rows.get(found["lock"], [])
    made = shard.contents.tables[f"chops.{found['lock']}"].modified
    return [
        {
            "released": int(any(row["event"] == "released" for row in rows)),
            "sign": len(rows),
            "made": made,
            "silent_seconds": int(time.time() - max([made, *(row["at"] for row in rows)])),
        }
    ]


@knows("SELECT toUInt32(now()) AS now", {"now": "UInt32"})
def _now(*_: Any) -> Rows:
    return [{"now": int(time.time())}]


@knows(
    SUBMIT + "(command) SELECT {cmd:String} AS command WHERE toUInt32(now()) < {not_after:UInt32}"
)
def _submit(_shard: Shard, _found: Any, request: Request) -> None:
    if time.time() >= int(request.parameters["not_after"]):
        raise Unknown("a command behind its fence")


@knows(actions._READ, ACTIONS)
def _actions(shard: Shard, *_: Any) -> Rows:
    return list(shard.sidecar.history)


@knows(listing._READ, LISTING)
def _listing(shard: Shard, *_: Any) -> Rows:
    return shard.sidecar.listing()


@knows("SELECT version FROM system.backup_version", {"version": "String"})
def _sidecar_version(*_: Any) -> Rows:
    return [{"version": "double"}]


@knows(
    "SELECT engine_full FROM system.tables WHERE database = 'system' AND name = 'backup_actions'",
    {"engine_full": "String"},
)
def _engine(*_: Any) -> Rows:
    settings = "SETTINGS input_format_skip_unknown_fields = 1"
    return [{"engine_full": f"URL('{ADDRESS}', 'JSONEachRow') {settings}"}]


@knows(parts._FROZEN, FROZEN)
def _frozen(shard: Shard, _: Any, request: Request) -> Rows:
    found = re.search(
        r"\?(local|remote)_backup=([^&]+)&list_parts=1$", request.parameters["address"]
    )
    assert found is not None
    return shard.sidecar.frozen(found[1], found[2])


@knows(parts._PARTS, PARTS)
def _parts(shard: Shard, _: Any, request: Request) -> Rows:
    return shard.contents.parts_of(_list_of(request.parameters["tables"]))
