"""Tables of every kind that a restore must bring back, their rows, and how to ask for them."""

from tests.integration.bench import Bench

SCHEMA = """
CREATE DATABASE kinds;
CREATE DATABASE other;
CREATE FUNCTION with_tax AS (price) -> price * 1.2;
CREATE TABLE kinds.rich (
    id UInt64, day Date, kind LowCardinality(String), note Nullable(String),
    tags Array(String), counts Map(String, UInt64), doc JSON
) ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY (kind, id);
CREATE TABLE kinds.versions (id UInt64, version UInt32, name String)
    ENGINE = ReplacingMergeTree(version) ORDER BY id;
CREATE TABLE kinds.daily (
    day Date, users AggregateFunction(uniq, UInt64), orders SimpleAggregateFunction(sum, UInt64)
) ENGINE = AggregatingMergeTree ORDER BY day;
CREATE MATERIALIZED VIEW kinds.to_daily TO kinds.daily AS
    SELECT day, uniqState(id) AS users, count() AS orders FROM kinds.rich GROUP BY day;
CREATE MATERIALIZED VIEW kinds.inside ENGINE = SummingMergeTree ORDER BY kind AS
    SELECT kind, count() AS rows FROM kinds.rich GROUP BY kind;
CREATE VIEW kinds.taxed AS SELECT id, with_tax(id) AS taxed FROM kinds.rich;
CREATE TABLE kinds.front AS kinds.rich
    ENGINE = Buffer(kinds, rich, 1, 3600, 3600, 1000000, 1000000, 1000000000, 1000000000);
CREATE TABLE kinds.journal (line String) ENGINE = Log;
CREATE TABLE other.names (id UInt64, name String) ENGINE = MergeTree ORDER BY id;
CREATE DICTIONARY other.by_id (id UInt64, name String DEFAULT '') PRIMARY KEY id
    SOURCE(CLICKHOUSE(DB 'other' TABLE 'names')) LAYOUT(FLAT()) LIFETIME(0);
CREATE TABLE other.counted (at DateTime, rows UInt64) ENGINE = MergeTree ORDER BY at;
CREATE MATERIALIZED VIEW other.refreshed REFRESH EVERY 1 YEAR APPEND TO other.counted EMPTY AS
    SELECT now() AS at, count() AS rows FROM other.names
"""
ROWS = """
INSERT INTO kinds.rich SELECT
    number, toDate('2026-01-01') + number % 60, ['a', 'b', 'c'][number % 3 + 1],
    if(number % 5 = 0, NULL, toString(number)), [toString(number), 'x'], map('n', number),
    concat('{"deep": {"n": ', toString(number), '}}')::JSON
    FROM numbers(500);
INSERT INTO kinds.versions SELECT number % 50, number, toString(number) FROM numbers(100);
INSERT INTO kinds.versions SELECT number % 50, 1000 + number, 'newer' FROM numbers(50);
INSERT INTO kinds.journal VALUES ('a line that no sidecar keeps');
INSERT INTO other.names SELECT number, concat('name ', toString(number)) FROM numbers(20);
INSERT INTO other.counted VALUES ('2026-01-01 00:00:00', 7)
"""
READ_BACK = (
    "SELECT * FROM kinds.rich ORDER BY ALL",
    "SELECT * FROM kinds.versions FINAL ORDER BY ALL",
    "SELECT day, uniqMerge(users), sum(orders) FROM kinds.daily GROUP BY day ORDER BY day",
    "SELECT kind, sum(rows) FROM kinds.inside GROUP BY kind ORDER BY kind",
    "SELECT sum(taxed) FROM kinds.taxed",
    "SELECT count() FROM kinds.front",
    "SELECT dictGet('other.by_id', 'name', toUInt64(7))",
    "SELECT * FROM other.counted WHERE at < '2026-06-01'",
)
DEFINITIONS = (
    "SELECT database, name, engine, create_table_query FROM system.tables "
    "WHERE database IN ('kinds', 'other') AND name NOT LIKE '.inner%' ORDER BY ALL"
)


def statements(script: str) -> list[str]:
    return script.split(";\n")


def answers(bench: Bench) -> list[dict[str, str]]:
    """Ask every node everything."""
    asked = (*READ_BACK, DEFINITIONS)
    answered = bench.everywhere(*asked)
    return [dict(zip(asked, node, strict=True)) for node in answered]
