"""Life stages as arithmetic of days. Pure: no ORM, no clock, no I/O.

A course is an ordered list of stages, each of which begins so many days, weeks, months or years after (or, negative,
before) a reference date, such as a child's birth; a stage lasts until the next one begins, the last one until `ends`.

The rule of the calendar: so many months or years after a date is the same day of that month. Where that month has no
such day (29 February in a common year, the 31st in April) it is the first day of the month after it: nobody is in a
stage before having its age in full, which is also when somebody born on 29 February turns fourteen (`minors`).
A month is never counted on from the month before, so 31 January is in its second month until 31 March, not 28.

Since a later reference date never begins a stage earlier, whoever is in a stage on a day has a reference date between
two borders (`Span`). So sets need no date of each person to be worked out, on no night and in no rule.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

UNITS = ("day", "week", "month", "year")
FURTHEST = {"day": 45_000, "week": 6_500, "month": 1_500, "year": 125}
MOST = 30  # stages of a course
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
_ON_AVERAGE = {"day": 1.0, "week": 7.0, "month": 30.436875, "year": 365.2425}


@dataclass(frozen=True, slots=True)
class Offset:
    """A distance from the reference date: `number` (negative: before it) of a unit of `UNITS`."""

    number: int
    unit: str

    @property
    def length(self) -> float:
        """In days, on average: to put offsets of different units in order."""
        return self.number * _ON_AVERAGE[self.unit]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage; `code` is what rules and facts name, the name may change."""

    code: str
    name: str
    begins: Offset


@dataclass(frozen=True, slots=True)
class Span:
    """Reference dates after `after` up to and with `until`; empty when they do not lie in this order."""

    after: date
    until: date

    def __bool__(self) -> bool:
        return self.after < self.until

    def __contains__(self, day: date) -> bool:
        return self.after < day <= self.until


@dataclass(frozen=True, slots=True)
class Course:
    """Stages in order. Without `ends` the last one does not end."""

    stages: tuple[Stage, ...]
    ends: Offset | None = None

    def stage_at(self, reference: date, day: date) -> Stage | None:
        """The stage on a day; None before the first and after the last."""
        if self.ends is not None and begins(reference, self.ends) <= day:
            return None
        return next((one for one in reversed(self.stages) if begins(reference, one.begins) <= day), None)

    def beginnings(self, reference: date) -> Iterator[tuple[Stage, date]]:
        """Each stage with the day on which it begins."""
        for stage in self.stages:
            yield stage, begins(reference, stage.begins)

    def inside(self, code: str, day: date) -> Span:
        """The reference dates of those who are in a stage on a day. Raises KeyError for an unknown stage."""
        own, following = self._borders(code)
        return Span(date.min if following is None else latest(day, following), latest(day, own))

    def entered(self, code: str, first: date, last: date) -> Span:
        """Of those who are in a stage on the day `last` and came into it on `first` or later."""
        own, _ = self._borders(code)
        inside = self.inside(code, last)
        return Span(max(inside.after, latest(_beside(first, -1), own)), inside.until)

    def entering(self, code: str, day: date, days: int) -> Span:
        """Of those whom 1 to `days` days separate from a stage, on a day."""
        own, _ = self._borders(code)
        return Span(latest(day, own), latest(_beside(day, days), own))

    def ending(self, day: date) -> Span:
        """Of those for whom the last stage is over since this day."""
        if self.ends is None:
            return Span(date.min, date.min)
        return Span(latest(_beside(day, -1), self.ends), latest(day, self.ends))

    def _borders(self, code: str) -> tuple[Offset, Offset | None]:
        for place, stage in enumerate(self.stages):
            if stage.code == code:
                last = place + 1 == len(self.stages)
                return stage.begins, self.ends if last else self.stages[place + 1].begins
        raise KeyError(code)


def begins(reference: date, offset: Offset) -> date:
    """The day that lies an offset after a reference date (see the rule above); the first or last that a date can be
    where it lies beyond."""
    if offset.unit in _DAYS:
        return _beside(reference, offset.number * _DAYS[offset.unit])
    month = _month(reference) + offset.number * _MONTHS[offset.unit]
    if not 12 <= month < 119_987:
        return date.min if month < 12 else date.max
    if reference.day <= _length(month):
        return date(month // 12, month % 12 + 1, reference.day)
    month += 1
    return date(month // 12, month % 12 + 1, 1)


def latest(day: date, offset: Offset) -> date:
    """The last reference date for which the offset has been reached by a day: `begins(r, offset) <= day` exactly for
    the dates up to it."""
    if offset.unit in _DAYS:
        return _beside(day, -offset.number * _DAYS[offset.unit])
    month = _month(day) - offset.number * _MONTHS[offset.unit]
    if not 12 <= month < 119_987:
        return date.min if month < 12 else date.max
    return date(month // 12, month % 12 + 1, min(day.day, _length(month)))


def read_day(text: str) -> date:
    """The reference date of a text of the form 2024-02-29. A day that the calendar does not have (31 April) counts as
    the first one after it, so that texts and dates lie in the same order. Raises ValueError for another form."""
    year, month, day = (int(part) for part in text.split("-"))
    if month > 12:
        year, month, day = year + 1, 1, 1
    elif month == 0:
        month, day = 1, 1
    count = year * 12 + month - 1
    if not 12 <= count < 119_987:
        return date.min if count < 12 else date.max
    if day > _length(count):
        count, day = count + 1, 1
    return date(count // 12, count % 12 + 1, max(day, 1))


def in_order(earlier: Offset, later: Offset) -> bool:
    """Whether one offset lies before another for every reference date: 1 month and 30 days do not."""
    if (earlier.unit in _DAYS) == (later.unit in _DAYS):
        return earlier.length < later.length
    if abs(later.length - earlier.length) > 40:  # further apart than any month or century can shift them
        return earlier.length < later.length
    return all(begins(day, earlier) < begins(day, later) for day in _every_kind_of_day())


def _every_kind_of_day() -> Iterator[date]:
    """Four years with a leap day, and four years around a century without one."""
    for first in (date(2022, 1, 1), date(2098, 1, 1)):
        for step in range(4 * 365 + 1):
            yield first + timedelta(days=step)


def _month(day: date) -> int:
    """Months since year 0."""
    return day.year * 12 + day.month - 1


def _length(month: int) -> int:
    return monthrange(month // 12, month % 12 + 1)[1]


def _beside(day: date, days: int) -> date:
    ordinal = day.toordinal() + days
    return date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))
