"""Who is near which store: distances, and the cells of a grid that make them a question which reads each customer once.

A rule names stores; it becomes cells that are wholly inside (nobody there needs to be measured), and cells at a border,
each with the few stores that decide there. Cells outside are not named at all. Levels of the grid are four times finer
each, and a cell is only divided where that decides something. Positions are WGS-84 in millionths of a degree. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import asin, cos, pi, sin, sqrt
from typing import TYPE_CHECKING, Any

from hetang.platform.positions import Position

if TYPE_CHECKING:
    import numpy as np

EARTH_M = 6_371_008.8  # mean radius; a great circle is at most 0.5 % beside the way on the ellipsoid
NEAREST_M = 50_000  # further away no store is the nearest
SIDES = (640_000, 160_000, 40_000, 10_000, 2_500)  # of cells, in millionths of a degree: 71 km to 280 m of latitude
FEW = 6  # so many stores may be measured at a border, instead of dividing it further
MOST_CELLS = 12_000  # at one level: beyond, borders are measured in larger cells

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


def columns(side: int) -> int:
    """How many cells of this size stand around the earth, and one more."""
    return 360_000_000 // side + 1


def cell(place: Micro, side: int) -> int:
    """The number of the cell of this size in which a point is."""
    return (place[0] + 90_000_000) // side * columns(side) + (place[1] + 180_000_000) // side


@lru_cache(maxsize=32)
def around(stores: tuple[Micro, ...], within: float) -> Cover:
    """The cells of all points within so many metres of any of the stores."""
    return _cover(stores, frozenset(range(len(stores))), within, alone=False)


@lru_cache(maxsize=32)
def nearest_to(stores: tuple[Micro, ...], wanted: frozenset[int]) -> Cover:
    """The cells of all points whose nearest store is one of `wanted` (places in `stores`) and within `NEAREST_M`."""
    return _cover(stores, wanted, NEAREST_M, alone=True)


def _cover(stores: tuple[Micro, ...], wanted: frozenset[int], within: float, *, alone: bool) -> Cover:
    """`alone`: stores that are not wanted take points away. Level by level, from whole degrees down."""
    if not wanted:
        return Cover((), ())
    at = _Stores(stores, wanted, within, alone)
    groups: dict[tuple[int, ...], int] = {}
    levels: list[Level] = []
    frontier = at.begin(SIDES[0])
    for depth, side in enumerate(SIDES):
        last = depth == len(SIDES) - 1 or 16 * len(frontier) > MOST_CELLS
        known: dict[int, int] = {}
        following: list[tuple[int, int, np.ndarray]] = []
        for row, column, near in frontier:
            inside, deciding = at.judge(row, column, side, near)
            if inside:
                known[row * columns(side) + column] = 1
            elif len(deciding) == 0:
                continue
            elif last or (len(deciding) <= FEW and (alone or side * 0.11 <= within / 8)):
                group = tuple(int(one) for one in deciding)
                known[row * columns(side) + column] = groups.setdefault(group, len(groups) + 2)
            else:
                following += [(row * 4 + i, column * 4 + j, deciding) for i in range(4) for j in range(4)]
        if known:
            cells = tuple(sorted(known))
            levels.append(Level(side, cells, tuple(known[one] for one in cells)))
        if last or not following:
            break
        frontier = following
    return Cover(tuple(levels), tuple(groups))


class _Stores:
    """Positions of stores, and what a cell is worth to them."""

    def __init__(self, stores: tuple[Micro, ...], wanted: frozenset[int], within: float, alone: bool) -> None:
        import numpy as np

        self._np = np
        self.north = np.array([one[0] for one in stores]) * pi / 180_000_000
        self.east = np.array([one[1] for one in stores]) * pi / 180_000_000
        self.wanted = np.zeros(len(stores), dtype=bool)
        self.wanted[list(wanted)] = True
        self.micro = stores
        self.within = within
        self.alone = alone

    def begin(self, side: int) -> list[tuple[int, int, Any]]:
        """The cells of the first level that may hold somebody."""
        everybody = self._np.arange(len(self.micro))
        found: set[tuple[int, int]] = set()
        for one in self._np.flatnonzero(self.wanted).tolist():
            latitude, longitude = self.micro[one]
            high = self.within / EARTH_M * 180_000_000 / pi * 1.01
            wide = min(high / max(cos(min(abs(latitude) + high, 89_000_000) * pi / 180_000_000), 0.01), 180_000_000)
            rows = range(int(max(latitude - high + 90_000_000, 0)) // side, _up(latitude + high, 90, side))
            across = range(int(max(longitude - wide + 180_000_000, 0)) // side, _up(longitude + wide, 180, side))
            found.update((row, column) for row in rows for column in across)
        return [(row, column, everybody) for row, column in sorted(found)]

    def judge(self, row: int, column: int, side: int, near: Any) -> tuple[bool, Any]:
        """Whether all points of a cell are inside, and the stores that decide it; neither where none is.

        Every point of a cell is within its radius of its middle, so no distance differs by more from that of there.
        """
        np = self._np
        south, west = row * side - 90_000_000, column * side - 180_000_000
        middle = (south + side / 2, west + side / 2)
        corners = ((south, west), (min(south + side, 90_000_000), west))
        radius = max(metres(middle, corner) for corner in corners) * 1.000001 + 0.01  # type: ignore[arg-type]
        north, east = middle[0] * pi / 180_000_000, middle[1] * pi / 180_000_000
        chord = (
            np.sin((self.north[near] - north) / 2) ** 2
            + cos(north) * np.cos(self.north[near]) * np.sin((self.east[near] - east) / 2) ** 2
        )
        away = 2 * EARTH_M * np.arcsin(np.minimum(1.0, np.sqrt(chord)))
        reach = min(self.within, float(away.min()) + radius) if self.alone else self.within
        deciding = near[away - radius <= reach]
        if len(deciding) == 0 or not self.wanted[deciding].any():
            return False, deciding[:0]
        whole = away + radius <= self.within
        if self.alone:
            return bool(self.wanted[deciding].all() and whole.any()), deciding
        return bool(whole.any()), deciding


def _up(micro_degrees: float, half: int, side: int) -> int:
    """Behind the last cell that reaches so far."""
    return int(min(micro_degrees + half * 1_000_000, 2 * half * 1_000_000)) // side + 1
