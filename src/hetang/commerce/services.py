"""Verbs on what orders add up to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from hetang.commerce import sums
from hetang.facts.subscriptions import Position


@transaction.atomic
def recompute_metrics(numbers: Sequence[int]) -> None:
    """Rebuild the sums of these people from their orders, refunds and the lines in their orders' facts.

    Visits stay as they are. At most a few thousand people a call: it is one transaction (about 1 ms a person).
    """
    params = {"numbers": list(numbers)}
    with connection.cursor() as cursor:
        for statement in (
            *sums.CLEAR_PARTS,
            *(sums.REBUILD_METRICS, sums.REBUILD_STORES, sums.REBUILD_CATEGORIES),
        ):
            cursor.execute(statement, params)


def follow_division(numbers: Sequence[int], until: Position | None) -> None:
    """Give people who were divided their own orders, refunds and visits, and rebuild their sums, in one transaction.

    `until` is how far the stream has come in the log (None: to its end). About 2 ms for a hundred orders.
    """
    with connection.cursor() as cursor:
        concerned = set(numbers)
        for statement in (sums.ORDERS_FOLLOW, sums.REFUNDS_FOLLOW):
            cursor.execute(statement, {"numbers": sorted(concerned)})
            concerned |= {number for (number,) in cursor.fetchall() if number is not None}
        params: dict[str, Any] = {"numbers": sorted(concerned)}
        cursor.execute(sums.CLEAR_METRICS, params)
        cursor.execute(sums.EMPTY_METRICS, params)
    recompute_metrics(sorted(concerned))
    with connection.cursor() as cursor:
        if until is not None:
            params |= {"epoch": until[0], "tx": str(until[1]), "id": until[2]}
        cursor.execute(sums.REBUILD_VISITS.format(passed=sums.PASSED if until else "true"), params)
        cursor.execute(sums.DROP_EMPTY_METRICS, params)
