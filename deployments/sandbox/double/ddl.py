"""Statements of a backup rewritten for the place they are restored to. Pure text work."""

import re
import uuid
from collections.abc import Mapping

from deployments.sandbox.double.clickhouse import literal, quoted
from deployments.sandbox.double.errors import CommandFailed
from deployments.sandbox.double.metadata import TableName

_IDENTIFIER = r"(?:`(?:[^`\\]|\\.)+`|[^\s.`(]+)"
_HEAD = re.compile(
    rf"^(?P<verb>CREATE|ATTACH) (?P<kind>[A-Z ]+?) (?P<name>{_IDENTIFIER}\.{_IDENTIFIER})"
    r"(?P<uuid> UUID '[0-9a-f-]+')?"
)
_ANY_UUID = re.compile(r"\bUUID '[0-9a-f-]+'")
_VIEWS = ("MATERIALIZED VIEW", "WINDOW VIEW", "LIVE VIEW")
_LATE_ENGINES = re.compile(r"ENGINE = (Kafka|NATS|RabbitMQ|S3Queue|AzureQueue)")
_LAST_ENGINES = re.compile(r"ENGINE = (Dictionary|Distributed|Merge|Buffer)")


def order(query: str, *, dropping: bool) -> int:
    """Sort tables before the views over them; the other way round when they are dropped."""
    if _LAST_ENGINES.search(query):
        return 5
    if _LATE_ENGINES.search(query):
        return 4
    if query.startswith("CREATE DICTIONARY"):
        return 3
    if re.match(r"(CREATE|ATTACH) ([A-Z]+ )?VIEW", query):
        return 1 if dropping else 2
    if query.startswith("CREATE TABLE") and ".inner" in query:
        return 2 if dropping else 1
    return 0


def retarget(query: str, target: TableName, databases: Mapping[str, str]) -> str:
    """Give a table another name, and one new UUID for all that it names.

    A view with an inner table then points to itself, and is refused: so does the real server.
    """
    head = _HEAD.match(query)
    if not head:
        raise CommandFailed(f"error when try to replace the name in query: {query}")
    name = f"{quoted(target.database)}.{quoted(target.table)}"
    fresh = f"UUID '{uuid.uuid4()}'"
    rest = query[head.end() :]
    for source, mapped in databases.items():
        rest = _moved_references(rest, source, mapped)
    own = f" {fresh}" if head["uuid"] else ""
    return f"{head['verb']} {head['kind']} {name}{own}{_ANY_UUID.sub(fresh, rest)}"


def _moved_references(text: str, source: str, target: str) -> str:
    reference = rf"\b(TO|FROM|JOIN) (?:{re.escape(source)}|{re.escape(quoted(source))})\."
    text = re.sub(reference, lambda found: f"{found[1]} {quoted(target)}.", text)
    replicated = rf"(Replicated\w*MergeTree\('[^']*)/{re.escape(source)}/"
    text = re.sub(replicated, lambda found: f"{found[1]}/{target}/", text)
    distributed = rf"(Distributed\([^,]+, ?)'?{re.escape(source)}'?(,)"
    return re.sub(distributed, lambda found: f"{found[1]}{literal(target)}{found[2]}", text)


def as_restored(query: str, cluster: str) -> str:
    """Bring views back by ATTACH, so that they do not run their SELECT."""
    for kind in _VIEWS:
        if query.startswith(f"CREATE {kind}"):
            query = query.replace("CREATE", "ATTACH", 1)
    return on_cluster(query, cluster)


def on_cluster(query: str, cluster: str) -> str:
    head = _HEAD.match(query)
    if not cluster or not head:
        return query
    return f"{query[: head.end()]} ON CLUSTER {literal(cluster)}{query[head.end() :]}"


def drop(query: str, table: TableName, *, cluster: str, without_delay: bool) -> str:
    kind = "DICTIONARY" if query.startswith("CREATE DICTIONARY") else "TABLE"
    name = f"{quoted(table.database)}.{quoted(table.table)}"
    everywhere = f" ON CLUSTER {literal(cluster)}" if cluster else ""
    return f"DROP {kind} IF EXISTS {name}{everywhere}{' NO DELAY' if without_delay else ''}"


def create_database(query: str, source: str, target: str, cluster: str) -> str:
    """Turn a `SHOW CREATE DATABASE` text into one that is harmless where the database is."""
    match = re.match(rf"CREATE DATABASE {_IDENTIFIER}(?P<rest>.*)", query, re.DOTALL)
    rest = match["rest"].replace(source, target) if match and source != target else ""
    if match and source == target:
        rest = match["rest"]
    everywhere = f" ON CLUSTER {literal(cluster)}" if cluster else ""
    return f"CREATE DATABASE IF NOT EXISTS {quoted(target)}{everywhere}{rest}"


def mapping(rules: tuple[str, ...], kind: str) -> dict[str, str]:
    """Read `src:dst[,src:dst]`, given once or several times."""
    found: dict[str, str] = {}
    for rule in (one for item in rules for one in item.split(",")):
        source, colon, target = rule.partition(":")
        if not colon or ":" in target:
            title = kind.title()
            raise CommandFailed(
                f"prepareRestoreMapping {kind}: restore-{kind}-mapping {rule} should only have"
                f" src{title}:destination{title} format for each map rule"
            )
        found[source] = target
    return found
