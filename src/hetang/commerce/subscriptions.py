"""The streams that turn facts into orders, refunds and sums, and into the columnar history."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db import connection

from hetang.commerce import history as columns
from hetang.commerce import services, sums
from hetang.facts.services import Unapplied, hold
from hetang.facts.staging import WINDOW, stage
from hetang.facts.subscriptions import Subscription, Window
from hetang.platform import clock

STREAM = "commerce"
KINDS = frozenset({"order.placed", "order.refunded", "visit.recorded", "customer.merged", "customer.unmerged"})


def handle(window: Window) -> None:
    """Apply one window of facts, in the caller's transaction. Every identity in it already has its customer."""
    zone = {"zone": str(clock.zone())}
    with connection.cursor() as cursor:
        # A replay and the stream may meet: one at a time.
        cursor.execute("select pg_advisory_xact_lock(hashtext('hetang.commerce'))")
        counts = stage(window, KINDS)
        if counts["customer.merged"]:
            for statement in sums.MERGES:
                cursor.execute(statement)
        if counts["order.placed"]:
            cursor.execute(sums.ORDERS, zone)
            if cursor.fetchone()[0] < counts["order.placed"]:
                _complete_orders(zone)
            cursor.execute(sums.ORDERS_OF_REFUNDS, zone)
        if counts["order.refunded"]:
            cursor.execute(sums.REFUNDS, zone)
            if cursor.fetchone()[0] < counts["order.refunded"]:
                cursor.execute(sums.LATE_STORES_OF_REFUNDS, zone)
        if counts["visit.recorded"]:
            cursor.execute(sums.VISITS)
        if counts["customer.unmerged"]:
            cursor.execute(sums.DIVIDED.format(window=WINDOW))
            services.follow_division([number for (number,) in cursor.fetchall()], window.span and window.span[1])
    _hold(counts)


def _complete_orders(zone: dict[str, str]) -> None:
    """Orders of a replay are there already: complete what was unknown then."""
    with connection.cursor() as cursor:
        cursor.execute(sums.LATE_STORES_OF_ORDERS, zone)
        people = {number for (number,) in cursor.fetchall() if number is not None}
    if people:
        services.recompute_metrics(sorted(people))


def _hold(counts: Counter[str]) -> None:
    """Hold orders and refunds that name an unknown store or member of staff (their money already counts)."""
    if not counts["order.placed"] and not counts["order.refunded"]:
        return
    held: dict[tuple[datetime, int], Unapplied] = {}
    with connection.cursor() as cursor:
        for reason, statement in (("unknown_store", sums.UNKNOWN_STORES), ("unknown_staff", sums.UNKNOWN_STAFF)):
            cursor.execute(statement)
            for received_at, fact_id, code in cursor.fetchall():
                detail: dict[str, str | int] = {"code": code}
                held.setdefault((received_at, fact_id), Unapplied(received_at, fact_id, reason, detail))
    hold(STREAM, held.values())


# Windows of orders with ten lines each stay below a second on a busy machine.
commerce = Subscription(STREAM, handle, kinds=KINDS, after="customers", batch=3000, most=12_000)
history = Subscription(
    columns.STREAM, columns.append, after=STREAM, batch=4000, ready=columns.ready, patient=True, outside=True
)
