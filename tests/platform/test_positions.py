"""Positions: from one datum to another and back, and as a text."""

from __future__ import annotations

from math import cos, hypot, radians

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.platform import positions
from hetang.platform.positions import Position

CHINA = st.builds(Position, st.floats(18.0, 53.5), st.floats(73.5, 135.0))


def metres(one: Position, other: Position) -> float:
    east = (one.longitude - other.longitude) * cos(radians(one.latitude))
    return hypot(one.latitude - other.latitude, east) * 111_195


@settings(max_examples=200, deadline=None)
@given(CHINA, st.sampled_from(positions.DATUMS))
def test_there_and_back_is_the_same_place_to_a_centimetre(place: Position, datum: str) -> None:
    there = positions.from_wgs84(place, datum)
    assert metres(positions.to_wgs84(*there, datum), place) < 0.01
    text = positions.written(*there, datum)
    kept = positions.read(text)
    assert kept is not None
    assert metres(kept, place) < 0.2
    assert positions.origin(text) == datum


def test_distances_are_those_of_the_great_circle() -> None:
    """Beijing to Shanghai, and to the other side of the earth, and across the date line."""
    beijing, shanghai = Position(39.9042, 116.4074), Position(31.2304, 121.4737)
    assert round(positions.apart_km(beijing, shanghai)) == 1067
    assert positions.apart_km(beijing, beijing) == 0
    assert round(positions.apart_km(beijing, Position(-39.9042, -63.5926))) == 20015
    assert round(positions.apart_km(Position(0, 179.5), Position(0, -179.5))) == 111


# Computed by geocoordinates-rs 0.14.2, an implementation of others.
@pytest.mark.parametrize(
    ("wgs84", "gcj02", "bd09"),
    [
        (Position(31.228453, 121.46917), Position(31.226521949, 121.473707379), Position(31.232456549, 121.480244500)),
        (Position(39.915, 116.404), Position(39.916404282, 116.410244499), Position(39.922699552, 116.416627244)),
        (Position(22.543, 114.058), Position(22.540282983, 114.063114109), Position(22.545942004, 114.069663987)),
        (Position(43.8, 87.6), Position(43.801212030, 87.602838972), Position(43.807472508, 87.609210152)),
        (Position(18.25, 109.5), Position(18.248331521, 109.504118444), Position(18.254012006, 109.510680256)),
    ],
)
def test_the_formulas_are_those_of_others(wgs84: Position, gcj02: Position, bd09: Position) -> None:
    assert metres(positions.from_wgs84(wgs84, "gcj02"), gcj02) < 0.001
    assert metres(positions.from_wgs84(wgs84, "bd09"), bd09) < 0.001
    assert 0.01 < metres(positions.to_wgs84(*gcj02, "gcj02"), gcj02) < 1000


def test_outside_china_gcj02_is_wgs84() -> None:
    assert positions.from_wgs84(Position(1.2838, 103.8591 - 40), "gcj02") == Position(1.2838, 103.8591 - 40)


@pytest.mark.parametrize(
    ("text", "datum"),
    [("GCJ-02", "gcj02"), ("高德", "gcj02"), ("BD09", "bd09"), ("百度", "bd09"), ("gps", "wgs84"), ("utm", "")],
)
def test_a_datum_is_known_by_its_names(text: str, datum: str) -> None:
    assert positions.datum_of(text) == datum


@pytest.mark.parametrize("text", ["", "geo:1,2", "31.2,121.4", "geo:31.230000,121.470000\n", "geo:131.230000,1.000000"])
def test_other_texts_are_no_position(text: str) -> None:
    assert positions.read(text) is None


@pytest.mark.parametrize(
    ("latitude", "longitude", "country", "verdict"),
    [
        (31.23, 121.47, "CN", ""),
        (121.47, 31.23, "CN", "swapped_coordinates"),
        (40.71, -74.00, "CN", "outside_country"),
        (0, 0, "CN", "null_island"),
        (121.47, 31.23, "", "swapped_coordinates"),
        (200, 10, "", "out_of_range"),
        (200, 10, "CN", "out_of_range"),
        (31.23, 181, "", "out_of_range"),
        (95, 10, "CN", "swapped_coordinates"),
        (31.23, None, "CN", "half_a_place"),
        (None, None, "CN", ""),
    ],
)
def test_places_are_judged(latitude: float | None, longitude: float | None, country: str, verdict: str) -> None:
    assert positions.judge(latitude, longitude, country) == verdict
