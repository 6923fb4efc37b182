"""How long a customer usually takes from one purchase to the next, and how late she is for that. Pure, but for numpy.

Days with a purchase count, not orders: two orders of one day are one visit to the till. The days between them are
drawn from a gamma distribution whose shape all customers share; her own pace is drawn from what is usual in the base
(a gamma distribution of paces), and her own gaps move it: the base counts as much as `gaps` gaps that together lasted
`days` days. So few gaps say little and many say all, and what is known of her is how many gaps she had and how many
days they lasted together. The days until the next purchase then follow a beta prime distribution, whose percentiles are
those days times a factor of the number of gaps. Factors are whole numbers: SQL, ClickHouse and Python say the same.

This is her rhythm as long as she stays. Whether somebody stays at all is another question: `rhythm_fit` shows what
share of late people came back.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from statistics import NormalDist

MOST_GAPS = 40  # beyond that the factor hardly changes
LATE = 90  # percent: who is later than that is called late where nobody says how late
EARLY, MIDDLE = 10, 50  # with `LATE` the days between which the next purchase is expected, and the usual time
MILLI = 1000
FINE = 1000  # factors are finer than the weights that they belong to: a day is not decided by their rounding
MOST_WAIT = 100_000  # days: a date may be expected no later

# What the base's rhythm is read from, and compared with.
LEAST_GAPS = 200  # of the base, before anything is read from them
WINDOW_DAYS = 30
LEAST_DAYS = 4 * WINDOW_DAYS  # of history
BORDERS = (0, 25, 50, 75, 90, 95, 100)  # of lateness, in percent


@dataclass(frozen=True, slots=True)
class Base:
    """The rhythm of the whole base: the shape of gaps and what the base's word weighs, in thousandths, and in days.

    The defaults stand until a brand has enough gaps of its own: as irregular as most retail, every fifty days, and
    worth one gap.
    """

    shape: int = 1500
    gaps: int = 1000
    days: int = 33

    def wait(self, percent: int, gaps: int, span: int) -> int:
        """The days since her last purchase from which on she is that late; `gaps` of hers (at least one) lasted `span`
        days together. At least one."""
        factor = factors(self.shape, self.gaps, percent)[min(gaps, MOST_GAPS) - 1]
        return max(1, -(-factor * (self.days + span) // (FINE * (self.gaps + gaps * self.shape))))


@dataclass(frozen=True, slots=True)
class Habit:
    """On how many different days she bought, and the first and the last of them (local days of the stores)."""

    purchase_days: int
    first: date
    last: date

    @property
    def gaps(self) -> int:
        return self.purchase_days - 1

    @property
    def usual(self) -> int:
        """The mean of her own gaps in days, at least one; needs one gap. What is expected of her is another thing: it
        weighs few gaps against the base."""
        return max(1, (2 * (self.last - self.first).days + self.gaps) // (2 * self.gaps))

    def wait(self, percent: int, base: Base) -> int:
        """Days after the last purchase until she is that late. Needs two days of purchases."""
        return base.wait(percent, self.gaps, (self.last - self.first).days)

    def expected(self, base: Base, percent: int = MIDDLE) -> date | None:
        """The day by which she has bought again with this percent of certainty, if she stays; None before the second
        day of a purchase."""
        return None if self.gaps < 1 else self.last + timedelta(days=min(self.wait(percent, base), MOST_WAIT))

    def lateness(self, base: Base, today: date) -> int | None:
        """In what percent of times she would have bought by now, if she stays (0 to 99, rounded down); None before the
        second day of a purchase."""
        if self.gaps < 1:
            return None
        since = (today - self.last).days
        low, high = 0, 99
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if since >= self.wait(middle, base) else (low, middle - 1)
        return low


def habit(days: Collection[date]) -> Habit | None:
    """The habit of somebody who bought on these days; a day may come several times."""
    return Habit(len(set(days)), min(days), max(days)) if days else None


@dataclass(frozen=True, slots=True)
class Bin:
    """People of a lateness at the cut: how many of them, how many the model expected to buy in the window after it, how
    many did, and the 95 % interval of that share (Wilson)."""

    low: int
    high: int
    people: int
    expected: float
    bought: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.bought, self.people)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model that knows only the time before `cut` said of the time after it. `inside` of `held_out` gaps ended
    within the days between which they were expected (80 % should). `error`: the mean distance between the expected and
    the observed share of buyers, over people, in percentage points."""

    cut: date
    bins: tuple[Bin, ...]
    inside: int
    held_out: int

    @property
    def error(self) -> float:
        people = sum(one.people for one in self.bins)
        return 100 * sum(abs(one.expected - one.bought) for one in self.bins) / people if people else 0.0


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a share; everything where nothing was seen."""
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    middle, spread = hits + z * z / 2, z * math.sqrt(hits * (of - hits) / of + z * z / 4)
    return max(0.0, (middle - spread) / (of + z * z)), min(1.0, (middle + spread) / (of + z * z))


@lru_cache(maxsize=512)
def factors(shape: int, gaps: int, percent: int) -> tuple[int, ...]:
    """For 1 to `MOST_GAPS` gaps of her own, the percentile of the days until the next purchase as a whole number: times
    (the base's days and hers), through `FINE` times (the base's gaps and hers times the shape, in thousandths). About
    10 ms, once for each percent."""
    import numpy as np

    from hetang.commerce.rhythm_fit import beta_quantiles

    weights = gaps + shape * np.arange(1, MOST_GAPS + 1)
    share = beta_quantiles(percent / 100, shape / MILLI, weights / MILLI)
    return tuple(round(float(one)) for one in share / (1 - share) * weights * FINE)
