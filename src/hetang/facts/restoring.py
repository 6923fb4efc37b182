"""After a restore: the log goes on in a new epoch."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def raise_epoch(_taken_at: datetime) -> None:
    """Transaction ids of a restored server start again, or lead to another future: facts from now on belong to a later
    epoch than every fact and cursor that was restored, so that streams skip and repeat nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update facts_epoch set epoch = 1 + greatest(epoch,"
            " (select coalesce(max(epoch), 0) from facts_subscriptioncursor),"
            " (select coalesce((select epoch from facts_fact order by epoch desc, tx desc, id desc limit 1), 0)))"
        )
