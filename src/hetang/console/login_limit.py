"""Slows down guessing: after five failures in a row for one name the next try waits, up to a quarter of an hour.

Counted per name and, more generously, per address, so that a list of names does not help either. The counts are in
the database: every web process sees them.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.db import connection

from hetang.console.models import LoginFailure
from hetang.platform import clock

_FREE = {"name": 5, "address": 30}
_LONGEST = timedelta(minutes=15)


def wait_for(username: str, address: str) -> timedelta:
    """How long this name at this address must wait before its next try (zero: not at all)."""
    rows = LoginFailure.objects.filter(key__in=_keys(username, address))
    return max((_wait(row) for row in rows), default=timedelta(0))


def failed(username: str, address: str) -> None:
    """Count a failure. One that came after a quiet hour starts again at one."""
    now = clock.now()
    with connection.cursor() as cursor:
        for key in sorted(_keys(username, address)):
            cursor.execute(
                "insert into console_loginfailure as f (key, failures, last_at) values (%s, 1, %s)"
                " on conflict (key) do update set last_at = excluded.last_at,"
                " failures = case when f.last_at < %s then 1 else f.failures + 1 end",
                [key, now, now - timedelta(hours=1)],
            )


def succeeded(username: str) -> None:
    """Forget the failures of a name."""
    LoginFailure.objects.filter(key=_key("name", username)).delete()


def _wait(row: LoginFailure) -> timedelta:
    kind = row.key.partition(":")[0]
    beyond = row.failures - _FREE[kind]
    if beyond < 0:
        return timedelta(0)
    pause = min(timedelta(seconds=30 * 2 ** min(beyond, 10)), _LONGEST)
    return max(row.last_at + pause - clock.now(), timedelta(0))


def _keys(username: str, address: str) -> list[str]:
    return [_key("name", username), _key("address", address)]


def _key(kind: str, value: str) -> str:
    return f"{kind}:{hashlib.sha256(value.strip().lower().encode()).hexdigest()[:40]}"
