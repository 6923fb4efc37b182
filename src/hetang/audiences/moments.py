"""Days, instants and comparisons of the rule language. Pure: the day of today is given.

ClickHouse keeps days from 1970 to 2149 and times from 1900 to 2299: what lies beyond is drawn to the border.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hetang.audiences.rules import Period, Scalar, WasMember

EARLIEST_DAY, LATEST_DAY = date(1970, 1, 1), date(2149, 6, 5)
FIRST_DAY, LAST_DAY = date(1900, 1, 2), date(2299, 12, 30)  # of times, in any zone


@dataclass(frozen=True, slots=True)
class Moment:
    """The day on which a rule is evaluated, and the brand's zone in which instants become days."""

    today: date
    zone: str

    def instant(self, day: date, at: time = time()) -> datetime:
        """A local time of a day, in UTC."""
        return datetime.combine(day, at, ZoneInfo(self.zone)).astimezone(UTC)


def day_bounds(op: str, days: int, on: str, today: date) -> tuple[str, str]:
    """First and last day (ISO, inclusive; empty: open) that a comparison of days means."""
    match op:
        case "within_last":
            return (today - timedelta(days=days - 1)).isoformat(), today.isoformat()
        case "within_next":
            return today.isoformat(), (today + timedelta(days=days - 1)).isoformat()
        case "more_than_ago":
            return "", (today - timedelta(days=days + 1)).isoformat()
        case "before":
            return "", _day_beside(on, -1)
        case _:
            return _day_beside(on, 1), ""


def asked_at(condition: WasMember, moment: Moment) -> datetime:
    """The instant that a question about the past means; the earliest one for a day that no calendar reaches."""
    day = max(date.fromisoformat(condition.day), EARLIEST_DAY)
    return moment.instant(min(day, LAST_DAY), time.fromisoformat(condition.time))


def first_day(days: int, today: date) -> date:
    """The first of the last `days` days, today included."""
    return max(today - timedelta(days=days - 1), EARLIEST_DAY)


def compare(found: Any, op: str, values: Sequence[Scalar]) -> bool:  # noqa: PLR0911 - one for each comparison
    """A comparison of the language between two plain values of one type."""
    value: Any = values[0]
    match op:
        case "=":
            return bool(found == value)
        case "!=":
            return bool(found != value)
        case "<":
            return bool(found < value)
        case "<=":
            return bool(found <= value)
        case ">":
            return bool(found > value)
        case ">=":
            return bool(found >= value)
        case "between":
            return bool(value <= found <= values[1])
        case _:
            raise ValueError(op)


def _day_beside(day: str, step: int) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=step)).isoformat()
    except OverflowError:  # before year 1 or after 9999: nothing lies there
        return "0000-00-00" if step < 0 else "9999-99-99"


def clamped(day: str, later: int = 0) -> date:
    """An ISO day, or so many days later; the border of what a time can be where it lies beyond (`_day_beside` writes
    days that no calendar has)."""
    if day < FIRST_DAY.isoformat():
        return FIRST_DAY
    if day > LAST_DAY.isoformat():
        return LAST_DAY
    return date.fromisoformat(day) + timedelta(days=later)


def anniversaries(days: int, today: date) -> frozenset[int]:
    """The days of a year (month times 100 plus day) whose anniversary lies within the next days, today included."""
    coming = [today + timedelta(days=step) for step in range(min(days, 366))]
    found = {one.month * 100 + one.day for one in coming}
    return frozenset(
        found | ({229} if any((one.month, one.day) == (3, 1) and not isleap(one.year) for one in coming) else set())
    )


def period_bounds(when: Period, today: date) -> tuple[date | None, date | None]:
    """The first and the last day of a period, both included; None: no border."""
    if when.first or when.last:
        return (
            kept_day(date.fromisoformat(when.first)) if when.first else None,
            kept_day(date.fromisoformat(when.last)) if when.last else None,
        )
    first = None if when.days is None else first_day(when.days, today)
    if when.before is not None:
        return first, kept_day(today - timedelta(days=when.before + 1))
    return first, None if first is None else today


def kept_day(day: date) -> date:
    """A day as ClickHouse keeps it."""
    return min(max(day, EARLIEST_DAY), LATEST_DAY)
