"""The time by which everything decides.

`now()` is the wall clock plus an offset kept in the database, so that the demo and tests can turn the clock
for every process at once. No SQL that decides may call `now()` of the database; it takes the time as a parameter.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_OFFSET_TTL_S = 1.0  # a turned clock is seen by every process within a second
_lock = threading.Lock()
_cached: tuple[float, timedelta] = (float("-inf"), timedelta())
_frozen: datetime | None = None


def now() -> datetime:
    """The current decision time, aware, UTC."""
    if _frozen is not None:
        return _frozen
    return datetime.now(UTC) + offset()


def wall() -> datetime:
    """The real time, however far the clock is turned: for what counts by people's browsers, phones and programs
    (sessions, one-time codes, failed log-ins, rates). Decisions about customers take `now()`."""
    return _frozen if _frozen is not None else datetime.now(UTC)


def offset() -> timedelta:
    """How far the clock is turned ahead of the wall clock (read from the database at most once a second)."""
    global _cached  # noqa: PLW0603 - one cache per process is the point
    read_at, value = _cached
    if time.monotonic() - read_at < _OFFSET_TTL_S:
        return value
    with _lock:
        value = _read_offset()
        _cached = (time.monotonic(), value)
    return value


def turn(value: timedelta) -> None:
    """Set the offset for every process of this installation."""
    from hetang.platform.models import Clock

    Clock.objects.update_or_create(id=1, defaults={"offset": value})
    forget()


def forget() -> None:
    """Drop the cached offset, so that the next `now()` reads it again."""
    global _cached  # noqa: PLW0603
    _cached = (float("-inf"), timedelta())


def freeze(at: datetime | None) -> None:
    """Hold `now()` of this process at one instant (tests and `demo --check`); None lets it run again."""
    global _frozen  # noqa: PLW0603
    if at is not None and at.tzinfo is None:
        raise ValueError("the clock needs an aware time")
    _frozen = at


def zone() -> ZoneInfo:
    """The brand's time zone."""
    from hetang.platform.brand import brand

    return ZoneInfo(brand().time_zone)


def local_day(at: datetime, time_zone: ZoneInfo | None = None) -> date:
    """The calendar day of an instant in the brand's (or the given) zone."""
    return at.astimezone(time_zone or zone()).date()


def today() -> date:
    """Today in the brand's zone."""
    return local_day(now())


def _read_offset() -> timedelta:
    from hetang.platform.models import Clock

    row = Clock.objects.filter(id=1).values_list("offset", flat=True).first()
    return row or timedelta()
