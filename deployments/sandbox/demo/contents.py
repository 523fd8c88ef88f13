"""What stands in the demo's tables: rows, a hash over every row, the definition."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deployments.sandbox.cluster import Cluster
from deployments.sandbox.demo.dataset import TABLES, DemoTable
from deployments.sandbox.members import Member, Node

# RowBinary renders every type, and each value in one way only.
CONTENTS = """
    SELECT count(), hex(sum(cityHash64(formatRowNoNewline('RowBinary', *)))) FROM ({contents})"""
DEFINITION = """
    SELECT hex(cityHash64(create_table_query)) FROM system.tables
    WHERE database || '.' || name = '{name}'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One table on one shard. Without rows of its own, the digest is the definition's."""

    rows: int | None
    digest: str
    definition: str


# By table and shard; None where the table is gone.
Snapshot = Mapping[tuple[str, str], Contents | None]


def take_snapshot(cluster: Cluster) -> Snapshot:
    """Read every table on every shard, in the order of the tables, then of the shards."""
    with ThreadPoolExecutor(max_workers=len(cluster.members)) as pool:
        of_members = list(pool.map(_read_member, cluster.members))
    return {
        (table.name, member.shard): seen[table.name]
        for table in TABLES
        for member, seen in zip(cluster.members, of_members, strict=True)
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Say how each table that is not what it was differs. Nothing compared is a difference."""
    if not before:
        return ["there was nothing to compare with"]
    return [
        f"{table} on shard {shard} {_difference(contents, after.get((table, shard)))}"
        for (table, shard), contents in before.items()
        if contents is None or contents != after.get((table, shard))
    ]


def _difference(before: Contents | None, after: Contents | None) -> str:
    if before is None:
        return "was not there before the backup"
    if after is None:
        return "is gone"
    if before.rows != after.rows:
        return f"had {before.rows} rows and has {after.rows}"
    if before.digest != after.digest:
        return "has other rows than before"
    return "has another definition than before"


def _read_member(member: Member) -> dict[str, Contents | None]:
    return {table.name: _read_table(member.node, table) for table in TABLES}


def _read_table(node: Node, table: DemoTable) -> Contents | None:
    definition = node.query(DEFINITION.format(name=table.name))
    if not definition:
        return None
    if not table.contents:
        return Contents(rows=None, digest=definition, definition=definition)
    rows, digest = node.query(CONTENTS.format(contents=table.contents)).split("\t")
    return Contents(rows=int(rows), digest=digest, definition=definition)
