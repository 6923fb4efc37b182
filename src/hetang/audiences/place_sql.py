"""Conditions on places, as a test of one column of the profile. Pure: builds text and parameters, runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetang.audiences.nearness import Cover, Micro, columns, limit

Test = tuple[str, dict[str, Any]]


def near_sql(column: str, cover: Cover, stores: Sequence[Micro], within: float) -> Test:
    """Within so many metres of one of the stores, by the cover that `nearness.around` made."""
    return _tested(column, cover, stores, within, "arrayExists(i -> {chord} <= {{most:Float64}}, {group})")


def nearest_sql(column: str, cover: Cover, stores: Sequence[Micro], wanted: frozenset[int], within: float) -> Test:
    """The nearest of the stores is a wanted one, by the cover that `nearness.nearest_to` made. Of two at one spot the
    first counts."""
    test = "(arrayMin(i -> {chord}, {group}) <= {{most:Float64}} and "
    test += "{{mine:Array(UInt8)}}[arraySort(i -> tuple({chord}, i), {group})[1]] = 1)"
    where, parameters = _tested(column, cover, stores, within, test)
    return where, parameters | {"mine": tuple(int(i in wanted) for i in range(len(stores)))} if cover.levels else {}


def _tested(column: str, cover: Cover, stores: Sequence[Micro], within: float, test: str) -> Test:
    """The cells of each level are looked up, then only people at a border are measured. Numbers of cells travel as
    what each is beyond the one before: they are large, and lie close together."""
    if not cover.levels:
        return "0", {}
    north, east = f"bitShiftRight({column}, 32)", f"bitAnd({column}, 4294967295)"
    parameters: dict[str, Any] = {"most": limit(within)}
    looked_up = []
    for place, level in enumerate(cover.levels):
        steps = tuple(one - before for one, before in zip(level.cells, (0, *level.cells[:-1]), strict=True))
        parameters |= {f"cells{place}": steps, f"worth{place}": level.worth}
        number = f"intDiv({north}, {level.side}) * {columns(level.side)} + intDiv({east}, {level.side})"
        cells = f"arrayCumSum({{cells{place}:Array(UInt64)}})"
        looked_up.append(f"transform({number}, {cells}, {{worth{place}:Array(UInt32)}}, toUInt32(0))")
    worth = looked_up[0] if len(looked_up) == 1 else f"greatest({', '.join(looked_up)})"
    parameters["groups"] = ((), (), *(tuple(one + 1 for one in group) for group in cover.groups))
    parameters |= {"norths": tuple(one[0] for one in stores), "easts": tuple(one[1] for one in stores)}
    group = f"{{groups:Array(Array(UInt32))}}[{worth} + 1]"
    chord = _half_chord(
        f"toInt64({north}) - 90000000",
        f"toInt64({east}) - 180000000",
        "{norths:Array(Int32)}[i]",
        "{easts:Array(Int32)}[i]",
    )
    return f"({column} > 0 and ({worth} = 1 or {test.format(chord=chord, group=group)}))", parameters


def _half_chord(north: str, east: str, other_north: str, other_east: str) -> str:
    """As `nearness.half_chord`, step by step."""
    here, there = f"({north}) * pi() / 180000000", f"{other_north} * pi() / 180000000"
    across = f"(({east}) - {other_east}) * pi() / 180000000"
    return f"(pow(sin(({here} - {there}) / 2), 2) + cos({here}) * cos({there}) * pow(sin({across} / 2), 2))"
