"""What the commerce room holds about a person: orders and refunds, what they add up to, and the columnar history."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from hetang.commerce import history
from hetang.commerce.models import CustomerMetric, Order, Refund
from hetang.platform import clickhouse, environment
from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person

CHUNK = 5_000

_LEFT = """
select (select count(*) from commerce_order where customer_id = any(%(numbers)s))
     + (select count(*) from commerce_refund where customer_id = any(%(numbers)s))
     + (select count(*) from commerce_customermetric where customer_id = any(%(numbers)s))
     + (select count(*) from commerce_customerstore where customer_id = any(%(numbers)s))
     + (select count(*) from commerce_customercategory where customer_id = any(%(numbers)s))
"""
_ANONYMOUS = """
update {table} set customer_id = null
where id in (select id from {table} where customer_id = any(%(numbers)s) limit {chunk})
"""


def _count(person: Person) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, {"numbers": list(person.numbers)})
        return int(cursor.fetchone()[0])


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """Under the lock of the commerce stream, which after that finds no identity of hers any more."""
    changed = 0
    for table in ("commerce_order", "commerce_refund"):
        while rows := _locked(_ANONYMOUS.format(table=table, chunk=CHUNK), person):
            changed += rows
            checkpoint()
    for table in ("commerce_customermetric", "commerce_customerstore", "commerce_customercategory"):
        changed += _locked(f"delete from {table} where customer_id = any(%(numbers)s)", person)
    return changed


def _locked(statement: str, person: Person) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.commerce'))")
        cursor.execute(statement, {"numbers": list(person.numbers)})
        return int(cursor.rowcount)


def _tell(person: Person) -> dict[str, Any]:
    numbers = {"customer__in": list(person.numbers)}
    orders = ("key", "source", "placed_at", "channel", "store__name", "net", "discount", "lines")
    refunds = ("key", "source", "order_key", "refunded_at", "channel", "amount")
    sums = ("first_order_at", "last_order_at", "orders", "gmv", "refunded", "visits", "last_visit_at")
    return {
        "orders": list(Order.objects.filter(**numbers).order_by("placed_at", "id").values(*orders)),
        "refunds": list(Refund.objects.filter(**numbers).order_by("refunded_at", "id").values(*refunds)),
        "sums": list(CustomerMetric.objects.filter(**numbers).values(*sums)),
        "unit": "amounts are whole minor units of the brand's currency",
    }


def _history_count(person: Person) -> int:
    _reachable()
    return history.count_of_people(person.numbers)


def _history_erase(person: Person, _checkpoint: Checkpoint) -> int:
    """At once; windows that are on their way come before the fact `customer.erased`, which does it again."""
    before = _history_count(person)
    if before:
        history.forget_people(person.numbers)
    return before


def _reachable() -> None:
    if not environment.clickhouse_urls() or not clickhouse.available():
        raise NotNow("history")
    history.ensure_schema()


HOLDINGS = [
    Holding(
        "commerce",
        _("Orders, refunds and what they add up to"),
        _count,
        _erase,
        _tell,
        _("Orders and refunds stay as anonymous ones: the books must keep amount, store, day and order number."),
    ),
    Holding("history", _("The columnar history"), _history_count, _history_erase, in_engine=True),
]
