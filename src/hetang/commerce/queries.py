"""Reads of what orders add up to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection
from django.db.models import Count, DateTimeField, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Greatest, NullIf, TruncMonth

from hetang.commerce.models import CustomerCategory, CustomerMetric, CustomerStore, Order
from hetang.commerce.rules import LEAST_PATIENCE_DAYS, NEW_DAYS

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


def slowing(now: datetime) -> QuerySet[CustomerMetric]:
    """Sums of people with a rhythm (two orders at least) who are late for it: those whose `rules.stage` is slowing."""
    gap = (F("last_order_at") - F("first_order_at")) / NullIf(F("orders") - 1, Value(0))
    twice = ExpressionWrapper(gap * 2, output_field=DurationField())
    with_rhythm = CustomerMetric.objects.filter(orders__gte=2, first_order_at__lt=now - timedelta(days=NEW_DAYS))
    patient = with_rhythm.annotate(patience=Greatest(twice, Value(timedelta(days=LEAST_PATIENCE_DAYS))))
    until = F("last_order_at") + F("patience")
    lapsed = ExpressionWrapper(until + F("patience"), output_field=DateTimeField())
    late = patient.annotate(late_from=ExpressionWrapper(until, output_field=DateTimeField()), lapsed_from=lapsed)
    return late.filter(late_from__lt=now, lapsed_from__gte=now)


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
