"""Keys by which machines come in. A key is 32 random bytes, so a fast keyed hash is enough to keep it safe at rest."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.platform import clock, sealing
from hetang.platform.models import ApiKey, User

SCOPES: dict[str, str | Promise] = {
    "facts:write": _("Send facts (orders, visits, …)"),
}

_PREFIX = "htk_"
_TTL_S = 5.0  # a revoked key stops working everywhere within five seconds
_cache: dict[str, tuple[float, ApiKey | None]] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What a key may send in a minute."""

    requests: int = 600
    facts: int = 60_000


WIDE = Limits(60_000, 6_000_000)  # as much as a key can be allowed: for programs of the house


def create(
    name: str, scopes: list[str], user: User | None, lasts: timedelta | None = None, limits: Limits = Limits()
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which nobody can read again. It ends after `lasts` (never without), by the wall
    clock. Raises ValueError for an unknown scope."""
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise ValueError(f"unknown scopes: {sorted(unknown)}")
    plain = _PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        name=name,
        prefix=plain[:10],
        key_hash=_hash(plain),
        scopes=scopes,
        created_at=clock.now(),
        created_by=user,
        expires_at=clock.wall() + lasts if lasts is not None else None,
        requests_a_minute=limits.requests,
        facts_a_minute=limits.facts,
    )
    return key, plain


def verify(plain: str, scope: str) -> ApiKey | None:
    """The key, if it is valid, neither revoked nor over, and has the scope. A cached answer costs about 2 us."""
    key = _find(_hash(plain))
    return key if key is not None and scope in key.scopes else None


def set_limits(key: ApiKey, limits: Limits) -> bool:
    """Let a key send so much in a minute from now on (everywhere within five seconds). False if it did before."""
    changed = ApiKey.objects.filter(pk=key.pk).exclude(requests_a_minute=limits.requests, facts_a_minute=limits.facts)
    done = changed.update(requests_a_minute=limits.requests, facts_a_minute=limits.facts)
    forget()
    return done == 1


def revoke(key: ApiKey) -> bool:
    """Stop a key; False when it was stopped before."""
    done = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now())
    forget()
    return done == 1


def forget() -> None:
    """Drop this process's cached answers."""
    with _lock:
        _cache.clear()


def _hash(plain: str) -> str:
    return sealing.api_key_hash(plain)


def _find(key_hash: str) -> ApiKey | None:
    cached = _cache.get(key_hash)
    if cached is not None and time.monotonic() - cached[0] < _TTL_S:
        return cached[1]
    alive = Q(expires_at=None) | Q(expires_at__gt=clock.wall())
    key = ApiKey.objects.filter(alive, key_hash=key_hash, revoked_at=None).first()
    if key is not None:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=clock.now())
    with _lock:
        if len(_cache) > 10_000:  # a flood of wrong keys must not grow the process
            _cache.clear()
        _cache[key_hash] = (time.monotonic(), key)
    return key
