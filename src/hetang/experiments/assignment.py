"""Who gets what, drawn by a keyed hash: the same seed and numbers give the same arms anywhere, in any order.

A customer (or a cluster: an adviser, a store) is a number. Its place is the SHA-256 of "seed:number", so
PostgreSQL and ClickHouse can compute the same order (`place_sql`) without a round trip. Use a fresh seed per
programme: the same seed would put the same people into every control group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction

from hetang.platform.money import split_by_weight

_SCALE = 2**64


def draw(seed: str, numbers: Sequence[int], shares: Mapping[str, float]) -> list[str]:
    """The arm of each of `numbers`, in their order, with counts as exact as whole people allow.

    `shares` maps arm to its part (they sum to 1); counts are split by largest remainder, ties to the arm
    named first. The draw depends on the set of numbers, not on their order. Costs 3 s per million people;
    a plan over millions can order by `place_sql` instead and gets the same people.
    """
    if len(set(numbers)) != len(numbers):
        raise ValueError("a number may be drawn only once")
    counts = exact_counts(len(numbers), shares)
    arms = [arm for arm, count in counts.items() for _ in range(count)]
    place = _placer(seed)
    ranked = sorted(range(len(numbers)), key=lambda index: (place(numbers[index]), numbers[index]))
    drawn = [""] * len(numbers)
    for arm, index in zip(arms, ranked, strict=True):
        drawn[index] = arm
    return drawn


def exact_counts(people: int, shares: Mapping[str, float]) -> dict[str, int]:
    """How many of `people` each arm gets: largest remainder, so the counts add up to `people`."""
    weights = [int(Fraction(str(share)) * _SCALE) for share in _checked(shares).values()]
    return dict(zip(shares, split_by_weight(people, weights), strict=True))


def arm_of(seed: str, number: int, shares: Mapping[str, float]) -> str:
    """The arm of one number by its own hash alone, for programmes that people enter one at a time.

    Counts are then random (binomial), unlike those of `draw`; nobody changes arm when others come or go.
    """
    point = Fraction(int.from_bytes(_placer(seed)(number)[:8], "big"), _SCALE)
    upto = Fraction(0)
    arm = ""
    for arm, share in _checked(shares).items():
        upto += Fraction(str(share))
        if share and point < upto:
            return arm
    return arm  # only reached where the shares sum to 1 minus a rounding error


def place_sql(number: str, seed: str = "%(seed)s") -> str:
    """PostgreSQL expression that sorts `number` (a column) exactly as `draw` does; `seed` is a placeholder.

    `row_number() over (order by {place_sql("customer_id")}, customer_id) <= controls` draws the control
    group when it is the first arm of `shares`.
    """
    return f"sha256(convert_to({seed} || ':' || {number}::text, 'UTF8'))"


class _placer:  # noqa: N801 - used as a function that remembers the hashed seed
    def __init__(self, seed: str) -> None:
        if not seed:
            raise ValueError("a draw needs a seed")
        self._base = hashlib.sha256(f"{seed}:".encode())

    def __call__(self, number: int) -> bytes:
        digest = self._base.copy()
        digest.update(b"%d" % number)
        return digest.digest()


def _checked(shares: Mapping[str, float]) -> Mapping[str, float]:
    if not shares or min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise ValueError("shares must not be negative and must sum to 1")
    return shares
