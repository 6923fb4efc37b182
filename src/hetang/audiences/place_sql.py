"""Conditions on places, as a select of customers by one column of the profile. Pure: builds text and parameters, runs
nothing.

Everybody's cell is looked up; only who is in a cell at a border is measured, in a select around it. Asked in one
breath, ClickHouse would make the list of stores to measure for everybody, which took five times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetang.audiences.nearness import Cover, Micro, limit, mask
from hetang.audiences.profile_sql import PROFILES, all_of

Select = tuple[str, dict[str, Any]]


def narrowed(tests: Sequence[str] = ()) -> str:
    """The part of a select that chooses people by their cell. With more tests of profiles it takes the place of the one
    without, so that only those are measured for whom they hold: `fusing` does that."""
    return PROFILES + all_of([*tests, "place > 0", "worth > 0"])


def near_sql(column: str, cover: Cover, stores: Sequence[Micro], within: float) -> Select:
    """Within so many metres of one of the stores, by the cover that `nearness.around` made."""
    return _select(column, cover, stores, within, f"arrayExists(i -> {_CHORD} <= {{most:Float64}}, {_GROUP})")


def nearest_sql(column: str, cover: Cover, stores: Sequence[Micro], wanted: frozenset[int], within: float) -> Select:
    """The nearest of the stores is a wanted one, by the cover that `nearness.nearest_to` made. Of two at one spot the
    first counts."""
    test = f"(arrayMin(i -> {_CHORD}, {_GROUP}) <= {{most:Float64}} and "
    test += f"{{mine:Array(UInt8)}}[arraySort(i -> tuple({_CHORD}, i), {_GROUP})[1]] = 1)"
    sql, parameters = _select(column, cover, stores, within, test)
    mine = {"mine": tuple(int(i in wanted) for i in range(len(stores)))} if cover.levels else {}
    return sql, parameters | mine


def _select(column: str, cover: Cover, stores: Sequence[Micro], within: float, test: str) -> Select:
    """Numbers of cells travel as what each is beyond the one before, in sides of a cell: they are large, and lie close
    together."""
    if not cover.levels:
        return "select customer from customer_profile where 0", {}
    parameters: dict[str, Any] = {"most": limit(within)}
    looked_up = []
    for place, level in enumerate(cover.levels):
        before = (0, *level.cells[:-1])
        steps = tuple((one - other) // level.side for one, other in zip(level.cells, before, strict=True))
        parameters |= {f"cells{place}": steps, f"worth{place}": level.worth}
        cells = f"arrayMap(step -> step * {level.side}, arrayCumSum({{cells{place}:Array(UInt64)}}))"
        number = f"bitAnd({column}, {mask(level.side)})"
        looked_up.append(f"transform({number}, {cells}, {{worth{place}:Array(UInt32)}}, toUInt32(0))")
    worth = looked_up[0] if len(looked_up) == 1 else f"greatest({', '.join(looked_up)})"
    parameters["groups"] = ((), (), *(tuple(one + 1 for one in group) for group in cover.groups))
    parameters |= {"norths": tuple(one[0] for one in stores), "easts": tuple(one[1] for one in stores)}
    in_cells = f"select customer, {column} as place, {worth} as worth {narrowed()}"
    return f"select customer from ({in_cells}) where worth = 1 or {test}", parameters


_GROUP = "{groups:Array(Array(UInt32))}[worth + 1]"
_HERE = "(toInt64(bitShiftRight(place, 32)) - 90000000) * pi() / 180000000"
_THERE = "{norths:Array(Int32)}[i] * pi() / 180000000"
_ACROSS = "((toInt64(bitAnd(place, 4294967295)) - 180000000) - {easts:Array(Int32)}[i]) * pi() / 180000000"
# As `nearness.half_chord`, step by step.
_CHORD = f"(pow(sin(({_HERE} - {_THERE}) / 2), 2) + cos({_HERE}) * cos({_THERE}) * pow(sin({_ACROSS} / 2), 2))"
