"""Public holidays of mainland China and the weekend days on which people work in exchange (调休). Pure.

Each November the State Council says how the holidays of the next year lie; it cannot be computed. For a year whose
notice this version does not know, the days that the law itself names are given, and no make-up workdays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from hetang.platform.almanac import lunar

Period = tuple[str, str, str]  # code, first day, last day (month and day)

# 国务院办公厅关于部分节假日安排的通知: 国办发明电〔2024〕12号 for 2025, of 4 November 2025 for 2026. The next notice is
# one more entry here; docs/operations.md says when.
_NOTICES: dict[int, tuple[tuple[Period, ...], tuple[str, ...]]] = {
    2025: (
        (
            ("new_year", "01-01", "01-01"),
            ("spring_festival", "01-28", "02-04"),
            ("qingming", "04-04", "04-06"),
            ("labour_day", "05-01", "05-05"),
            ("dragon_boat", "05-31", "06-02"),
            ("national_day", "10-01", "10-08"),
        ),
        ("01-26", "02-08", "04-27", "09-28", "10-11"),
    ),
    2026: (
        (
            ("new_year", "01-01", "01-03"),
            ("spring_festival", "02-15", "02-23"),
            ("qingming", "04-04", "04-06"),
            ("labour_day", "05-01", "05-05"),
            ("dragon_boat", "06-19", "06-21"),
            ("mid_autumn", "09-25", "09-27"),
            ("national_day", "10-01", "10-07"),
        ),
        ("01-04", "02-14", "02-28", "05-09", "09-20", "10-10"),
    ),
}


@dataclass(frozen=True)
class DayOff:
    """A public holiday. `official`: by the year's notice; else by the law alone, and the days around may be off too."""

    code: str
    official: bool = True


def known(year: int) -> bool:
    """Whether the year's notice is known here."""
    return year in _NOTICES


def days_off(year: int) -> dict[date, DayOff]:
    """The holidays of a year by day."""
    if year not in _NOTICES:
        return _by_law(year)
    found = {}
    for code, first, last in _NOTICES[year][0]:
        day, end = _day(year, first), _day(year, last)
        while day <= end:
            found[day] = DayOff(code)
            day += timedelta(days=1)
    return found


def make_up_workdays(year: int) -> frozenset[date]:
    """Saturdays and Sundays on which people work; empty where the notice is not known."""
    return frozenset(_day(year, text) for text in _NOTICES[year][1]) if year in _NOTICES else frozenset()


def _by_law(year: int) -> dict[date, DayOff]:
    """Article 2 of 全国年节及纪念日放假办法 as of 2025-01-01."""
    found = {date(year, 1, 1): "new_year"}
    spring = lunar.solar(year, 1, 1)
    if spring is not None:
        found |= {spring + timedelta(days=offset): "spring_festival" for offset in range(-1, 3)}
    found |= {day: code for day, code in lunar.terms(year).items() if code == "qingming"}
    found |= {date(year, 5, number): "labour_day" for number in (1, 2)}
    for code, month, number in (("dragon_boat", 5, 5), ("mid_autumn", 8, 15)):
        festival = lunar.solar(year, month, number)
        if festival is not None:
            found[festival] = code
    found |= {date(year, 10, number): "national_day" for number in (1, 2, 3)}
    return {day: DayOff(code, official=False) for day, code in found.items()}


def _day(year: int, text: str) -> date:
    return date.fromisoformat(f"{year}-{text}")
