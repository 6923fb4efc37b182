"""What is to be known of each day for marketing, by the country whose calendar the brand follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.platform.almanac import china, lunar

Text = str | Promise
CHINA = "CN"
COUNTRIES: dict[str, Text] = {CHINA: _("Mainland China"), "": _("Other (no holidays are shown)")}
HOLIDAY, WORKDAY, FESTIVAL, SHOPPING, TERM = "holiday", "workday", "festival", "shopping", "term"
SUNDAY = 6


@dataclass(frozen=True)
class Occasion:
    """One thing about a day. `kind` is holiday (day off), workday (make-up), festival, shopping or term."""

    code: str
    kind: str
    label: Text


@dataclass(frozen=True)
class Day:
    """A day: what it is, whether people are off or work against the week, and its lunar day."""

    day: date
    occasions: tuple[Occasion, ...] = ()
    off: bool = False
    make_up: bool = False
    lunar: lunar.LunarDay | None = None


_FESTIVALS: dict[tuple[int, int], tuple[str, Text]] = {
    (1, 1): ("spring_festival", _("Spring Festival")),
    (1, 15): ("lantern", _("Lantern Festival")),
    (2, 2): ("dragon_head", _("Dragon-Head Day")),
    (5, 5): ("dragon_boat", _("Dragon Boat Festival")),
    (7, 7): ("qixi", _("Qixi Festival")),
    (7, 15): ("ghost", _("Ghost Festival")),
    (8, 15): ("mid_autumn", _("Mid-Autumn Festival")),
    (9, 9): ("double_ninth", _("Double Ninth Festival")),
    (12, 8): ("laba", _("Laba Festival")),
    (12, 23): ("little_new_year", _("Little New Year (north)")),
    (12, 24): ("little_new_year_south", _("Little New Year (south)")),
}
_NEW_YEARS_EVE = ("new_years_eve", _("Lunar New Year's Eve"))
_FIXED: dict[tuple[int, int], tuple[str, Text]] = {
    (2, 14): ("valentine", _("Valentine's Day")),
    (3, 8): ("women", _("Women's Day (3.8)")),
    (3, 15): ("consumers", _("Consumer Rights Day (3.15)")),
    (5, 20): ("520", _("I Love You Day (5.20)")),
    (6, 1): ("children", _("Children's Day")),
    (6, 18): ("618", _("6.18 sale")),
    (9, 9): ("99", _("9.9 sale")),
    (9, 10): ("teachers", _("Teachers' Day")),
    (11, 11): ("double_11", _("Double 11")),
    (12, 12): ("double_12", _("Double 12")),
    (12, 24): ("christmas_eve", _("Christmas Eve")),
    (12, 25): ("christmas", _("Christmas Day")),
}
_HOLIDAYS: dict[str, Text] = {
    "new_year": _("New Year's Day"),
    "spring_festival": _("Spring Festival"),
    "qingming": _("Qingming Festival"),
    "labour_day": _("Labour Day"),
    "dragon_boat": _("Dragon Boat Festival"),
    "mid_autumn": _("Mid-Autumn Festival"),
    "national_day": _("National Day"),
}
TERMS: dict[str, Text] = {
    "minor_cold": _("Minor Cold"),
    "major_cold": _("Major Cold"),
    "start_of_spring": _("Start of Spring"),
    "rain_water": _("Rain Water"),
    "insects_awaken": _("Awakening of Insects"),
    "spring_equinox": _("Spring Equinox"),
    "qingming": _("Pure Brightness"),
    "grain_rain": _("Grain Rain"),
    "start_of_summer": _("Start of Summer"),
    "grain_full": _("Grain Full"),
    "grain_in_ear": _("Grain in Ear"),
    "summer_solstice": _("Summer Solstice"),
    "minor_heat": _("Minor Heat"),
    "major_heat": _("Major Heat"),
    "start_of_autumn": _("Start of Autumn"),
    "end_of_heat": _("End of Heat"),
    "white_dew": _("White Dew"),
    "autumn_equinox": _("Autumn Equinox"),
    "cold_dew": _("Cold Dew"),
    "frost_descent": _("Frost's Descent"),
    "start_of_winter": _("Start of Winter"),
    "minor_snow": _("Minor Snow"),
    "major_snow": _("Major Snow"),
    "winter_solstice": _("Winter Solstice"),
}


def days(first: date, last: date, country: str) -> list[Day]:
    """Every day from `first` to `last` (included) with what the country's calendar says of it."""
    span = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    if country != CHINA:
        return [Day(day) for day in span]
    years = range(first.year, last.year + 1)
    off = {day: one for year in years for day, one in china.days_off(year).items()}
    work = frozenset(day for year in years for day in china.make_up_workdays(year))
    terms = {day: code for year in years for day, code in lunar.terms(year).items()}
    return [_chinese(day, off.get(day), day in work, terms.get(day, "")) for day in span]


def country_of(time_zone: str) -> str:
    """The country whose holidays a brand in this zone is likely to follow; "" where none is known here."""
    return CHINA if time_zone in {"Asia/Shanghai", "Asia/Urumqi", "PRC"} else ""


def unknown_years(first: date, last: date, country: str) -> list[int]:
    """Years in the span whose official holidays are not known here: make-up workdays are missing."""
    return [year for year in range(first.year, last.year + 1) if country == CHINA and not china.known(year)]


def _chinese(day: date, off: china.DayOff | None, make_up: bool, term: str) -> Day:
    at = lunar.lunar(day)
    found: list[Occasion] = []
    festival = _festival(at)
    if festival is not None:
        found.append(Occasion(festival[0], FESTIVAL, festival[1]))
    if off is not None and (festival is None or festival[0] != off.code):
        found.append(Occasion(off.code, HOLIDAY, _HOLIDAYS[off.code]))
    if make_up:
        found.append(Occasion("make_up", WORKDAY, pgettext_lazy("calendar", "Make-up workday")))
    shopping = _FIXED.get((day.month, day.day)) or _moving(day)
    if shopping is not None:
        found.append(Occasion(shopping[0], SHOPPING, shopping[1]))
    if term and not (off is not None and off.code == term):
        found.append(Occasion(term, TERM, TERMS[term]))
    return Day(day, tuple(found), off is not None, make_up, at)


def _festival(at: lunar.LunarDay | None) -> tuple[str, Text] | None:
    if at is None or at.leap:
        return None
    return _NEW_YEARS_EVE if at.last else _FESTIVALS.get((at.month, at.day))


def _moving(day: date) -> tuple[str, Text] | None:
    """Mother's Day, the second Sunday of May; Father's Day, the third of June."""
    if day.weekday() != SUNDAY:
        return None
    nth = (day.day - 1) // 7 + 1
    if (day.month, nth) == (5, 2):
        return "mothers", _("Mother's Day")
    return ("fathers", _("Father's Day")) if (day.month, nth) == (6, 3) else None
