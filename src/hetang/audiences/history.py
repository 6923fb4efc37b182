"""Asking the ClickHouse history: sets for conditions, and everything it knows about one person."""

from __future__ import annotations

from typing import Any

from pyroaring import BitMap

from hetang.audiences.matching import Line, Purchase, Received, Visit
from hetang.audiences.plans import Query
from hetang.audiences.sets import deserialize_state
from hetang.platform import clickhouse, clock

# Exact borders: without it 0.1 in a text may read as a neighbour of Python's 0.1.
SETTINGS = {"precise_float_parsing": 1}


def members(query: Query, settings: dict[str, Any] | None = None) -> BitMap:
    """The customers that a query selects. Raises `clickhouse_connect` errors when the store is away."""
    state = clickhouse.client().raw_query(
        f"select groupBitmapState(toUInt32(customer)) from ({query.sql})",
        parameters={name: list(value) if isinstance(value, tuple) else value for name, value in query.parameters},
        settings={**SETTINGS, **(settings or {})},
        fmt="RowBinary",
    )
    return deserialize_state(state)


def of_person(number: int) -> dict[str, Any]:
    """The fields of `matching.Person` that the history holds, for one customer. Five point reads, milliseconds each."""
    one = {"number": number}
    return {
        **_profile(one),
        "purchases": tuple(
            Purchase((source, key), day, store, channel, int(net))
            for source, key, day, store, channel, net in clickhouse.rows(
                "select source, order_key, day, store, channel, net from orders where customer = {number:UInt32}", one
            )
        ),
        "lines": tuple(
            Line((source, key), day, store, channel, category, sku, int(amount))
            for source, key, day, store, channel, category, sku, amount in clickhouse.rows(
                "select source, order_key, day, store, channel, category, sku, amount from order_lines"
                " where customer = {number:UInt32}",
                one,
            )
        ),
        "visited": tuple(
            Visit(*row)
            for row in clickhouse.rows("select day, store, channel from visits where customer = {number:UInt32}", one)
        ),
        "received": tuple(
            Received(*row)
            for row in clickhouse.rows(
                "select day, channel from touches where customer = {number:UInt32} and state = 'sent'", one
            )
        ),
    }


def _profile(one: dict[str, Any]) -> dict[str, Any]:
    rows = clickhouse.rows(
        "select favourite_store, favourite_category, orders, gmv, refunded, visits, first_order_at, last_order_at,"
        " last_visit_at, attributes from customer_profile final where customer = {number:UInt32} and alive = 1",
        one,
    )
    if not rows:
        return {}
    store, category, orders, gmv, refunded, visits, first_order, last_order, last_visit, attributes = rows[0]
    return {
        "favourite_store": store,
        "favourite_category": category,
        "orders": int(orders),
        "gmv": int(gmv),
        "refunded": int(refunded),
        "visits": int(visits),
        "first_order": first_order and clock.local_day(first_order),
        "last_order": last_order and clock.local_day(last_order),
        "last_visit": last_visit and clock.local_day(last_visit),
        "attributes": dict(attributes),
    }
