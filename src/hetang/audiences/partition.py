"""A base split by ordered rules, and who went from where to where between two such splits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyroaring import BitMap


@dataclass(frozen=True)
class Split:
    """`parts[i]`: who fits rule i and none before it; the last part is the rest. `fits[i]`: how many fit rule i at all.
    `lost[i][j]`: how many of them an earlier rule j has (0 for others). The parts are disjoint and make up the base."""

    parts: list[BitMap]
    fits: list[int]
    lost: list[list[int]]


def split(rules: Iterable[BitMap], base: BitMap) -> Split:
    """Give everybody of the base to the first rule that she fits. With n rules up to n²/2 intersections."""
    parts: list[BitMap] = []
    fits, lost, left = [], [], base
    for rule in rules:
        found = rule & base
        fits.append(len(found))
        mine = found & left
        missing = len(found) != len(mine)
        lost.append([found.intersection_cardinality(part) if missing else 0 for part in parts])
        parts.append(mine)
        left = left - mine
    width = len(parts)
    return Split([*parts, left], fits, [row + [0] * (width - len(row)) for row in lost])


def flows(before: Sequence[BitMap], after: Sequence[BitMap]) -> list[list[int]]:
    """How many went from each part of one split (a row) to each part of another (a column). The last row are those who
    were in none before, the last column those who are in none any more."""
    rows = [[old.intersection_cardinality(new) for new in after] for old in before]
    gone = [len(old) - sum(row) for old, row in zip(before, rows, strict=True)]
    new = [len(part) - sum(row[place] for row in rows) for place, part in enumerate(after)]
    return [*([*row, out] for row, out in zip(rows, gone, strict=True)), [*new, 0]]


def between(before: Sequence[BitMap], after: Sequence[BitMap], row: int, column: int) -> BitMap:
    """The people of one cell of `flows`."""
    if row < len(before) and column < len(after):
        return before[row] & after[column]
    if row < len(before):
        return before[row] - BitMap.union(*after) if after else before[row]
    if column < len(after):
        return after[column] - BitMap.union(*before) if before else after[column]
    return BitMap()


def renumbered(parts: Sequence[BitMap], survivors: Mapping[int, int]) -> list[BitMap]:
    """The same people with the numbers of their survivors, by absorbed number, still in one part each: a survivor who
    was in one herself stays there, another one is where the first of those was whom she absorbed."""
    if not survivors:
        return list(parts)
    absorbed = BitMap(survivors)
    mine = [part - absorbed for part in parts]
    taken = BitMap.union(*mine) if mine else BitMap()
    result = []
    for part, own in zip(parts, mine, strict=True):
        came = BitMap(survivors[number] for number in part & absorbed) - taken
        taken = taken | came
        result.append(own | came)
    return result
