"""The Chinese lunar calendar (农历) and the 24 solar terms (节气) from 2020 to 2039. Pure.

The table follows the rules of GB/T 33661-2017: new moons and terms by Beijing time. Its years were compared day by day
with three published tables and the terms with a planetary ephemeris; the years that the sources disagree about lie
beyond it. Outside the table there is no answer rather than a wrong one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

FIRST_YEAR, LAST_YEAR = 2020, 2039

# Year: (first day of the lunar year, month that a leap month follows or 0, "1" for each month of 30 days and "0" for
# 29, how many days each solar term falls after the earliest day that it can have).
_YEARS: dict[int, tuple[str, int, str, str]] = {
    2020: ("01-25", 4, "0111010010101", "111100000001000000100110"),
    2021: ("02-12", 0, "011010101010", "010000010101100101100110"),
    2022: ("02-01", 0, "101011010101", "011100110111110101100111"),
    2023: ("01-22", 2, "0100110110101", "011111111111111111111111"),
    2024: ("02-10", 0, "010010110110", "111100000001000000100100"),
    2025: ("01-29", 6, "1010010101110", "010000010101100101100110"),
    2026: ("02-17", 0, "101001001110", "011000110101110101100111"),
    2027: ("02-06", 0, "110100100110", "011111111111111111100111"),
    2028: ("01-26", 5, "1110100100110", "111100000001000000100100"),
    2029: ("02-13", 0, "110101010011", "010000010101100101100110"),
    2030: ("02-03", 0, "010110101010", "011000110101110101100111"),
    2031: ("01-23", 3, "0110101101010", "011111111111111111100111"),
    2032: ("02-11", 0, "100101101101", "111100000001000000100100"),
    2033: ("01-31", 11, "0100101011101", "010000010101100101100110"),
    2034: ("02-19", 0, "010010101101", "011000110101110101100111"),
    2035: ("02-08", 0, "101001001101", "011111110111110111100111"),
    2036: ("01-28", 6, "1101001001011", "111100000001000000100100"),
    2037: ("02-15", 0, "110100100101", "010000010101100101100110"),
    2038: ("02-04", 0, "110101010010", "011000110101110101100111"),
    2039: ("01-24", 5, "1101101010100", "011111110111110111100111"),
}
TERMS = (
    *("minor_cold", "major_cold", "start_of_spring", "rain_water", "insects_awaken", "spring_equinox"),
    *("qingming", "grain_rain", "start_of_summer", "grain_full", "grain_in_ear", "summer_solstice"),
    *("minor_heat", "major_heat", "start_of_autumn", "end_of_heat", "white_dew", "autumn_equinox"),
    *("cold_dew", "frost_descent", "start_of_winter", "minor_snow", "major_snow", "winter_solstice"),
)
_EARLIEST = (5, 19, 3, 18, 5, 20, 4, 19, 5, 20, 5, 20, 6, 22, 7, 22, 7, 22, 7, 23, 7, 21, 6, 21)


@dataclass(frozen=True)
class LunarDay:
    """A day of the lunar calendar. `last` says that it is the last of its year (除夕)."""

    year: int
    month: int
    day: int
    leap: bool = False
    last: bool = False


def lunar(day: date) -> LunarDay | None:
    """The lunar day of a calendar day; None outside the table."""
    year = day.year if day.year in _YEARS and day >= _new_year(day.year) else day.year - 1
    if year not in _YEARS:
        return None
    left = (day - _new_year(year)).days
    months = _months(year)
    for place, (month, leap, length) in enumerate(months):
        if left < length:
            return LunarDay(year, month, left + 1, leap, last=place == len(months) - 1 and left == length - 1)
        left -= length
    return None


def solar(year: int, month: int, day: int) -> date | None:
    """The calendar day of a day of the lunar year (no leap month); None where it does not exist."""
    if year not in _YEARS:
        return None
    at = _new_year(year)
    for number, leap, length in _months(year):
        if number == month and not leap:
            return at + timedelta(days=day - 1) if 1 <= day <= length else None
        at += timedelta(days=length)
    return None


def terms(year: int) -> dict[date, str]:
    """The solar terms of a calendar year: day -> code of `TERMS`; empty outside the table."""
    if year not in _YEARS:
        return {}
    offsets = _YEARS[year][3]
    return {
        date(year, number // 2 + 1, earliest + int(offset)): code
        for number, (code, earliest, offset) in enumerate(zip(TERMS, _EARLIEST, offsets, strict=True))
    }


@cache
def _new_year(year: int) -> date:
    return date.fromisoformat(f"{year}-{_YEARS[year][0]}")


@cache
def _months(year: int) -> list[tuple[int, bool, int]]:
    """(number, whether it is the leap month, days) of each month of a lunar year."""
    _first, leap, lengths, _terms = _YEARS[year]
    numbers = [(number, False) for number in range(1, 13)]
    if leap:
        numbers.insert(leap, (leap, True))
    return [(number, is_leap, 29 + int(bit)) for (number, is_leap), bit in zip(numbers, lengths, strict=True)]
