"""The tables of the columnar history. Derived from the fact log; dropped and rebuilt without loss.

`customer` is 0 for anonymous orders and no part of any sort key, so that a merge can rewrite it. Sorted by day, since
rules and boards ask for days; partitioned by year, so that a window rarely makes more than one part a table.
"""

from __future__ import annotations

TABLES: dict[str, str] = {
    "orders": """
        customer UInt32, placed_at DateTime64(3, 'UTC'), day Date, source LowCardinality(String), order_key String,
        store LowCardinality(String), channel LowCardinality(String), net Int64, discount Int64, lines UInt32
        """,
    "order_lines": """
        customer UInt32, placed_at DateTime64(3, 'UTC'), day Date, source LowCardinality(String), order_key String,
        store LowCardinality(String), channel LowCardinality(String), sku String, category LowCardinality(String),
        quantity Decimal(14, 3), amount Int64
        """,
    "refunds": """
        customer UInt32, refunded_at DateTime64(3, 'UTC'), day Date, source LowCardinality(String), refund_key String,
        order_key String, store LowCardinality(String), channel LowCardinality(String), amount Int64
        """,
    "visits": """
        customer UInt32, at DateTime64(3, 'UTC'), day Date, store LowCardinality(String),
        channel LowCardinality(String)
        """,
    # `person` is the number that the message was sent to; `customer` follows merges and un-merges.
    "touches": """
        customer UInt32, at DateTime64(3, 'UTC'), day Date, channel LowCardinality(String), programme Int64,
        message_class LowCardinality(String), state LowCardinality(String), person UInt32 default customer
        """,
    # Of which it is known whose they are.
    "clicks": """
        customer UInt32, at DateTime64(3, 'UTC'), day Date, channel LowCardinality(String), programme Int64,
        message_class LowCardinality(String)
        """,
    "facts": """
        customer UInt32, occurred_at DateTime64(3, 'UTC'), kind LowCardinality(String),
        source LowCardinality(String), key String
        """,
}
_ORDER = {
    "orders": "day, store",
    "order_lines": "day, category, store",
    "refunds": "day, store",
    "visits": "day, store",
    "touches": "day, channel",
    "clicks": "day, channel",
    "facts": "kind, occurred_at",
}
_YEAR = {"facts": "toYear(occurred_at)"}

PROFILE = """
create table if not exists customer_profile (
  customer UInt32, version UInt64, home_store LowCardinality(String), owner LowCardinality(String),
  first_order_at Nullable(DateTime64(3, 'UTC')), last_order_at Nullable(DateTime64(3, 'UTC')), orders UInt32,
  gmv Int64, refunded Int64, visits UInt32, last_visit_at Nullable(DateTime64(3, 'UTC')),
  favourite_store LowCardinality(String), favourite_category LowCardinality(String),
  attributes Map(String, String) default JSONExtract(attributes_json, 'Map(String, String)'), alive UInt8,
  attributes_json String ephemeral
) engine = ReplacingMergeTree(version) order by customer
settings non_replicated_deduplication_window = 10000
"""
# One row counts: the window of the log that was last begun. See `history.append`.
PLAN = """
create table if not exists history_plan (
  name String, seq UInt64, start Tuple(UInt16, UInt64, UInt64), until Tuple(UInt16, UInt64, UInt64)
) engine = ReplacingMergeTree(seq) order by name
"""


def statements() -> list[str]:
    """`create table if not exists` of every table."""
    made = [
        f"create table if not exists {name} ({columns}) engine = MergeTree"
        f" partition by {_YEAR.get(name, 'toYear(day)')} order by ({_ORDER[name]})"
        " settings non_replicated_deduplication_window = 10000"
        for name, columns in TABLES.items()
    ]
    return [*made, *ADDED, PROFILE, PLAN]


# Columns that later versions brought.
ADDED = ("alter table touches add column if not exists person UInt32 default customer",)
ALL = (*TABLES, "customer_profile", "history_plan")
ALL_OF_PEOPLE = (*TABLES, "customer_profile")
SALES = ("orders", "order_lines", "refunds")  # these stay when a person is erased, as anonymous ones
