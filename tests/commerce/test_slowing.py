"""Who is late for her rhythm: the query and the rule say the same of everybody."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from hetang.commerce.models import CustomerMetric
from hetang.commerce.queries import slowing
from hetang.commerce.rules import SLOWING, stage

NOW = datetime(2026, 3, 4, 2, tzinfo=UTC)


@pytest.mark.django_db
def test_the_query_finds_those_whom_the_rule_calls_slowing() -> None:
    draw = random.Random(5)
    edges = [30, 60, 120, 240]  # days at which a stage ends for one rhythm or another
    rows = []
    for number in range(1, 601):
        orders = draw.choice([0, 1, 2, 3, 5, 40])
        since = draw.choice([*edges, draw.uniform(0, 400)])
        span = draw.choice([0, 15, 30, 60, draw.uniform(0, 300)])
        last = NOW - timedelta(days=since, seconds=draw.choice([-1, 0, 1]))
        first = last - timedelta(days=span) if orders > 1 else last
        known = (first, last) if orders else (None, None)
        rows.append(CustomerMetric(customer_id=number, orders=orders, first_order_at=known[0], last_order_at=known[1]))
    CustomerMetric.objects.bulk_create(rows)
    expected = {
        row.customer_id
        for row in rows
        if row.orders >= 2 and stage(row.orders, row.first_order_at, row.last_order_at, NOW) == SLOWING
    }
    assert 60 < len(expected) < 400
    assert set(slowing(NOW).values_list("customer_id", flat=True)) == expected
