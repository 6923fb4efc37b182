"""How much more common something is inside a group than outside it. Pure statistics: no ORM, no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Contrast:
    """`inside` of `of_inside` people have it, `outside` of `of_outside` others; `ratio` of the shares with its
    interval. Describes a difference, proves no cause."""

    inside: int
    of_inside: int
    outside: int
    of_outside: int
    ratio: float
    low: float
    high: float

    @property
    def share_inside(self) -> float:
        return self.inside / self.of_inside

    @property
    def share_outside(self) -> float:
        return self.outside / self.of_outside

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out a ratio of one."""
        return self.low > 1 or self.high < 1

    @property
    def strength(self) -> float:
        """How far the end of the interval that is nearer to one is away from it, in logarithms; 0 if not clear."""
        return max(log(self.low), -log(self.high), 0.0)


def level(comparisons: int) -> float:
    """The confidence of each of so many intervals with which they hold together with 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / max(comparisons, 1)


def quantile(comparisons: int) -> float:
    """The normal quantile that belongs to `level`."""
    return NormalDist().inv_cdf((1 + level(comparisons)) / 2)


def contrast(inside: int, of_inside: int, outside: int, of_outside: int, z: float) -> Contrast:
    """The ratio of two shares with its log interval (Katz et al., Biometrics 34, 1978). Where nobody or everybody of a
    group has it, half a person is added to each count and one to each size, so that an interval exists (Walter, 1975).

    `z` is the normal quantile: see `quantile`. Both groups must have people.
    """
    extreme = 0 in (inside, outside) or inside == of_inside or outside == of_outside
    a, n, c, m = (inside + 0.5, of_inside + 1, outside + 0.5, of_outside + 1) if extreme else (
        inside, of_inside, outside, of_outside
    )  # fmt: skip
    ratio = (a / n) / (c / m)
    width = z * sqrt(1 / a - 1 / n + 1 / c - 1 / m)
    return Contrast(inside, of_inside, outside, of_outside, ratio, ratio * exp(-width), ratio * exp(width))
