"""Asking the ClickHouse history: sets for conditions, and everything it knows about one person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pyroaring import BitMap

from hetang.audiences.people import Clicked, Line, Noted, Purchase, Received, Visit
from hetang.audiences.plans import Query, Ranked
from hetang.audiences.sets import read_states
from hetang.audiences.standings import Values, read
from hetang.commerce import attribute_columns
from hetang.platform import clickhouse, clock

# Exact borders: without it 0.1 in a text may read as a neighbour of Python's 0.1.
SETTINGS = {"precise_float_parsing": 1}
_TOGETHER = 16
_PARAMETER = re.compile(r"\{(\w+):")


def members(queries: Sequence[Query], settings: dict[str, Any] | None = None) -> dict[Query, BitMap]:
    """The customers that each query selects, in one statement for every sixteen: a request costs as much as a scan. Of
    several servers each answers for its own customers, and the sets are united.

    Raises `clickhouse_connect` errors when the store is away.
    """
    attribute_columns.ensure({one for query in queries for one in query.attributes})
    found: dict[Query, BitMap] = {}
    for first in range(0, len(queries), _TOGETHER):
        found |= _together(queries[first : first + _TOGETHER], {**SETTINGS, **(settings or {})})
    return found


def _together(queries: Sequence[Query], settings: dict[str, Any]) -> dict[Query, BitMap]:
    selects, parameters = [], {}
    for place, query in enumerate(queries):
        sql = _PARAMETER.sub(rf"{{q{place}_\1:", query.quick or query.sql)
        selects.append(f"select toUInt8({place}) as place, groupBitmapState(toUInt32(customer)) from ({sql})")
        for name, value in query.parameters:
            parameters[f"q{place}_{name}"] = _listed(value)
    sql = " union all ".join(selects)
    answers = clickhouse.on_every(lambda one: one.raw_query(sql, parameters, settings, "RowBinary"))
    states: dict[int, list[BitMap]] = {place: [] for place in range(len(queries))}
    for answer in answers:
        for place, state in read_states(answer):
            states[place].append(state)
    return {queries[place]: BitMap.union(*found) for place, found in states.items()}


def values(step: Ranked, universe: BitMap, settings: dict[str, Any] | None = None) -> Values:
    """What a ranking compares, of all living customers (`universe`): 12 or 18 bytes for each who has it come over from
    every server. Raises as `members` does."""
    attribute_columns.ensure(set(step.query.attributes))
    parameters = {name: _listed(value) for name, value in step.query.parameters}
    used = {**SETTINGS, **(settings or {})}
    answers = clickhouse.on_every(lambda one: one.raw_query(step.query.sql, parameters, used, "RowBinary"))
    return read(step.condition, answers, universe)


def _listed(value: Any) -> Any:
    """Arrays are lists to the driver, tuples something else."""
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def of_person(number: int) -> dict[str, Any]:
    """The fields of `matching.Person` that the history holds, for one customer. Seven reads of milliseconds each."""
    one = {"number": number}
    return {
        **_profile(one),
        "purchases": tuple(
            Purchase((source, key), day, store, channel, int(net), at)
            for source, key, day, store, channel, net, at in _rows(
                "source, order_key, day, store, channel, net, placed_at from orders", number
            )
        ),
        "lines": tuple(
            Line((source, key), day, store, channel, category, sku, int(amount), quantity, at)
            for source, key, day, store, channel, category, sku, amount, quantity, at in _rows(
                "source, order_key, day, store, channel, category, sku, amount, quantity, placed_at from order_lines",
                number,
            )
        ),
        "visited": tuple(Visit(*row) for row in _rows("day, store, channel, at from visits", number)),
        "received": tuple(
            Received(*row)
            for *row, state in _rows("day, channel, at, programme, message_class, state from touches", number)
            if state == "sent"
        ),
        "clicked": tuple(
            Clicked(*row) for row in _rows("day, channel, at, programme, message_class from clicks", number)
        ),
        "noted": tuple(
            Noted(kind, clock.local_day(at), at) for kind, at in _rows("kind, occurred_at from facts", number)
        ),
    }


def _rows(columns: str, number: int) -> list[tuple[Any, ...]]:
    return clickhouse.rows(f"select {columns} where customer = {{number:UInt32}}", {"number": number}, number)


def _profile(one: dict[str, Any]) -> dict[str, Any]:
    rows = clickhouse.rows(
        "select favourite_store, favourite_category, orders, gmv, refunded, visits, first_order_at, last_order_at,"
        " last_visit_at, attributes from customer_profile final where customer = {number:UInt32} and alive = 1",
        one,
        one["number"],
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
