"""How often something may be done in an hour on pages that are open to everybody, counted for all processes."""

from __future__ import annotations

import hashlib

from django.db import connection

from hetang.platform import clock
from hetang.privacy.models import PageUse

HOUR_S = 3600


def take(what: str, who: str, most: int) -> bool:
    """Count one use within the current hour (wall clock); False, and nothing counted, at `most`.

    `who` is kept as a hash. One statement.
    """
    key = f"{what}:{hashlib.sha256(who.encode()).hexdigest()[:40]}"
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into privacy_pageuse as p (key, hour, count) values (%(key)s, %(hour)s, 1)"
            " on conflict (key, hour) do update set count = p.count + 1 where p.count < %(most)s returning count",
            {"key": key, "hour": _hour(), "most": most},
        )
        return cursor.fetchone() is not None


def forget_old() -> int:
    """Remove the counts of hours that are over; returns how many."""
    return PageUse.objects.filter(hour__lt=_hour() - 1).delete()[0]


def _hour() -> int:
    return int(clock.wall().timestamp()) // HOUR_S
