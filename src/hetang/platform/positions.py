"""Positions on the earth: what can be one, in which coordinate system it is written, and the one in which it is kept.

WGS-84 is what GPS receivers tell. GCJ-02 is what maps in mainland China must show (Amap, Tencent, WeChat), a few
hundred metres beside it; BD-09 is Baidu's, on top of that. Distances are measured in WGS-84, to a millionth of a degree
(0.1 m). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from math import asin, atan2, cos, hypot, pi, radians, sin, sqrt
from typing import NamedTuple

USUAL = "place"  # the attribute that holds a customer's position, where she has but one
DATUMS = ("wgs84", "gcj02", "bd09")
NAMES = {"wgs84": "WGS-84", "gcj02": "GCJ-02", "bd09": "BD-09"}
DATUM_WORDS = {  # how files write a datum, without spaces, dashes and case
    "wgs84": "wgs84 wgs gps epsg4326 4326 地球坐标 国际坐标",
    "gcj02": "gcj02 gcj amap gaode autonavi tencent wechat mars 高德 腾讯 微信 火星坐标 国测局坐标",
    "bd09": "bd09 bd09ll baidu 百度 百度坐标",
}
# Bounding boxes (south, west, north, east) of countries that brands run shops in; an absent country is not judged.
BOXES: dict[str, tuple[float, float, float, float]] = {
    "CN": (18.0, 73.4, 53.6, 135.1),
    "HK": (22.1, 113.8, 22.6, 114.5),
    "MO": (22.1, 113.5, 22.3, 113.7),
    "TW": (21.8, 118.1, 26.5, 122.1),
    "SG": (1.1, 103.5, 1.5, 104.2),
    "MY": (0.8, 99.5, 7.5, 119.4),
    "TH": (5.5, 97.3, 20.6, 105.7),
    "VN": (8.1, 102.1, 23.5, 109.6),
    "ID": (-11.1, 94.9, 6.2, 141.1),
    "PH": (4.5, 116.8, 21.3, 126.7),
    "JP": (24.0, 122.9, 45.6, 146.0),
    "KR": (33.0, 124.5, 38.7, 131.9),
    "US": (18.8, -179.2, 71.5, -66.9),
    "CA": (41.6, -141.1, 83.2, -52.5),
    "GB": (49.8, -8.7, 60.9, 1.8),
    "FR": (41.3, -5.2, 51.2, 9.6),
    "DE": (47.2, 5.8, 55.1, 15.1),
    "AU": (-43.7, 112.9, -10.6, 153.7),
}
_COUNTRY_OF_ZONE = {
    "Asia/Shanghai": "CN", "Asia/Urumqi": "CN", "Asia/Hong_Kong": "HK", "Asia/Macau": "MO", "Asia/Taipei": "TW",
    "Asia/Singapore": "SG", "Asia/Tokyo": "JP", "Asia/Seoul": "KR", "Europe/London": "GB", "Europe/Paris": "FR",
}  # fmt: skip
_EARTH = (-90.0, -180.0, 90.0, 180.0)
FAULTS = ("swapped_coordinates", "outside_country", "out_of_range", "half_a_place", "null_island", "no_datum")

Degrees = Decimal | float


class Position(NamedTuple):
    """Latitude and longitude in degrees."""

    latitude: float
    longitude: float


def country_of(time_zone: str) -> str:
    """The country in which somebody in this zone has most of her places; empty where that is not known."""
    return _COUNTRY_OF_ZONE.get(time_zone, "")


def judge(latitude: Degrees | None, longitude: Degrees | None, country: str) -> str:
    """Empty when nothing is wrong, else `half_a_place`, `null_island`, `swapped_coordinates`, `outside_country`, or
    `out_of_range` where there is no such place on earth in either order."""
    if latitude is None and longitude is None:
        return ""
    if latitude is None or longitude is None:
        return "half_a_place"
    if latitude == 0 and longitude == 0:
        return "null_island"
    if not _inside(latitude, longitude, _EARTH):
        return "swapped_coordinates" if _inside(longitude, latitude, _EARTH) else "out_of_range"
    box = BOXES.get(country, _EARTH)
    if _inside(latitude, longitude, box):
        return ""
    return "swapped_coordinates" if _inside(longitude, latitude, box) else "outside_country"


def _inside(latitude: Degrees, longitude: Degrees, box: tuple[float, float, float, float]) -> bool:
    south, west, north, east = box
    return south <= latitude <= north and west <= longitude <= east


def datum_of(text: str) -> str:
    """The datum that a text names, in either language or by a map that uses it; empty when it names none."""
    plain = re.sub(r"[\s_-]+", "", text.lower())
    return next((datum for datum, words in DATUM_WORDS.items() if plain in words.split()), "")


# -- from one datum to another -------------------------------------------------------------------------------------
#
# The shift of GCJ-02 and the turn of BD-09 were never published; these are the formulas that everybody found out, as
# "Restrictions on geographic data in China" (Wikipedia) gives them. `tests/platform/test_positions.py` holds them
# against figures of another implementation.

_AXIS, _ECCENTRICITY_2 = 6378245.0, 0.00669342162296594323  # of Krasovsky's ellipsoid
_SHIFTED = (0.8293, 72.004, 55.8271, 137.8347)  # south, west, north, east
_BAIDU = pi * 3000 / 180
_STEPS = 8  # of the inverse; each makes what is wrong smaller by a factor of thousands


def to_wgs84(latitude: Degrees, longitude: Degrees, datum: str) -> Position:
    """A position in WGS-84. Raises KeyError for an unknown datum. About 20 microseconds."""
    given = Position(float(latitude), float(longitude))
    if datum == "wgs84":
        return given
    return _undone(_FROM_WGS84[datum], given)


def from_wgs84(position: Position, datum: str) -> Position:
    """A WGS-84 position in another datum. Raises KeyError for an unknown one."""
    return position if datum == "wgs84" else _FROM_WGS84[datum](position)


def _undone(shift: Callable[[Position], Position], shifted: Position) -> Position:
    """The position that is shifted to there: a guess, moved by what its own shift misses."""
    guess = shifted
    for _step in range(_STEPS):
        reached = shift(guess)
        missed = Position(shifted.latitude - reached.latitude, shifted.longitude - reached.longitude)
        guess = Position(guess.latitude + missed.latitude, guess.longitude + missed.longitude)
        if abs(missed.latitude) < 1e-10 and abs(missed.longitude) < 1e-10:
            break
    return guess


def _gcj02(position: Position) -> Position:
    """From WGS-84. Outside a box around China nothing is shifted."""
    latitude, longitude = position
    if not _inside(latitude, longitude, _SHIFTED):
        return position
    x, y = longitude - 105.0, latitude - 35.0
    waves = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + waves
    north += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + waves
    east += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    angle = latitude / 180.0 * pi
    flatness = 1 - _ECCENTRICITY_2 * sin(angle) ** 2
    of_latitude = _AXIS * (1 - _ECCENTRICITY_2) / (flatness * sqrt(flatness)) * pi / 180.0
    of_longitude = _AXIS / sqrt(flatness) * cos(angle) * pi / 180.0
    return Position(latitude + north / of_latitude, longitude + east / of_longitude)


def _bd09(position: Position) -> Position:
    """From WGS-84: Baidu turns and stretches GCJ-02 a little, wherever it is."""
    latitude, longitude = _gcj02(position)
    length = hypot(longitude, latitude) + 0.00002 * sin(latitude * _BAIDU)
    angle = atan2(latitude, longitude) + 0.000003 * cos(longitude * _BAIDU)
    return Position(length * sin(angle) + 0.006, length * cos(angle) + 0.0065)


_RADIUS_KM = 6371.0088
_FROM_WGS84: dict[str, Callable[[Position], Position]] = {"gcj02": _gcj02, "bd09": _bd09}


def apart_km(one: Position, other: Position) -> float:
    """How far apart two positions are, along a great circle."""
    north, east = radians(one.latitude - other.latitude), radians(one.longitude - other.longitude)
    between = cos(radians(one.latitude)) * cos(radians(other.latitude)) * sin(east / 2) ** 2
    return 2 * _RADIUS_KM * asin(sqrt(min(1.0, sin(north / 2) ** 2 + between)))


# -- as a text ------------------------------------------------------------------------------------------------------
#
# A `geo` URI (RFC 5870), whose coordinates are WGS-84 by its definition; six decimals, and the datum that they came in.

# Without a question mark and backslash: in SQL they mean something else.
PATTERN = "^geo:(-{0,1}[0-9]{1,2}[.][0-9]{6}),(-{0,1}[0-9]{1,3}[.][0-9]{6})(;from=[a-z0-9]+){0,1}$"
_TEXT = re.compile(PATTERN.removesuffix("$") + r"\Z")


def written(latitude: Degrees, longitude: Degrees, datum: str) -> str:
    """A position given in a datum, as the text in which positions of customers are kept."""
    north, east = to_wgs84(latitude, longitude, datum)
    come_from = "" if datum == "wgs84" else f";from={datum}"
    return f"geo:{north:.6f},{east:.6f}{come_from}"


def read(text: str) -> Position | None:
    """The WGS-84 position that a text of `written` names; None where it is none."""
    found = _TEXT.match(text)
    return Position(float(found[1]), float(found[2])) if found else None


def shown(text: str) -> str:
    """A text of `written` as people read it; any other text as it is."""
    position = read(text)
    return text if position is None else f"{position.latitude:.6f}, {position.longitude:.6f} · {NAMES['wgs84']}"


def origin(text: str) -> str:
    """The datum in which a position came that is now a text of `written`."""
    return text.partition(";from=")[2] or "wgs84"
