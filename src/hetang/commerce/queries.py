"""Reads of what orders add up to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import BooleanField, Count, JSONField, Max, Min, Q, QuerySet, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import TruncMonth

from hetang.commerce.models import CustomerCategory, CustomerMetric, CustomerStore, Order, RhythmFit
from hetang.commerce.rhythm import FINE, LATE, MOST_GAPS, Base, Habit, factors
from hetang.commerce.rules import LEAST_PATIENCE_DAYS, NEW_DAYS
from hetang.platform import clock

FREQUENCY_DAYS = (30, 90, 365)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sums of one person. Money in minor units; `gmv` net of refunds; `average` is gmv / orders, half away from zero.

    `frequency` is orders in the last 30, 90 and 365 days before the asked time. Favourites are codes, "" for none.
    """

    number: int
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    orders: int = 0
    gmv: int = 0
    refunded: int = 0
    average: int | None = None
    frequency: tuple[int, int, int] = (0, 0, 0)
    visits: int = 0
    last_visit_at: datetime | None = None
    favourite_store: str = ""
    favourite_category: str = ""


def metrics_of(number: int, now: datetime) -> Metrics:
    """The sums of one person as of `now` (which bounds the frequencies). Four small queries."""
    row = CustomerMetric.objects.filter(customer=number).first()
    if row is None:
        return Metrics(number)
    return Metrics(
        number=number,
        first_order_at=row.first_order_at,
        last_order_at=row.last_order_at,
        orders=row.orders,
        gmv=row.gmv,
        refunded=row.refunded,
        average=average(row.gmv, row.orders),
        frequency=_frequency(number, now),
        visits=row.visits,
        last_visit_at=row.last_visit_at,
        favourite_store=_favourite_store(number),
        favourite_category=_favourite_category(number),
    )


def months_of(number: int, last: date, count: int = 12) -> list[tuple[date, int]]:
    """(first day, sum of the orders before refunds in minor units) of the last `count` months, that of `last` included.

    By local days of the brand. One query by an index.
    """
    firsts = [_month(last, back) for back in range(count - 1, -1, -1)]
    within = Order.objects.filter(customer=number, local_day__gte=firsts[0], local_day__lte=last)
    sums = within.annotate(month=TruncMonth("local_day")).values("month").annotate(net=Sum("net"))
    by_month = {row["month"]: int(row["net"]) for row in sums}
    return [(first, by_month.get(first, 0)) for first in firsts]


