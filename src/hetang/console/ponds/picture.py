"""The picture of a flow: two columns of blocks with bands between them, as numbers for an SVG. Pure.

Blocks and bands are as high as they have people; a block never takes less room than a line of text, so that names do
not lie on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 300.0  # of all people together
LINE, GAP, BLOCK = 19.0, 6.0, 8.0
LEAST = 0.75  # a band of few people is still seen
WIDE, NARROW = 880, 340


@dataclass(frozen=True)
class Block:
    """People of one spot on one side."""

    colour: str
    name: str
    people: int
    x: str
    y: str
    height: str
    text_x: str
    text_y: str


@dataclass(frozen=True)
class Band:
    """People who went from one block to another."""

    colour: str
    path: str
    source: str
    target: str
    people: int
    stayed: bool


@dataclass(frozen=True)
class Picture:
    width: int
    height: int
    before: list[Block]
    after: list[Block]
    bands: list[Band]


def draw(
    before: Sequence[tuple[str, str, str]],
    after: Sequence[tuple[str, str, str]],
    matrix: Sequence[Sequence[int]],
    width: int,
) -> Picture | None:
    """`before` and `after` are (key, name, colour) of rows and columns. None where nobody is."""
    total = sum(map(sum, matrix))
    if not total:
        return None
    scale = HEIGHT / total
    rows, columns = [sum(row) for row in matrix], [sum(column) for column in zip(*matrix, strict=True)]
    left, right = _tops(rows, scale), _tops(columns, scale)
    bands = []
    out, into = list(left), list(right)
    for row, (key, name, colour) in enumerate(before):
        for column, (other, target, _colour) in enumerate(after):
            people = matrix[row][column]
            if people:
                size = people * scale
                path = _band(out[row], into[column], size, width)
                bands.append(Band(colour, path, name, target, people, stayed=key == other))
                out[row] += size
                into[column] += size
    return Picture(
        width,
        round(max(_bottom(left, rows, scale), _bottom(right, columns, scale))),
        [_block(*one, at, size, scale, 0.0, BLOCK + 6) for one, at, size in zip(before, left, rows, strict=True)],
        [
            _block(*one, at, size, scale, width - BLOCK, width - BLOCK - 6)
            for one, at, size in zip(after, right, columns, strict=True)
        ],
        bands,
    )


def _tops(sizes: Sequence[int], scale: float) -> list[float]:
    """Where each block begins; one without people takes no room."""
    tops, at = [], 0.0
    for size in sizes:
        tops.append(at)
        at += max(size * scale, LINE) + GAP if size else 0.0
    return tops


def _bottom(tops: Sequence[float], sizes: Sequence[int], scale: float) -> float:
    return max((at + max(size * scale, LINE) for at, size in zip(tops, sizes, strict=True) if size), default=LINE)


def _block(  # noqa: PLR0917 - the parts of a drawing
    _key: str, name: str, colour: str, top: float, people: int, scale: float, x: float, text_x: float
) -> Block:
    height = max(people * scale, LEAST)
    middle = top + min(max(height, LINE) / 2, 24.0) + 4
    return Block(colour, name, people, f"{x:.1f}", f"{top:.2f}", f"{height:.2f}", f"{text_x:.1f}", f"{middle:.1f}")


def _band(left: float, right: float, size: float, width: int) -> str:
    """A band from the left column to the right one, its edges two curves."""
    start, end = BLOCK, width - BLOCK
    middle = (start + end) / 2
    low, far = left + max(size, LEAST), right + max(size, LEAST)
    return (
        f"M{start:.0f},{left:.2f}C{middle:.0f},{left:.2f} {middle:.0f},{right:.2f} {end:.0f},{right:.2f}"
        f"V{far:.2f}C{middle:.0f},{far:.2f} {middle:.0f},{low:.2f} {start:.0f},{low:.2f}Z"
    )
