"""Sums of customers by parts of their numbers: as grouping makes them, at the borders of parts, too."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pyroaring import BitMap

from hetang.audiences import history
from hetang.audiences.behaviour_sql import counted_sql
from hetang.audiences.moments import Moment, compare
from hetang.audiences.plans import Query, Ranked, plan
from hetang.audiences.rules import Behaviour, Catalogue, Deed, Period
from hetang.audiences.standing_rules import RfmCell
from hetang.audiences.sums_sql import PART
from hetang.platform import clickhouse
from tests.audiences.population import MOMENT

CUSTOMERS = [1, PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 7 * PART + 11, 2**31 - 1, *range(200, 260)]
CASES = [(op, value) for op in ("=", "<", "<=", ">", ">=") for value in (-40, 0, 1, 3, 60)] + [("between", (0, 3))]


@pytest.fixture(scope="module")
def orders(history: None) -> dict[int, list[int]]:
    rng, rows = random.Random(20260401), []
    noon = datetime.combine(MOMENT.today, datetime.min.time(), UTC) + timedelta(hours=4)
    found: dict[int, list[int]] = {number: [] for number in CUSTOMERS}
    for place in range(250):
        number, net, ago = rng.choice([0, *CUSTOMERS]), rng.randint(-30, 40), rng.choice([0, 29, 30])
        day = MOMENT.today - timedelta(days=ago)
        rows.append([number, noon - timedelta(days=ago), day, "till", f"sum{place}", "s1", "store", net, 0, 1])
        if number and ago < 30:
            found[number].append(net)
    columns = ["customer", "placed_at", "day", "source", "order_key", "store", "channel", "net", "discount", "lines"]
    clickhouse.insert("orders", columns, rows, token=f"sums-{uuid4()}")
    return found


@pytest.mark.engine
@pytest.mark.parametrize("measure", ["sum", "times"])
def test_parts_add_up_to_what_grouping_finds(orders: dict[int, list[int]], measure: str) -> None:
    event = "spent" if measure == "sum" else "bought"
    condition = Behaviour(Deed(event, when=Period(30)), "at_least", 0, measure=measure)
    compared: Counter[bool] = Counter()
    for op, value in CASES:
        values = value if isinstance(value, tuple) else (value,)
        select = counted_sql(condition, op, values, Moment(MOMENT.today, MOMENT.zone))
        parameters = tuple(sorted(select.parameters.items()))
        plain, quick = Query(select.sql, parameters), Query(select.sql, parameters, quick=select.quick)
        found = {one: set(members) for one, members in history.members([plain, quick]).items()}
        fits = {
            number
            for number, nets in orders.items()
            if compare(sum(nets) if measure == "sum" else len(nets), op, values) != select.negated
        }
        compared[bool(select.quick)] += 1
        assert found[quick] == found[plain] == fits, (op, value)
        assert found[quick] <= set(CUSTOMERS)
    assert compared[True] > compared[False]


@pytest.mark.engine
@pytest.mark.parametrize("days", [30, None])
def test_recency_frequency_and_money_of_the_living_are_theirs(orders: dict[int, list[int]], days: int | None) -> None:
    dead = {PART, 205}
    step = plan(RfmCell(("general_keep",), days=days), Catalogue(), MOMENT)
    assert isinstance(step, Ranked)
    found = history.values(step, BitMap(set(CUSTOMERS) - dead))
    rows = clickhouse.rows(
        "select customer, toUInt16(max(day)), countIf(day >= {first:Date}), sumIf(net, day >= {first:Date}) from orders"
        " where customer > 0 group by customer order by customer",
        {"first": MOMENT.today - timedelta(days=(days or 10_000) - 1)},
    )
    expected = [tuple(int(one) for one in row) for row in rows if row[0] not in dead]
    assert [tuple(map(int, row)) for row in zip(found.customers, *found.columns, strict=True)] == expected
    assert len(expected) > 40
    nobody = history.values(step, BitMap())
    assert (len(nobody.customers), [len(one) for one in nobody.columns]) == (0, [0, 0, 0])
