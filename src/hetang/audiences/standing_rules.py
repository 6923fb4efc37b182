"""Conditions on where somebody stands among all customers: the best or worst per cent by a measure, and the RFM cell.
Their nodes, the borders that decide them, and how the values of one person are judged. Pure.

Whoever has the same value stands at the same place: nobody is drawn from equals, so more people may be chosen than the
share that was asked for. See `docs/adr/0029-standing-among-all.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SIDES = ("top", "bottom")
IN_PERIOD = ("spent", "orders", "visits")  # over some days or all time
# What a measure may be narrowed to.
NARROWED: Mapping[str, tuple[str, ...]] = {
    "spent": ("category", "store"),
    "orders": ("category", "store"),
    "visits": ("store",),
}
OF_ALL_TIME = (
    "gmv",
    "average_order_value",
    "refunded",
    "days_since_last_order",
    "days_since_first_order",
    "days_since_last_visit",
)
MEASURED_BY = IN_PERIOD + OF_ALL_TIME  # and `attribute:<code>` of numbers
MONEY_BY = ("spent", "gmv", "average_order_value", "refunded")
ATTRIBUTE = "attribute:"
MILLE = 1000

LETTERS = ("recency", "frequency", "money")
SCORES = 5
ANY_SCORE = (1, SCORES)
# Whether recency, frequency and money are high: the score is above the mean of all scores.
SEGMENTS: Mapping[str, tuple[bool, bool, bool]] = {
    "important_value": (True, True, True),
    "important_develop": (True, False, True),
    "important_keep": (False, True, True),
    "important_win_back": (False, False, True),
    "general_value": (True, True, False),
    "general_develop": (True, False, False),
    "general_keep": (False, True, False),
    "general_win_back": (False, False, False),
}


@dataclass(frozen=True, slots=True)
class Percentile:
    """Among the `mille` thousandths of all living customers who have the value `by` that have most (`top`) or least of
    it; `days`: of those who did something in the last days; with `category` or `store` (codes): only what was bought of
    it, or there. Whoever has as much as the last of these is in, too."""

    side: Literal["top", "bottom"]
    mille: int
    by: str
    days: int | None = None
    category: str = ""
    store: str = ""

    @property
    def attribute(self) -> str:
        """The code of the attribute that is compared; empty for other measures."""
        return self.by.removeprefix(ATTRIBUTE) if self.by.startswith(ATTRIBUTE) else ""


@dataclass(frozen=True, slots=True)
class RfmCell:
    """In one of the segments, or (without any) where all three scores lie in these ranges, both ends included.
    Recency looks at the day of the last order, frequency at the number of orders, money at their amount before refunds;
    the last two in the last `days` days (None: ever). Compared are all living customers with an order."""

    segments: tuple[str, ...] = ()
    recency: tuple[int, int] = ANY_SCORE
    frequency: tuple[int, int] = ANY_SCORE
    money: tuple[int, int] = ANY_SCORE
    days: int | None = None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        return self.recency, self.frequency, self.money


Standing = Percentile | RfmCell


@dataclass(frozen=True, slots=True)
class Borders:
    """What decides a condition among `people` who have the value: the value of the last who is chosen (nothing where
    nobody has one); or for each of recency, frequency and money the four values above which a score begins, and the
    sum of all scores."""

    people: int
    at: tuple[tuple[float, ...], ...] = ()
    sums: tuple[int, ...] = ()


def chosen_of(people: int, mille: int) -> int:
    """How many of so many people a share means: rounded up, so that somebody is among the best of three."""
    return -(-people * mille // MILLE)


def score_ranks(people: int) -> list[int]:
    """From which rank (from below, 1 is the least) on a value has to be exceeded for the scores 2 to 5."""
    return [-(-people * score // SCORES) for score in range(1, SCORES)]


def is_chosen(condition: Percentile, value: float, borders: Borders) -> bool:
    """Whether a value is among the chosen."""
    if not borders.at:
        return False
    (border,) = borders.at[0]
    return value >= border if condition.side == "top" else value <= border


def score_of(value: float, borders: Sequence[float]) -> int:
    """1 + the whole fifths of all who have less."""
    return 1 + sum(value > border for border in borders)


def scores_of(values: Sequence[float], borders: Borders) -> list[int]:
    """The scores of recency (as days since 1970), frequency and money."""
    return [score_of(value, at) for value, at in zip(values, borders.at, strict=True)]


def segment_of(scores: Sequence[int], borders: Borders) -> str:
    """The segment of three scores."""
    high = tuple(score * borders.people > total for score, total in zip(scores, borders.sums, strict=True))
    return next(code for code, wanted in SEGMENTS.items() if wanted == high)


def is_in_cell(condition: RfmCell, scores: Sequence[int], borders: Borders) -> bool:
    """Whether three scores are in the cell."""
    if condition.segments:
        return segment_of(scores, borders) in condition.segments
    return all(low <= score <= high for score, (low, high) in zip(scores, condition.ranges, strict=True))
