"""Who is near which store: by cells of a grid and by measuring everybody."""

from __future__ import annotations

import random
from itertools import product
from uuid import uuid4

import pytest

from hetang.audiences import history, nearness
from hetang.audiences.moments import Moment
from hetang.audiences.nearness import NEAREST_M, Micro, half_chord, limit
from hetang.audiences.plans import plan
from hetang.audiences.rules import AttributeType, Catalogue, Named, NearStore, StorePlace
from hetang.platform import clickhouse

MOMENT = Moment.__new__(Moment)


def scattered(rng: random.Random, count: int, middle: Micro, spread: float) -> list[Micro]:
    return [(round(middle[0] + rng.gauss(0, spread)), round(middle[1] + rng.gauss(0, spread))) for _ in range(count)]


RNG = random.Random(20260301)
SHANGHAI, URUMQI, DATE_LINE = (31_230_000, 121_470_000), (43_800_000, 87_600_000), (-16_800_000, 179_990_000)
AT_ONE_SPOT = (31_000_000, 121_000_000)
AT = [*scattered(RNG, 60, SHANGHAI, 60_000), *scattered(RNG, 3, URUMQI, 400_000), AT_ONE_SPOT]
STORES = {f"{number:03d}": at for number, at in enumerate([*AT, AT_ONE_SPOT])}
PEOPLE = [
    *scattered(RNG, 1500, SHANGHAI, 100_000),
    *scattered(RNG, 400, URUMQI, 600_000),
    *scattered(RNG, 100, SHANGHAI, 3_000_000),
    *scattered(RNG, 100, AT_ONE_SPOT, 50_000),
    *AT,
]
CATALOGUE = Catalogue(
    attributes={"spot": AttributeType("place", "位置", "Position")},
    stores={code: Named(number, code) for number, code in enumerate(STORES)},
    places={code: StorePlace(at, code != "007") for code, at in STORES.items()},
)


def covered(cover: nearness.Cover, place: Micro) -> int:
    """What the cell of a point is worth; 0 outside. It is in one cell at most."""
    found = [
        level.worth[level.cells.index(number)]
        for level in cover.levels
        if (number := nearness.cell(place, level.side)) in level.cells
    ]
    assert len(found) <= 1
    return found[0] if found else 0


@pytest.mark.parametrize("within", [50, 3_000, 40_000])
def test_cells_leave_nobody_out_and_take_nobody_in(within: int) -> None:
    stores = (*AT[:5], *AT[60:63])
    cover = nearness.around(stores, within)
    for place in PEOPLE:
        away = [half_chord(place, at) for at in stores]
        worth = covered(cover, place)
        inside = min(away) <= limit(within)
        assert worth != 0 or not inside
        assert worth != 1 or inside
        if worth > 1:
            assert any(away[one] <= limit(within) for one in cover.groups[worth - 2]) == inside


@pytest.mark.parametrize("within", [300, 3_000, 40_000])
def test_circles_go_over_the_date_line(within: int) -> None:
    stores = (DATE_LINE, (DATE_LINE[0] + 30_000, -179_970_000))
    around = [*scattered(RNG, 800, DATE_LINE, 30_000), *scattered(RNG, 800, DATE_LINE, 700_000)]
    people = [(north, (east + 180_000_000) % 360_000_000 - 180_000_000) for north, east in around]
    people += [(north, line) for north, _east in around[:200] for line in (180_000_000, -180_000_000)]
    both = nearness.around(stores, within), nearness.nearest_to(stores, frozenset({0}))
    for place in people:
        away = [half_chord(place, at) for at in stores]
        for cover, inside in zip(
            both,
            (min(away) <= limit(within), away[0] <= min(away[1], limit(NEAREST_M))),
            strict=True,
        ):
            worth = covered(cover, place)
            assert worth != 0 or not inside
            assert worth != 1 or inside


POLES = ((89_985_000, -179_990_000), (-89_999_999, 3_000_000), (90_000_000, 0), (-90_000_000, 12_345_678))
PARTS = list(product((-1, 0, 1), repeat=2))


@pytest.mark.parametrize("within", [300, 3_000, 40_000, 300_000])
def test_circles_go_over_the_poles(within: int) -> None:
    rng = random.Random(within)
    lines = [-180_000_000, 180_000_000, *(rng.randint(-180_000_000, 180_000_000) for _ in range(700))]
    people = [(sign * (90_000_000 - round(rng.expovariate(8 / within))), line) for line in lines for sign in (1, -1)]
    both = nearness.around(POLES, within), nearness.nearest_to(POLES, frozenset({0, 3}))
    for place in people:
        away = [half_chord(place, at) for at in POLES]
        for cover, inside in zip(
            both, (min(away) <= limit(within), min(away[0], away[3]) <= min(*away, limit(NEAREST_M))), strict=True
        ):
            worth = covered(cover, place)
            assert worth != 0 or not inside
            assert worth != 1 or inside


@pytest.mark.parametrize("within", [300, 3_000, 40_000])
def test_nobody_is_lost_at_the_corners_of_cells(within: int) -> None:
    """The last points of each cell and the first of its neighbours, of a circle at the date line, too."""
    rng = random.Random(within)
    for store in ((31_230_017, 121_470_003), (-16_800_000, 179_999_990)):
        cover = nearness.around((store,), within)
        assert len(cover.levels) == 1
        (level,) = cover.levels
        for number in rng.sample(level.cells, min(150, len(level.cells))):
            north, east = (number >> 32) - 90_000_000, (number & 0xFFFFFFFF) - 180_000_000
            for up, right in PARTS:
                for place in ((north + up * level.side, east + right * level.side), (north + up, east + right)):
                    around = place[0], (place[1] + 180_000_000) % 360_000_000 - 180_000_000
                    inside = half_chord(around, store) <= limit(within)
                    worth = covered(cover, around)
                    assert worth != 0 or not inside
                    assert worth != 1 or inside


@pytest.fixture(scope="module")
def people(history: None) -> None:
    rows = [
        [number, 1, {"spot": f"geo:{north / 1e6:.6f},{east / 1e6:.6f}"}]
        for number, (north, east) in enumerate(PEOPLE, 1)
    ]
    clickhouse.insert("customer_profile", ["customer", "version", "attributes"], rows, token=f"near-{uuid4()}")


def asked(condition: NearStore) -> set[int]:
    question = plan(condition, CATALOGUE, MOMENT)
    return set(history.members([question])[question])  # type: ignore[list-item, index]


@pytest.mark.engine
@pytest.mark.parametrize(("codes", "metres"), [(["003"], 300), (list(STORES)[:50], 3_000), (list(STORES), 200_000)])
def test_the_engine_finds_whom_measuring_finds(people: None, codes: list[str], metres: int) -> None:
    expected = {
        number
        for number, place in enumerate(PEOPLE, 1)
        if min(half_chord(place, STORES[code]) for code in codes) <= limit(metres)
    }
    assert asked(NearStore("spot", "within", tuple(codes), metres)) == expected


@pytest.mark.engine
@pytest.mark.parametrize("codes", [["000"], ["061"], ["007"], ["063"], ["064"], list(STORES)[:30], list(STORES)])
def test_the_engine_finds_the_nearest_store_of_everybody(people: None, codes: list[str]) -> None:
    stores = [(code, at) for code, at in STORES.items() if code != "007"]
    found = [nearness.nearest(place, stores) for place in PEOPLE]
    expected = {number for number, one in enumerate(found, 1) if one is not None and one[0] in codes}
    assert asked(NearStore("spot", "nearest", tuple(codes))) == expected
    assert all(one is None or one[1] <= NEAREST_M for one in found)
