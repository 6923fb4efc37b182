"""Verbs on what orders add up to."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from hetang.commerce import sums


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
