"""Who is late for her rhythm: the query and the rule say the same of everybody."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from hetang.commerce.models import CustomerMetric, Order, RhythmFit
from hetang.commerce.queries import habits_of, rhythm_base, slowing
from hetang.commerce.rhythm import Base, habit
from hetang.commerce.rules import SLOWING, stage

NOW = datetime(2026, 3, 4, 2, tzinfo=UTC)
TODAY = date(2026, 3, 4)


@pytest.mark.django_db
def test_the_query_finds_those_whom_the_rule_calls_slowing() -> None:
    draw = random.Random(5)
    RhythmFit.objects.create(
        computed_at=NOW, customers=9, gaps=9, shape=1789, base_gaps=873, base_days=31, leave=0.1, stay=1.0
    )
    base = rhythm_base()
    assert base == Base(1789, 873, 31)
    bought: dict[int, list[date]] = {}
    for number in range(1, 301):
        days, span = draw.choice([1, 2, 3, 5, 60]), draw.choice([0, 15, 60, draw.randrange(300)])
        since = draw.choice([30, 31, 60, draw.randrange(400)])
        if days > 1:  # at the edges of stages
            patience = max(30, base.wait(90, days - 1, max(span, 1)) - 1)
            since = draw.choice([since, patience, patience + 1, 2 * patience, 2 * patience + 1])
        last = TODAY - timedelta(days=since)
        between = [last - timedelta(days=draw.randrange(span + 1)) for _ in range(max(days - 2, 0))]
        bought[number] = [last, *([last - timedelta(days=max(span, 1))] if days > 1 else []), *between, last]
    for number, days_of in bought.items():
        times = [datetime(day.year, day.month, day.day, 4, tzinfo=UTC) for day in days_of]
        CustomerMetric.objects.create(
            customer_id=number, orders=len(times), first_order_at=min(times), last_order_at=max(times)
        )
        Order.objects.bulk_create(
            Order(source="t", key=f"{number}-{n}", customer_id=number, placed_at=at, local_day=day, net=1, lines=1)
            for n, (at, day) in enumerate(zip(times, days_of, strict=True))
        )
    habits = {number: habit(days_of) for number, days_of in bought.items()}
    assert habits_of(list(bought)) == habits
    expected = {number for number, one in habits.items() if one and stage(one, base, TODAY) == SLOWING and one.gaps}
    assert 40 < len(expected) < 200
    found = slowing(NOW)
    assert {row.customer_id for row in found} == expected
    for row in found:
        one = habits[row.customer_id]
        assert one and row.rhythm == [one.last.isoformat(), one.usual]  # type: ignore[attr-defined]
