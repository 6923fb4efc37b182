"""Whether the columnar history says the same as PostgreSQL: sums of each of 256 parts of the customers, on both sides.

Both are folded from the same facts by different streams, one in SQL of PostgreSQL, one by appending rows: a fact that
is missing or doubled anywhere shows as a part whose sums differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection

from hetang.platform import clickhouse

PARTS = 256


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of the customers (number modulo 256) whose sum differs; money in minor units."""

    what: str
    part: int
    history: int
    truth: int


def differences() -> Iterator[Difference]:
    """Every sum that differs. The streams should be at rest: what one has not applied yet differs as well.

    Four scans of the history and one of the metrics: about a second per million people. Raises `clickhouse_connect`
    errors when the store is away.
    """
    truth = _truth()
    for what, select in _HISTORY.items():
        names = what.split()
        found: dict[int, list[int]] = {}
        for part, *values in clickhouse.rows(select):
            before = found.get(int(part), [0] * len(values))
            found[int(part)] = [one + int(value) for one, value in zip(before, values, strict=True)]
        for part in range(PARTS):
            hers = found.get(part, [0] * len(names))
            for name, value in zip(names, hers, strict=True):
                if value != truth[part][name]:
                    yield Difference(f"{_TABLE[what]}.{name}", part, value, truth[part][name])


def _truth() -> dict[int, dict[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_METRICS, {"parts": PARTS})
        names = [column.name for column in cursor.description]
        rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    known = {int(row["part"]): {name: int(row[name]) for name in names if name != "part"} for row in rows}
    empty = dict.fromkeys((name for name in names if name != "part"), 0)
    return {part: known.get(part, empty) for part in range(PARTS)}


_METRICS = """
select m.customer_id %% %(parts)s as part, sum(m.orders) as orders, sum(m.gmv) as gmv, sum(m.refunded) as refunded,
  sum(m.visits) as visits, sum(m.gmv + m.refunded) as spent
from commerce_customermetric m join customers_customer c on c.number = m.customer_id
where c.merged_into_id is null and c.erased_at is null group by 1
"""
# Sums by part; the words of a key are the columns behind the part.
_HISTORY = {
    "orders gmv refunded visits": f"""
        select customer % {PARTS}, sum(orders), sum(gmv), sum(refunded), sum(visits)
        from customer_profile final where alive = 1 group by 1
        """,
    "orders spent": f"select customer % {PARTS}, count(), sum(net) from orders where customer > 0 group by 1",
    "refunded": f"select customer % {PARTS}, sum(amount) from refunds where customer > 0 group by 1",
    "visits": f"select customer % {PARTS}, count() from visits where customer > 0 group by 1",
}
_TABLE = {
    "orders gmv refunded visits": "customer_profile",
    "orders spent": "orders",
    "refunded": "refunds",
    "visits": "visits",
}
