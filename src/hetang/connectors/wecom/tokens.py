"""Access tokens: one per app, sealed in the database, shared by all processes, renewed before they end.

Who renews holds an advisory lock of its database session, never a transaction that waits for WeCom: the lock of a
process that dies is free at once. Of one that hangs (stopped, cut off) it is not; after fifteen seconds one of those
who wait takes a lease on the row (real time) and asks in its place. Two that ask do no harm: WeCom repeats a token
until it ends.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import connection

from hetang.connectors.wecom.errors import NotSent
from hetang.connectors.wecom.models import AccessToken
from hetang.platform import clock
from hetang.platform.sealing import seal, unseal

EARLY = timedelta(minutes=5)
PATIENCE_S = 15.0  # before one of those who wait asks in the place of one that hangs
_LEASE_S = 15.0  # for so long nobody else does so
_GIVE_UP_S = 30.0
_WAIT_S = 0.05
_MEMORY_S = 30.0
_SPACE = 0x7765  # of the advisory locks

_Stored = tuple[str, datetime]
_memory: dict[int, tuple[float, _Stored]] = {}
Fetch = Callable[[], tuple[str, int]]  # asks WeCom: (token, seconds it lives)


def current(app_id: int, fetch: Fetch) -> str:
    """A token that works for the next minutes, as far as anybody knows. Raises what `fetch` raises."""
    found = _remembered(app_id)
    if found is not None and _is_fresh(found):
        return found[0]
    return _renew(app_id, fetch, _is_fresh, spare=found)


def replace(app_id: int, fetch: Fetch, stale: str) -> str:
    """A token other than `stale`, which WeCom refused; only one process asks for it."""
    return _renew(app_id, fetch, lambda found: found[0] != stale, spare=None)


def _is_fresh(found: _Stored) -> bool:
    return found[1] - EARLY > clock.now()


def _renew(app_id: int, fetch: Fetch, good: Callable[[_Stored], bool], spare: _Stored | None) -> str:
    """Ask for a token, or wait for the process that does; meanwhile `spare` serves as long as it lives."""
    begun = time.monotonic()
    _memory.pop(app_id, None)
    while True:
        with _turn(app_id) as mine:
            found = _stored(app_id)  # read under the lock: another process may have finished just before it
            if found is not None and good(found):
                return found[0]
            waited = time.monotonic() - begun
            if mine or (waited > PATIENCE_S and _lease(app_id, found)):
                return _fetch_and_store(app_id, fetch, found)
        if spare is not None and spare[1] > clock.now():
            return spare[0]
        if waited > _GIVE_UP_S:
            raise NotSent("the token is being renewed by another process")
        time.sleep(_WAIT_S)


@contextlib.contextmanager
def _turn(app_id: int) -> Iterator[bool]:
    """Whether it is ours to renew, for as long as the block lasts."""
    key = [_SPACE, app_id & 0x7FFFFFFF]
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s, %s)", key)
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(%s, %s)", key)


def _fetch_and_store(app_id: int, fetch: Fetch, before: _Stored | None) -> str:
    token, seconds = fetch()
    life = timedelta(seconds=seconds)
    if before is not None and before[0] == token:
        # WeCom repeats a token until it ends: asking early brought nothing, so the next time is at the end itself.
        life += EARLY
    AccessToken.objects.update_or_create(
        app_id=app_id,
        defaults={"token": seal(token.encode()), "expires_at": clock.now() + life, "leased_until": None},
    )
    return token


def _lease(app_id: int, seen: _Stored | None) -> bool:
    """Whether it is ours to ask in the place of one that hangs; not if somebody has stored another than was `seen`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into wecom_accesstoken as t (app_id, leased_until)"
            " values (%(app)s, clock_timestamp() + %(lease)s * interval '1 second')"
            " on conflict (app_id) do update set leased_until = excluded.leased_until"
            " where t.expires_at is not distinct from %(seen)s"
            "    and (t.leased_until is null or t.leased_until < clock_timestamp()"
            "         or t.leased_until > clock_timestamp() + interval '10 minutes') returning app_id",  # clock back
            {"app": app_id, "lease": _LEASE_S, "seen": seen and seen[1]},
        )
        return cursor.fetchone() is not None


def _remembered(app_id: int) -> _Stored | None:
    """What is stored, as this process read it lately: another process's newer token is found when ours is refused."""
    known = _memory.get(app_id)
    if known is not None and time.monotonic() - known[0] < _MEMORY_S:
        return known[1]
    found = _stored(app_id)
    if found is not None:
        _memory[app_id] = (time.monotonic(), found)
    return found


def _stored(app_id: int) -> _Stored | None:
    row = AccessToken.objects.filter(app_id=app_id).values_list("token", "expires_at").first()
    if row is None or row[0] is None or row[1] is None:
        return None
    return unseal(row[0]).decode(), row[1]