def _month(day: date, back: int) -> date:
    """The first day of the month `back` months before that of `day`."""
    month = day.year * 12 + day.month - 1 - back
    return date(month // 12, month % 12 + 1, 1)


def sums_of(numbers: Sequence[int]) -> dict[int, CustomerMetric]:
    """The stored sums of several people, for lists; people without any are left out."""
    return CustomerMetric.objects.in_bulk(list(numbers))


def habits_of(numbers: Sequence[int]) -> dict[int, Habit]:
    """On how many days each of these people bought, the first and the last; who never bought is left out. One query by
    an index, which reads all their orders."""
    days = Order.objects.filter(customer__in=list(numbers)).values("customer")
    found = days.annotate(days=Count("local_day", distinct=True), first=Min("local_day"), last=Max("local_day"))
    return {row["customer"]: Habit(row["days"], row["first"], row["last"]) for row in found}


def slowing(now: datetime) -> QuerySet[CustomerMetric]:
    """Sums of people with a rhythm (two days of purchases at least) who are late for it: those whose `rules.stage` is
    slowing. Each row knows her `rhythm`: [last day (ISO), mean of her gaps in days]. Filter by people: it reads
    the orders of everybody who has two of them and none within thirty days."""
    base, today = rhythm_base(), clock.local_day(now)
    quiet = now - timedelta(days=LEAST_PATIENCE_DAYS)
    params = {
        "late": list(factors(base.shape, base.gaps, LATE)),
        "most": MOST_GAPS,
        "fine": FINE,
        "base_days": base.days,
        "base_gaps": base.gaps,
        "shape": base.shape,
        "today": today,
        "new": NEW_DAYS,
        "least": LEAST_PATIENCE_DAYS,
    }
    known = CustomerMetric.objects.filter(orders__gte=2, first_order_at__lt=quiet, last_order_at__lt=quiet)
    is_late, their_rhythm = (_positional(sql, params) for sql in (_SLOWING, _RHYTHM))  # constants, values apart
    late = known.filter(RawSQL(*is_late, output_field=BooleanField()))  # noqa: S611
    return late.annotate(rhythm=RawSQL(*their_rhythm, output_field=JSONField()))  # noqa: S611


def _positional(sql: str, params: dict[str, Any]) -> tuple[str, list[Any]]:
    """A statement with named parameters as `RawSQL` takes it."""
    names = re.findall(r"%\((\w+)\)s", sql)
    return re.sub(r"%\(\w+\)s", "%s", sql), [params[name] for name in names]


# As `rhythm.Base.wait` and `rules.stage` say it.
_HABIT = """(
  select count(distinct o.local_day)::int as days, min(o.local_day) as first, max(o.local_day) as last
  from commerce_order o where o.customer_id = commerce_customermetric.customer_id
) h"""
_WAIT = (
    "greatest(1, ceil((%(late)s::bigint[])[least(h.days - 1, %(most)s)] * (%(base_days)s + h.last - h.first)"
    "::numeric / (%(fine)s * (%(base_gaps)s + (h.days - 1) * %(shape)s))))"
)
_RHYTHM = f"""(
  select jsonb_build_array(h.last, greatest(1, (2 * (h.last - h.first) + h.days - 1) / (2 * (h.days - 1))))
  from {_HABIT}
)"""
_SLOWING = f"""
exists (
  select from (
    select %(today)s - h.first as known, %(today)s - h.last as since,
           greatest(%(least)s, {_WAIT} - 1) as patience
    from {_HABIT} where h.days >= 2
  ) r where r.known > %(new)s and r.since > r.patience and r.since <= 2 * r.patience
)
"""


def rhythm_base() -> Base:
    """The newest rhythm of the base, or the one that stands until there is one. One small query."""
    found = RhythmFit.objects.order_by("-id").values_list("shape", "base_gaps", "base_days").first()
    return Base(*found) if found else Base()


def orders_of_identities(ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """How many orders name each of these identities as their own, and their sum before refunds, in minor units."""
    with connection.cursor() as cursor:
        cursor.execute(_ORDERS_OF_IDENTITIES, [list(ids)])
        return {identity: (orders, net) for identity, orders, net in cursor.fetchall()}


_ORDERS_OF_IDENTITIES = """
select i.id, count(*), sum(o.net)::bigint from customers_identity i
join facts_fact f on f.subject_kind = i.kind and f.subject_key = i.key and f.kind = 'order.placed'
join commerce_order o on o.source = f.source and o.key = f.key
where i.id = any(%s) group by i.id
"""


def average(gmv: int, orders: int) -> int | None:
    """Average order value in minor units, half away from zero; None without orders."""
    if orders == 0:
        return None
    half_up = (2 * abs(gmv) + orders) // (2 * orders)
    return half_up if gmv >= 0 else -half_up


def _frequency(number: int, now: datetime) -> tuple[int, int, int]:
    recent = Order.objects.filter(customer=number, placed_at__lte=now)
    counts = recent.aggregate(
        **{f"d{days}": Count("id", filter=Q(placed_at__gt=now - timedelta(days=days))) for days in FREQUENCY_DAYS}
    )
    return (counts["d30"], counts["d90"], counts["d365"])


def _favourite_store(number: int) -> str:
    rows = CustomerStore.objects.filter(customer=number).order_by("-orders", "-gmv", "store")
    return rows.values_list("store__code", flat=True).first() or ""


def _favourite_category(number: int) -> str:
    rows = CustomerCategory.objects.filter(customer=number).order_by("-lines", "-amount", "category")
    return rows.values_list("category", flat=True).first() or ""
