"""Who is near which store: distances, and the cells of a grid that make them a question which reads each customer once.

A rule names stores; it becomes cells that are wholly inside (nobody there needs to be measured), and cells at a border,
each with the few stores that decide there. Cells outside are not named at all. Levels of the grid are four times finer
each, and a cell is only divided where that decides something. Positions are WGS-84 in millionths of a degree. Pure.

Sides are powers of two, so the cell of a point is its latitude and longitude without their last bits, side by side in
one number as the history keeps the point itself: one `and` of two numbers, where a division costs five times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import asin, cos, pi, sin, sqrt
from typing import TYPE_CHECKING

from hetang.platform.positions import Position

if TYPE_CHECKING:
    import numpy as np

EARTH_M = 6_371_008.8  # mean radius; a great circle is at most 0.5 % beside the way on the ellipsoid
NEAREST_M = 50_000  # further away no store is the nearest
SIDES = (1 << 19, 1 << 17, 1 << 15, 1 << 13, 1 << 11)  # of cells, in millionths of a degree: 58 km to 228 m of latitude
FEW = 6  # so many stores may be measured at a border, instead of dividing it further
MOST_CELLS = 8_000  # on one level: beyond, borders are measured in larger cells

Micro = tuple[int, int]  # latitude and longitude in millionths of a degree


def micro(position: Position) -> Micro:
    """A position in whole millionths of a degree."""
    return round(position.latitude * 1_000_000), round(position.longitude * 1_000_000)


def half_chord(one: Micro, other: Micro) -> float:
    """The square of half the chord between two points on the unit sphere (haversine): grows with the distance, and is
    what the engine compares, by the same steps."""
    north, south = one[0] * pi / 180_000_000, other[0] * pi / 180_000_000
    east = (one[1] - other[1]) * pi / 180_000_000
    return sin((north - south) / 2) ** 2 + cos(north) * cos(south) * sin(east / 2) ** 2


def limit(metres: float) -> float:
    """The `half_chord` of a distance."""
    return sin(min(metres / EARTH_M / 2, pi / 2)) ** 2


def metres(one: Micro, other: Micro) -> float:
    """The distance of two points."""
    return 2 * EARTH_M * asin(min(1.0, sqrt(half_chord(one, other))))


def nearest(place: Micro, stores: Sequence[tuple[str, Micro]], within: float = NEAREST_M) -> tuple[str, float] | None:
    """The nearest of the stores (code, position) and its distance in metres; of two at one spot the first. None where
    there is none within so many metres."""
    found = min(((half_chord(place, at), code, at) for code, at in stores), key=lambda one: one[0], default=None)
    return (found[1], metres(place, found[2])) if found and found[0] <= limit(within) else None


@dataclass(frozen=True, slots=True)
class Level:
    """Cells of one size, numbered by `cell`, in order: what each is worth. 1: all of it is inside; from 2 on: the group
    of stores (place in `Cover.groups`, counted from 2) that decides."""

    side: int
    cells: tuple[int, ...]
    worth: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cover:
    """Cells that hold everybody asked for. A point is in at most one of them."""

    levels: tuple[Level, ...]
    groups: tuple[tuple[int, ...], ...]


def mask(side: int) -> int:
    """The bits of a point that name its cell of this size."""
    kept = (1 << 32) - side
    return kept << 32 | kept


def cell(place: Micro, side: int) -> int:
    """The number of the cell of this size in which a point is: the history's number of its south-western corner."""
    return (place[0] + 90_000_000 << 32 | place[1] + 180_000_000) & mask(side)


@lru_cache(maxsize=32)
def around(stores: tuple[Micro, ...], within: float) -> Cover:
    """The cells of all points within so many metres of any of the stores."""
    return _cover(stores, frozenset(range(len(stores))), within, alone=False)


@lru_cache(maxsize=32)
def nearest_to(stores: tuple[Micro, ...], wanted: frozenset[int]) -> Cover:
    """The cells of all points whose nearest store is one of `wanted` (places in `stores`) and within `NEAREST_M`."""
    return _cover(stores, wanted, NEAREST_M, alone=True)


