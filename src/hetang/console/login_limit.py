"""Slows down guessing: after five failures in a row for one name the next try waits, up to a quarter of an hour.

Counted per name and, more generously, per address, so that a list of names does not help either; one-time codes are
counted per user. Each try is counted before the password is looked at, in one statement that waits for the other tries
under the same key: a thousand tries at once are a thousand tries, not one. Success takes its try back.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F

from hetang.console.models import LoginFailure
from hetang.platform import clock

_FREE = {"name": 5, "address": 30, "code": 5}
_LONGEST = timedelta(minutes=15)
_FORGOTTEN = timedelta(hours=1)  # one that comes after a quiet hour counts as the first


def begin(**keys: str) -> timedelta:
    """Count a try under each key (name, address, code). Zero: go on; else how long to wait, and nothing is counted."""
    now = clock.wall()
    named = sorted((kind, _key(kind, value)) for kind, value in keys.items())
    with transaction.atomic():
        waits = [_count(kind, key, now) for kind, key in named]
        wait = max(waits, default=timedelta(0))
        if wait:
            transaction.set_rollback(True)
    return wait


def succeeded(**keys: str) -> None:
    """Forget the failures of a name or of codes; an address gets back the one try."""
    for kind, value in keys.items():
        counted = LoginFailure.objects.filter(key=_key(kind, value))
        if kind == "address":
            counted.filter(failures__gt=0).update(failures=F("failures") - 1)
        else:
            counted.delete()


def locked_until(username: str) -> datetime | None:
    """Until when a name must wait; None when it need not."""
    row = LoginFailure.objects.filter(key=_key("name", username)).first()
    if row is None:
        return None
    until = row.last_at + _pause("name", row.failures)
    return until if until > clock.wall() else None


def _count(kind: str, key: str, now: datetime) -> timedelta:
    """Lock the key's row, and count the try unless it must wait."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into console_loginfailure (key, failures, last_at) values (%s, 0, %s)"
            " on conflict (key) do update set key = excluded.key returning failures, last_at",
            [key, now],
        )
        failures, last_at = cursor.fetchone()
        if last_at <= now - _FORGOTTEN:
            failures = 0
        # Bounded: a failure noted in a future that the clock has come back from locks nobody out until then.
        wait: timedelta = min(max(last_at + _pause(kind, failures) - now, timedelta(0)), _pause(kind, failures))
        if not wait:
            cursor.execute(
                "update console_loginfailure set failures = %s, last_at = %s where key = %s", [failures + 1, now, key]
            )
    return wait


def _pause(kind: str, failures: int) -> timedelta:
    """How long to wait after so many failures in a row."""
    beyond = failures - _FREE[kind]
    if beyond < 0:
        return timedelta(0)
    return min(timedelta(seconds=30 * 2 ** min(beyond, 10)), _LONGEST)


def _key(kind: str, value: str) -> str:
    return f"{kind}:{hashlib.sha256(value.strip().lower().encode()).hexdigest()[:40]}"
