"""Slows down guessing: after five failures in a row for one name the next try waits, up to a quarter of an hour.

Counted per name and, more generously, per address, so that a list of names does not help either; one-time codes are
counted per user. Each try is counted before the password is looked at, in one statement that waits for the other tries
under the same key: a thousand tries at once are a thousand tries, not one. Success takes its try back.

A browser in which the name has logged in before is counted by itself (`keys_of`): whoever keeps guessing at somebody's
name elsewhere, or sits behind the same address, slows down himself and every stranger, but does not lock her out.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F

from hetang.console.models import LoginFailure
from hetang.platform import clock, signed_tokens

_FREE = {"name": 5, "address": 30, "code": 5, "browser": 5}
KNOWN_FOR = timedelta(days=180)
_KNOWN = "known browser"
_LONGEST = timedelta(minutes=15)
_FORGOTTEN = timedelta(hours=1)  # one that comes after a quiet hour counts as the first


def token_for(username: str) -> str:
    """What a browser keeps that this name logged in with: it opens nothing, it only counts by itself."""
    body = _mark(username) + secrets.token_bytes(8)
    return signed_tokens.make(_KNOWN, body, clock.wall() + KNOWN_FOR)


def keys_of(username: str, address: str, token: str) -> dict[str, str]:
    """Under which keys a try counts: of a browser that this name is known in, that browser; else the name and the
    address."""
    body = signed_tokens.read(_KNOWN, token) if token else None
    if body is not None and body[:-8] == _mark(username):
        return {"browser": token}
    return {"name": username, "address": address}


def begin(**keys: str) -> timedelta:
    """Count a try under each key (name, address, code, browser).

    Zero: go on; else how long to wait, and nothing is counted.
    """
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


def _mark(username: str) -> bytes:
    return hashlib.sha256(username.strip().lower().encode()).digest()[:16]


def _key(kind: str, value: str) -> str:
    return f"{kind}:{hashlib.sha256(value.strip().lower().encode()).hexdigest()[:40]}"
