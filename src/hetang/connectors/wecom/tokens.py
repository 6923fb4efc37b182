"""Access tokens: one per app, sealed in the database, shared by all processes, renewed before they end.

The renewal is a lease on the row (real time), never a transaction that waits for WeCom.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection

from hetang.connectors.wecom.errors import NotSent
from hetang.connectors.wecom.models import AccessToken
from hetang.platform import clock
from hetang.platform.sealing import seal, unseal

EARLY = timedelta(minutes=5)
LEASE_S = 15.0
_WAIT_S = 0.05

Fetch = Callable[[], tuple[str, int]]  # asks WeCom: (token, seconds it lives)


def current(app_id: int, fetch: Fetch) -> str:
    """A token that works for at least five minutes, as far as anybody knows. Raises what `fetch` raises."""
    found = _stored(app_id)
    if found is not None and found[1] - EARLY > clock.now():
        return found[0]
    return _renew(app_id, fetch, stale=found[0] if found else "", usable_until=found[1] if found else None)


def replace(app_id: int, fetch: Fetch, stale: str) -> str:
    """A token other than `stale`, which WeCom refused; only one process asks for it."""
    found = _stored(app_id)
    if found is not None and found[0] != stale:
        return found[0]
    return _renew(app_id, fetch, stale=stale, usable_until=None)


def _renew(app_id: int, fetch: Fetch, *, stale: str, usable_until: datetime | None) -> str:
    deadline = time.monotonic() + LEASE_S
    while True:
        if _lease(app_id):
            return _fetch_and_store(app_id, fetch)
        found = _stored(app_id)
        if found is not None and found[0] != stale:
            return found[0]
        if usable_until is not None and usable_until > clock.now():
            return stale  # somebody else renews it; it still works meanwhile
        if time.monotonic() > deadline:
            raise NotSent("the token is being renewed by another process")
        time.sleep(_WAIT_S)


def _fetch_and_store(app_id: int, fetch: Fetch) -> str:
    try:
        token, seconds = fetch()
    except BaseException:
        AccessToken.objects.filter(app_id=app_id).update(leased_until=None)
        raise
    AccessToken.objects.filter(app_id=app_id).update(
        token=seal(token.encode()), expires_at=clock.now() + timedelta(seconds=seconds), leased_until=None
    )
    return token


def _lease(app_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into wecom_accesstoken as t (app_id, leased_until)"
            " values (%(app)s, clock_timestamp() + %(lease)s * interval '1 second')"
            " on conflict (app_id) do update set leased_until = excluded.leased_until"
            " where t.leased_until is null or t.leased_until < clock_timestamp() returning app_id",
            {"app": app_id, "lease": LEASE_S},
        )
        return cursor.fetchone() is not None


def _stored(app_id: int) -> tuple[str, datetime] | None:
    row = AccessToken.objects.filter(app_id=app_id).values_list("token", "expires_at").first()
    if row is None or row[0] is None or row[1] is None:
        return None
    return unseal(row[0]).decode(), row[1]