def _cover(stores: tuple[Micro, ...], wanted: frozenset[int], within: float, *, alone: bool) -> Cover:
    """`alone`: stores that are not wanted take points away. Level by level, from cells of 71 km down; pairs of a cell
    and a store that may decide it are looked at all at once, sorted by their cell.

    Every point of a cell is within its radius of its middle, so no distance differs by more from that of there.
    """
    import numpy as np

    if not wanted:
        return Cover((), ())
    north, east = (np.array([one[axis] for one in stores]) * pi / 180_000_000 for axis in (0, 1))
    asked = np.zeros(len(stores), dtype=bool)
    asked[list(wanted)] = True
    rows, across = _first_cells([stores[one] for one in sorted(wanted)], within)
    of = np.repeat(np.arange(len(rows)), len(stores) if alone else len(wanted))
    store = np.tile(np.arange(len(stores)) if alone else np.flatnonzero(asked), len(rows))
    groups: dict[tuple[int, ...], int] = {}
    levels: list[Level] = []
    for side in SIDES:
        middle, radius = _circles(rows, across, side)
        away = _metres(middle[0][of], middle[1][of], north[store], east[store])
        nearest = np.minimum.reduceat(away, np.flatnonzero(np.diff(of, prepend=-1)))
        reach = np.minimum(within, nearest + radius) if alone else np.full(len(rows), float(within))
        deciding = away - radius[of] <= reach[of]

        def count(pairs: np.ndarray, of: np.ndarray = of, cells: int = len(rows)) -> np.ndarray:
            return np.bincount(of[pairs], minlength=cells)

        number, mine = count(deciding), count(deciding & asked[store])
        inside = (count(away + radius[of] <= within) > 0) & (mine > 0)
        if alone:
            inside &= mine == number
        open_ = (mine > 0) & ~inside
        settled = number <= FEW if alone or side * 0.11 <= within / 8 else np.zeros(len(rows), dtype=bool)
        if side == SIDES[-1] or 16 * int((open_ & ~settled).sum()) > MOST_CELLS:
            settled = np.ones(len(rows), dtype=bool)
        numbers = rows * side << 32 | across * side
        known = {int(one): 1 for one in numbers[inside]}
        known |= _measured(numbers, open_ & settled, of[deciding], store[deciding], groups)
        if known:
            cells = tuple(sorted(known))
            levels.append(Level(side, cells, tuple(known[one] for one in cells)))
        divided = open_ & ~settled
        if not divided.any():
            break
        rows, across, of, store = _divided(rows, across, divided, of[deciding], store[deciding], side // 4)
    return Cover(tuple(_joined(levels)), tuple(groups))


def _joined(levels: Sequence[Level]) -> list[Level]:
    """A level of few cells becomes part of the next: everybody is looked up once on each level."""
    joined: list[Level] = []
    for level in levels:
        coarse = joined[-1] if joined else None
        if coarse and len(level.cells) + len(coarse.cells) * (coarse.side // level.side) ** 2 <= MOST_CELLS:
            joined[-1] = _one_level(coarse, level)
        else:
            joined.append(level)
    return joined


def _one_level(coarse: Level, fine: Level) -> Level:
    import numpy as np

    steps = np.arange(0, coarse.side, fine.side)
    parts = (steps[:, None] << 32 | steps).ravel()
    cells = np.concatenate([(np.array(coarse.cells)[:, None] + parts).ravel(), np.array(fine.cells)])
    worth = np.concatenate([np.repeat(coarse.worth, len(parts)), np.array(fine.worth)])
    order = np.argsort(cells)
    return Level(fine.side, tuple(cells[order].tolist()), tuple(worth[order].tolist()))


def _first_cells(stores: Sequence[Micro], within: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the largest cells that may hold somebody within reach."""
    import numpy as np

    side = SIDES[0]
    found: set[tuple[int, int]] = set()
    high = within / EARTH_M * 180_000_000 / pi * 1.01
    for latitude, longitude in stores:
        wide = _half_width(latitude, high)
        rows = range(_row(latitude - high, side), _row(latitude + high, side) + 1)
        for west, east in _parts(longitude - wide, longitude + wide):
            found.update((row, column) for row in rows for column in range(west // side, east // side + 1))
    cells = np.array(sorted(found), dtype=np.int64)
    return cells[:, 0], cells[:, 1]


def _half_width(latitude: float, high: float) -> float:
    """How far a circle reaches to the east, as its radius in the same unit and its middle say; all around where a pole
    is in it."""
    if abs(latitude) + high >= 90_000_000:
        return 180_000_000
    return asin(sin(high * pi / 180_000_000) / cos(latitude * pi / 180_000_000)) * 180_000_000 / pi + 1


def _row(latitude: float, side: int) -> int:
    return int(min(max(latitude + 90_000_000, 0), 180_000_000)) // side


def _parts(west: float, east: float) -> list[tuple[int, int]]:
    """From one longitude to another, both counted from the date line: two parts where that lies between them."""
    first, last, whole = int(west) + 180_000_000, int(east) + 180_000_001, 360_000_000
    if first < 0:
        return [(0, last), (whole + first, whole)]
    return [(first, last)] if last <= whole else [(first, whole), (0, last - whole)]


def _circles(rows: np.ndarray, across: np.ndarray, side: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Middle (radians) and radius (metres, a little more) of cells: their corners are the furthest from there. A cell
    at the north pole ends there."""
    import numpy as np

    south, west = (rows * side - 90_000_000) * pi / 180_000_000, (across * side - 180_000_000) * pi / 180_000_000
    top = np.minimum(south + side * pi / 180_000_000, pi / 2)
    north, east = (south + top) / 2, west + side / 2 * pi / 180_000_000
    corners = [_metres(north, east, corner, west) for corner in (south, top)]
    return (north, east), np.maximum(*corners) * 1.000001 + 0.01


def _metres(north: np.ndarray, east: np.ndarray, other_north: np.ndarray, other_east: np.ndarray) -> np.ndarray:
    import numpy as np

    chord = np.sin((north - other_north) / 2) ** 2
    chord = chord + np.cos(north) * np.cos(other_north) * np.sin((east - other_east) / 2) ** 2
    away: np.ndarray = 2 * EARTH_M * np.arcsin(np.minimum(1.0, np.sqrt(chord)))
    return away


def _measured(
    numbers: np.ndarray, chosen: np.ndarray, of: np.ndarray, store: np.ndarray, groups: dict[tuple[int, ...], int]
) -> dict[int, int]:
    """The group of each chosen cell; new groups are noted."""
    pairs = chosen[of]
    deciding: dict[int, list[int]] = {}
    for cell_, one in zip(of[pairs].tolist(), store[pairs].tolist(), strict=True):
        deciding.setdefault(cell_, []).append(one)
    return {int(numbers[cell_]): groups.setdefault(tuple(of_it), len(groups) + 2) for cell_, of_it in deciding.items()}


def _divided(  # noqa: PLR0917 - cells, pairs, and the side of the parts
    rows: np.ndarray, across: np.ndarray, chosen: np.ndarray, of: np.ndarray, store: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The chosen cells in sixteen parts each, with the pairs of each part. Nobody is in those parts of the last column
    that lie beyond the date line."""
    import numpy as np

    part = np.arange(16)
    new_rows = (rows[chosen][:, None] * 4 + part // 4).ravel()
    new_across = (across[chosen][:, None] * 4 + part % 4).ravel()
    place = np.cumsum(chosen) - 1
    pairs = chosen[of]
    new_of = (place[of[pairs]][:, None] * 16 + part).ravel()
    new_store = np.repeat(store[pairs], 16)
    here = new_across * side <= 360_000_000
    new_of, new_store = (np.cumsum(here) - 1)[new_of][here[new_of]], new_store[here[new_of]]
    order = np.argsort(new_of, kind="stable")
    return new_rows[here], new_across[here], new_of[order], new_store[order]
