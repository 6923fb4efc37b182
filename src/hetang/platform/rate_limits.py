"""How much an API key may send in a minute, counted in PostgreSQL for all processes together.

A window of sixty seconds slides: what the minute before used counts by the share of it that the window still covers. So
no sixty seconds see more than the limit as long as the minute before was used evenly, and a burst over the end of a
minute is no way around it. One statement per request, which waits for no disk: a crash forgets a few requests.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

from django.db import connection

from hetang.platform.metrics import Counter
from hetang.platform.models import ApiKey, ApiKeyUse

WINDOW_S = 60
REQUESTS, FACTS = "requests", "facts"
REFUSED = Counter("hetang_api_refused_total", "API requests over the limit of their key.", ("unit",))


@dataclass(frozen=True)
class Used:
    """What was used of one unit: in this minute, in the one before, and what may be used."""

    unit: str
    limit: int
    now: int
    before: int

    def left(self, second: float) -> int:
        """What may still be used, `second` seconds into this minute."""
        return max(0, math.floor(self.limit - self.now - self.before * (1 - second / WINDOW_S)))

    def wait(self, amount: int, second: float) -> float:
        """Seconds until so much may be used if nothing else is; a minute's whole limit at most."""
        if self.now + amount <= self.limit:
            spare = self.limit - self.now - amount
            until = 0.0 if self.before <= spare else WINDOW_S * (1 - spare / self.before)
            return max(0.0, until - second)
        following = replace(self, now=0, before=self.now)
        return WINDOW_S - second + following.wait(min(amount, self.limit), 0.0)


@dataclass(frozen=True)
class Standing:
    """Where a key stands after a request. `second`: how far the minute is. `refused` names the unit that is used up,
    `retry_after` whole seconds until the same request fits."""

    used: tuple[Used, ...]
    second: float
    refused: str = ""
    retry_after: int = 0

    def of(self, unit: str) -> Used:
        """What was used of a unit."""
        return next(one for one in self.used if one.unit == unit)

    def headers(self) -> dict[str, str]:
        """As the draft RateLimit header fields for HTTP say it, and Retry-After where it was refused."""
        reset = max(1, math.ceil(WINDOW_S - self.second))
        found = {
            "RateLimit-Policy": ", ".join(f'"{one.unit}";q={one.limit};w={WINDOW_S}' for one in self.used),
            "RateLimit": ", ".join(f'"{one.unit}";r={one.left(self.second)};t={reset}' for one in self.used),
        }
        return found | {"Retry-After": str(self.retry_after)} if self.refused else found


def charge(key: ApiKey, facts: int) -> Standing:
    """Count one request with so many facts against its key, or refuse it and count nothing. In no transaction.

    About half a millisecond. A key of another process whose limits changed is counted by the old ones for five seconds.
    """
    limits = {REQUESTS: key.requests_a_minute, FACTS: key.facts_a_minute}
    params = {"key": key.pk, "facts": facts, "most_requests": limits[REQUESTS], "most_facts": limits[FACTS]}
    row = _run(_TAKE, params)
    if row is not None:
        return Standing(_used(limits, row), row[0])
    row = _run(_LOOK, params)
    if row is None:
        _run(_BEGIN, params)
        return charge(key, facts)
    return _refused(Standing(_used(limits, row), row[0]), facts)


def used_lately(key: ApiKey) -> tuple[int, int]:
    """Requests and facts of a key in this minute, or in the one before where it is more; no query if `use` is known."""
    use: ApiKeyUse | None = getattr(key, "use", None)
    age = int(time.time() // WINDOW_S) - use.minute if use is not None else 2
    if use is None or age > 1:
        return 0, 0
    return (
        (use.requests, use.facts)
        if age == 1
        else (max(use.requests, use.requests_before), max(use.facts, use.facts_before))
    )


def _refused(standing: Standing, facts: int) -> Standing:
    amounts = {REQUESTS: 1, FACTS: facts}
    waits = {one.unit: one.wait(amounts[one.unit], standing.second) for one in standing.used}
    unit = max(waits, key=lambda name: waits[name])
    REFUSED.add(unit)
    return replace(standing, refused=unit, retry_after=max(1, math.ceil(waits[unit])))


def _used(limits: dict[str, int], row: tuple[Any, ...]) -> tuple[Used, ...]:
    _second, requests, requests_before, facts, facts_before = row
    return (
        Used(REQUESTS, limits[REQUESTS], requests, requests_before),
        Used(FACTS, limits[FACTS], facts, facts_before),
    )


def _run(statement: str, params: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


# A clock that goes back stays in the minute that was counted last.
_CLOCK = "(select extract(epoch from clock_timestamp())::float8 as at) c"
_MINUTE = "greatest(u.minute, floor(c.at / 60)::bigint)"
_SECOND = f"least(60, greatest(0, c.at - 60 * {_MINUTE}))"


def _now(unit: str) -> str:
    return f"case when u.minute = {_MINUTE} then u.{unit} else 0 end"


def _before(unit: str) -> str:
    return f"case {_MINUTE} - u.minute when 0 then u.{unit}_before when 1 then u.{unit} else 0 end"


def _fits(unit: str, amount: str) -> str:
    most = f"%(most_{unit})s"
    return f"{_before(unit)} * (1 - {_SECOND} / 60) + {_now(unit)} + {amount} <= {most}"


_TAKE = f"""
with quick as (select set_config('synchronous_commit', 'off', true))
update platform_apikeyuse u set
  minute = {_MINUTE},
  requests = {_now(REQUESTS)} + 1, requests_before = {_before(REQUESTS)},
  facts = {_now(FACTS)} + %(facts)s, facts_before = {_before(FACTS)}
from quick, {_CLOCK}
where u.key_id = %(key)s and {_fits(REQUESTS, "1")} and {_fits(FACTS, "%(facts)s")}
returning least(60, greatest(0, c.at - 60 * u.minute)), requests, requests_before, facts, facts_before
"""
_BEGIN = """
insert into platform_apikeyuse (key_id, minute, requests, requests_before, facts, facts_before)
values (%(key)s, 0, 0, 0, 0, 0) on conflict do nothing returning 1
"""
_LOOK = f"""
select {_SECOND}, {_now(REQUESTS)}, {_before(REQUESTS)}, {_now(FACTS)}, {_before(FACTS)}
from platform_apikeyuse u, {_CLOCK} where u.key_id = %(key)s
"""
