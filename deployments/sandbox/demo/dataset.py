"""The demo's tables: a small shop of many engines and types, the same rows at every start.

The server makes the rows itself, out of their numbers; `{shard}` of `{shards}` takes its own part.
"""

from dataclasses import dataclass

DATABASES = ("shop", "audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTable:
    """`contents` selects what must come back, whether parts are merged meanwhile or not.

    Without it, only the definition must. `derived`: its rows are those of other tables.
    """

    name: str
    definition: str
    rows: tuple[str, ...] = ()
    contents: str = ""
    derived: bool = False


ORDERS = DemoTable(
    name="shop.orders",
    definition="""
        CREATE TABLE shop.orders (
            id UInt64,
            placed DateTime('UTC'),
            customer UInt32,
            country LowCardinality(String),
            status Enum8('new' = 1, 'paid' = 2, 'sent' = 3, 'returned' = 4),
            amount Decimal(12, 2),
            coupon Nullable(String),
            tags Array(LowCardinality(String)),
            attributes Map(String, String),
            details JSON(gift Bool),
            INDEX by_customer customer TYPE bloom_filter GRANULARITY 4
        ) ENGINE = MergeTree PARTITION BY toYYYYMM(placed) ORDER BY (country, id)""",
    rows=(
        """
        INSERT INTO shop.orders SELECT
            number * {shards} + {shard} AS id,
            toDateTime('2026-01-01 00:00:00', 'UTC') + intDiv(number * 15552000, 250000) AS placed,
            cityHash64(id) % 20000 AS customer,
            ['DE', 'FR', 'JP', 'BR', 'US', 'NZ'][1 + cityHash64(id, 'country') % 6] AS country,
            ['new', 'paid', 'sent', 'returned'][1 + cityHash64(id, 'status') % 4] AS status,
            toDecimal64((cityHash64(id, 'amount') % 100000) / 100, 2) AS amount,
            if(id % 5 = 0, concat('SAVE', toString(id % 50)), NULL) AS coupon,
            arrayMap(n -> concat('tag-', toString(cityHash64(id, n) % 20)), range(id % 4)) AS tags,
            map('channel', ['web', 'app', 'shop'][1 + id % 3], 'campaign', toString(id % 17)),
            concat('{{"gift":', if(id % 9 = 0, 'true', 'false'), ',"parcel":{{"kg":',
                   toString((id % 70) / 10), ',"boxes":[', toString(id % 3), ',7]}}}}') AS details
        FROM numbers(250000)""",
    ),
    contents="SELECT * FROM shop.orders",
)

CUSTOMERS = DemoTable(
    name="shop.customers",
    definition="""
        CREATE TABLE shop.customers (
            id UInt32,
            name String,
            email Nullable(String),
            points Int64,
            version UInt32
        ) ENGINE = ReplacingMergeTree(version) ORDER BY id""",
    # Two versions of every customer, in parts that may or may not be merged.
    rows=tuple(
        f"""
        INSERT INTO shop.customers SELECT
            number * {{shards}} + {{shard}} AS id,
            concat('customer ', toString(id)),
            if(id % 3 = 0, NULL, concat('c', toString(id), '@shop.example')),
            toInt64(cityHash64(id, {version}) % 1000) - 200,
            {version}
        FROM numbers(30000)"""
        for version in (1, 2)
    ),
    contents="SELECT * FROM shop.customers FINAL",
)

DAILY_SALES = DemoTable(
    name="shop.daily_sales",
    definition="""
        CREATE TABLE shop.daily_sales (
            day Date,
            country LowCardinality(String),
            revenue AggregateFunction(sum, Decimal(12, 2)),
            customers AggregateFunction(uniq, UInt32)
        ) ENGINE = AggregatingMergeTree ORDER BY (day, country)""",
    contents="""
        SELECT day, country, sumMerge(revenue) AS sold, uniqMerge(customers) AS buyers
        FROM shop.daily_sales GROUP BY day, country""",
)

DAILY_SALES_FEED = DemoTable(
    name="shop.daily_sales_feed",
    definition="""
        CREATE MATERIALIZED VIEW shop.daily_sales_feed TO shop.daily_sales AS
        SELECT toDate(placed) AS day, country,
            sumState(amount) AS revenue, uniqState(customer) AS customers
        FROM shop.orders GROUP BY day, country""",
)

COUNTRIES = DemoTable(
    name="shop.countries",
    definition="""
        CREATE TABLE shop.countries (code String, name String, taxed Float64)
        ENGINE = MergeTree ORDER BY code""",
    rows=(
        """
        INSERT INTO shop.countries VALUES ('DE', 'Germany', 0.19), ('FR', 'France', 0.2),
            ('JP', 'Japan', 0.1), ('BR', 'Brazil', 0.17), ('US', 'United States', 0.07),
            ('NZ', 'New Zealand', 0.15)""",
    ),
    contents="SELECT * FROM shop.countries",
)

COUNTRY_NAMES = DemoTable(
    name="shop.country_names",
    definition="""
        CREATE DICTIONARY shop.country_names (code String, name String)
        PRIMARY KEY code SOURCE(CLICKHOUSE(DB 'shop' TABLE 'countries'))
        LIFETIME(0) LAYOUT(COMPLEX_KEY_HASHED())""",
    contents="SELECT * FROM shop.country_names",
    derived=True,
)

REVENUE = DemoTable(
    name="shop.revenue",
    definition="""
        CREATE VIEW shop.revenue AS
        SELECT dictGet('shop.country_names', 'name', country) AS land, sumMerge(revenue) AS sold
        FROM shop.daily_sales GROUP BY land""",
    contents="SELECT * FROM shop.revenue",
    derived=True,
)

EVENTS = DemoTable(
    name="audit.events",
    definition="""
        CREATE TABLE audit.events (
            at DateTime64(3, 'UTC'),
            actor UUID,
            address IPv6,
            action LowCardinality(Nullable(String)),
            place Tuple(lat Float64, lon Float64),
            note String CODEC(ZSTD(3))
        ) ENGINE = MergeTree PARTITION BY (toDate(at), action IS NULL) ORDER BY (at, actor)
        SETTINGS allow_nullable_key = 1""",
    rows=(
        """
        INSERT INTO audit.events SELECT
            toDateTime64('2026-06-01 00:00:00.000', 3, 'UTC')
                + INTERVAL (number * {shards} + {shard}) * 1500 MILLISECOND AS at,
            reinterpretAsUUID(concat(toString(sipHash64(number % 900, {shard})), 'chops-demo')),
            toIPv6(concat('2001:db8::', hex(number % 65000))),
            ['login', 'logout', 'buy', NULL][1 + cityHash64(number) % 4],
            (toFloat64(number % 180) - 90, toFloat64(number % 360) - 180),
            repeat(hex(sipHash64(number)), number % 4)
        FROM numbers(90000)""",
    ),
    contents="SELECT * FROM audit.events",
)

# In the order in which they can be created.
TABLES = (
    DAILY_SALES,
    ORDERS,
    DAILY_SALES_FEED,
    CUSTOMERS,
    COUNTRIES,
    COUNTRY_NAMES,
    REVENUE,
    EVENTS,
)


def statements(*, shard: int, shards: int) -> list[str]:
    """Everything that one server is told, in order: what is derived comes after the rows."""
    ours = [table for table in TABLES if not table.derived]
    rows = [statement for table in ours for statement in table.rows]
    return [
        *(f"CREATE DATABASE {database}" for database in DATABASES),
        *(table.definition for table in ours),
        *(statement.format(shard=shard, shards=shards) for statement in rows),
        *(table.definition for table in TABLES if table.derived),
    ]
