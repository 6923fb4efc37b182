"""The almanac: lunar days against dates that everybody knows, holidays against the notices, terms, what is unknown."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from hetang.platform.almanac import china, lunar
from hetang.platform.almanac.occasions import CHINA, days, unknown_years


@pytest.mark.parametrize(
    ("day", "year", "month", "number"),
    [
        ("2020-05-23", 2020, 4, 1),  # the leap fourth month begins
        ("2023-03-22", 2023, 2, 1),  # the leap second month begins
        ("2024-02-09", 2023, 12, 30),  # New Year's Eve
        ("2025-07-25", 2025, 6, 1),  # the leap sixth month begins
        ("2026-02-17", 2026, 1, 1),
        ("2026-08-19", 2026, 7, 7),
        ("2026-09-25", 2026, 8, 15),
        ("2033-12-22", 2033, 11, 1),  # the leap eleventh month that many programs get wrong
        ("2039-12-31", 2039, 11, 16),
    ],
)
def test_days_of_the_lunar_calendar(day: str, year: int, month: int, number: int) -> None:
    found = lunar.lunar(date.fromisoformat(day))
    assert found is not None and (found.year, found.month, found.day) == (year, month, number)


def test_lunar_days_follow_one_another_without_a_gap() -> None:
    day, before = date(2020, 1, 25), None
    while day <= date(2039, 12, 31):
        now = lunar.lunar(day)
        assert now is not None
        if before is not None and now.day != before.day + 1:
            assert (now.day, before.day) in {(1, 29), (1, 30)}
        assert before is None or before.last == (now.year != before.year)
        if not now.leap:
            assert lunar.solar(now.year, now.month, now.day) == day
        day, before = day + timedelta(days=1), now


def test_outside_the_table_there_is_no_answer() -> None:
    assert lunar.lunar(date(2020, 1, 24)) is None and lunar.lunar(date(2042, 1, 1)) is None
    assert lunar.terms(2040) == {} and lunar.solar(2040, 1, 1) is None
    assert [one.lunar for one in days(date(2045, 9, 1), date(2045, 9, 2), CHINA)] == [None, None]


@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("2016-07-07", ""),
        ("2020-12-07", "major_snow"),  # two and a half minutes after midnight
        ("2025-04-04", "qingming"),
        ("2026-02-04", "start_of_spring"),
        ("2026-12-22", "winter_solstice"),
    ],
)
def test_solar_terms(day: str, code: str) -> None:
    at = date.fromisoformat(day)
    assert lunar.terms(at.year).get(at, "") == code


def test_every_year_has_24_terms_about_15_days_apart() -> None:
    for year in range(lunar.FIRST_YEAR, lunar.LAST_YEAR + 1):
        found = list(lunar.terms(year))
        assert len(found) == 24
        assert all(14 <= (later - earlier).days <= 16 for earlier, later in pairwise(found))


def test_holidays_by_the_notice_of_the_year() -> None:
    off, work = china.days_off(2026), china.make_up_workdays(2026)
    assert len(off) == 33 and all(one.official for one in off.values())
    assert off[date(2026, 2, 23)].code == "spring_festival" and date(2026, 2, 24) not in off
    assert all(day.weekday() >= 5 and day not in off for day in work)
    assert date(2026, 10, 10) in work


def test_a_year_without_notice_has_the_days_of_the_law_and_says_so() -> None:
    off = china.days_off(2027)
    assert len(off) == 13 and not any(one.official for one in off.values())
    assert [day.isoformat() for day, one in sorted(off.items()) if one.code == "spring_festival"] == [
        *("2027-02-05", "2027-02-06", "2027-02-07", "2027-02-08"),
    ]
    assert not china.make_up_workdays(2027)
    assert unknown_years(date(2026, 12, 28), date(2027, 2, 1), CHINA) == [2027]
    assert unknown_years(date(2026, 12, 28), date(2027, 2, 1), "") == []


def _codes(day: str) -> list[str]:
    at = date.fromisoformat(day)
    return [one.code for one in days(at, at, CHINA)[0].occasions]


def test_what_a_day_is() -> None:
    assert _codes("2026-02-16") == ["new_years_eve", "spring_festival"]  # the eve is a day off, too
    assert _codes("2026-02-17") == ["spring_festival"]  # the festival itself is named once
    assert _codes("2026-05-10") == ["mothers"]
    assert _codes("2026-06-21") == ["dragon_boat", "fathers", "summer_solstice"]
    assert _codes("2026-11-11") == ["double_11"]
    assert _codes("2026-09-20") == ["make_up"]
    assert _codes("2025-08-29") == ["qixi"]  # not in the leap sixth month before it
    assert _codes("2026-04-05") == ["qingming"]


def test_another_country_shows_nothing() -> None:
    assert all(not one.occasions and one.lunar is None for one in days(date(2026, 2, 1), date(2026, 2, 28), ""))
