"""The two periods that a board compares: local days of the brand, both ends included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST_DAYS = 366 * 3
PRESETS = ("7d", "28d", "month", "quarter", "year")
DEFAULT = "28d"


class BadPeriod(ValueError):
    """The dates cannot be used; `code` says why: incomplete, order, long."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Period:
    """Local days, `first` to `last` included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: `after` (the later or chosen period) with `before`."""

    before: Period
    after: Period
    preset: str = ""


def preset(name: str, today: date) -> Comparison:
    """A named pair of periods that ends yesterday, since today is not over.

    `7d` and `28d`: the last days and as many before them. `month`, `quarter`, `year`: the one that holds
    yesterday, up to yesterday, and the same number of days from the start of the one before.
    """
    last = today - timedelta(days=1)
    if name in {"7d", "28d"}:
        return _rolling(last, int(name[:-1]), name)
    months = {"month": 1, "quarter": 3, "year": 12}[name]
    first = date(last.year, (last.month - 1) // months * months + 1, 1)
    before_first = _months_earlier(first, months)
    before_last = min(before_first + (last - first), first - timedelta(days=1))
    return Comparison(Period(before_first, before_last), Period(first, last), name)


def parse(values: Mapping[str, str], today: date) -> Comparison:
    """The comparison that an address asks for: four ISO dates, or `period=<preset>`, or the default.

    Raises BadPeriod.
    """
    names = ("before_from", "before_to", "from", "to")
    given = [values.get(name, "").strip() for name in names]
    if not any(given):
        name = values.get("period", DEFAULT)
        return preset(name if name in PRESETS else DEFAULT, today)
    if not all(given[2:]):
        raise BadPeriod("incomplete")
    after = _period(given[2], given[3])
    if not any(given[:2]):
        return Comparison(_rolling(after.last, after.days, "").before, after)
    if not all(given[:2]):
        raise BadPeriod("incomplete")
    return Comparison(_period(given[0], given[1]), after)


def _period(first: str, last: str) -> Period:
    try:
        period = Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise BadPeriod("incomplete") from error
    if period.days < 1:
        raise BadPeriod("order")
    if period.days > LONGEST_DAYS:
        raise BadPeriod("long")
    return period


def _rolling(last: date, days: int, name: str) -> Comparison:
    first = last - timedelta(days=days - 1)
    before = Period(first - timedelta(days=days), first - timedelta(days=1))
    return Comparison(before, Period(first, last), name)


def _months_earlier(day: date, months: int) -> date:
    month = day.year * 12 + day.month - 1 - months
    return date(month // 12, month % 12 + 1, 1)
