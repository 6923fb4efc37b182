"""The GMV tree and why it moved: exact arithmetic in whole minor units, no database and no clock.

Net sales of known people = visitors × conversion × frequency × average order value (客单价, 笔均), where
conversion = buyers ÷ visitors, frequency = orders ÷ buyers, average order value = net sales ÷ orders. Where no
visits are recorded the tree begins with the buyers; nothing is ever filled in for visitors. What the product does
not hold stands beside it: net sales of anonymous orders, and refunds in a period that saw no order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial

VISITORS, CONVERSION, BUYERS = "visitors", "conversion", "buyers"
FREQUENCY, ORDER_VALUE = "frequency", "order_value"
ANONYMOUS, REFUNDS_ONLY = "anonymous", "refunds_only"
PARTS = (VISITORS, CONVERSION, BUYERS, FREQUENCY, ORDER_VALUE, ANONYMOUS, REFUNDS_ONLY)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one period (of the brand, a store or a channel). Money in minor units, net of refunds.

    `visitors` are people with a visit fact; `buyers` and `orders` those of known people; `sales` their net sales;
    `anonymous` the net sales of orders that nobody is known for.
    """

    visitors: int = 0
    buyers: int = 0
    orders: int = 0
    sales: int = 0
    anonymous_orders: int = 0
    anonymous: int = 0

    @property
    def gmv(self) -> int:
        """All net sales."""
        return self.sales + self.anonymous

    @property
    def conversion(self) -> Fraction | None:
        """Buyers per visitor; may pass 1 where visits are recorded with gaps."""
        return _over(self.buyers, self.visitors)

    @property
    def frequency(self) -> Fraction | None:
        """Orders per buyer."""
        return _over(self.orders, self.buyers)

    @property
    def order_value(self) -> Fraction | None:
        """Average order value (笔均): net sales per order, minor units."""
        return _over(self.sales, self.orders)

    @property
    def per_buyer(self) -> Fraction | None:
        """Net sales per buyer (人均消费), minor units."""
        return _over(self.sales, self.buyers)


@dataclass(frozen=True, slots=True)
class Change:
    """What each part of the tree did to GMV between two periods, in minor units; the parts add up to `total`."""

    total: int
    parts: Mapping[str, int]


def explain(before: Figures, after: Figures) -> Change:
    """Shapley decomposition of the change in GMV. Exact: the parts sum to the change to the minor unit.

    Each factor gets its average effect over every order in which the factors could have changed, so no order is
    preferred. Visitors and conversion are told apart only where both periods have visits.
    """
    names, old, new = _factors(before, after)
    moved = dict(zip(names, shapley(old, new), strict=True))
    beside = {
        ANONYMOUS: Fraction(after.anonymous - before.anonymous),
        REFUNDS_ONLY: Fraction(_outside(after) - _outside(before)),
    }
    shares = {**moved, **beside}
    total = after.gmv - before.gmv
    return Change(total, dict(zip(shares, whole(list(shares.values())), strict=True)))


def visits_known(before: Figures, after: Figures) -> bool:
    """Whether both periods have recorded visits, so that visitors and conversion mean something."""
    return before.visitors > 0 and after.visitors > 0


def shapley(old: Sequence[Fraction], new: Sequence[Fraction]) -> list[Fraction]:
    """Each factor's share of the change of the product of all, averaged over all orders of changing them.

    A set of changed factors is a number of bits; each product is worked out once.
    """
    count = len(old)
    values = _products(old, new)
    weights = [Fraction(factorial(size) * factorial(count - size - 1), factorial(count)) for size in range(count)]
    return [_share(values, weights, 1 << place) for place in range(count)]


def whole(parts: Sequence[Fraction]) -> list[int]:
    """Whole numbers closest to `parts` whose sum is that of the parts (an integer): largest remainder."""
    floors = [part.numerator // part.denominator for part in parts]
    missing = int(sum(parts)) - sum(floors)
    ranked = sorted(range(len(parts)), key=lambda place: (floors[place] - parts[place], place))
    for place in ranked[:missing]:
        floors[place] += 1
    return floors


def _factors(before: Figures, after: Figures) -> tuple[tuple[str, ...], list[Fraction], list[Fraction]]:
    pairs: dict[str, tuple[Fraction | None, Fraction | None]]
    if visits_known(before, after):
        pairs = {
            VISITORS: (Fraction(before.visitors), Fraction(after.visitors)),
            CONVERSION: (before.conversion, after.conversion),
        }
    else:
        pairs = {BUYERS: (Fraction(before.buyers), Fraction(after.buyers))}
    pairs[FREQUENCY] = (before.frequency, after.frequency)
    pairs[ORDER_VALUE] = (before.order_value, after.order_value)
    known = [_both(*pair) for pair in pairs.values()]
    return tuple(pairs), [old for old, _ in known], [new for _, new in known]


def _both(old: Fraction | None, new: Fraction | None) -> tuple[Fraction, Fraction]:
    """A ratio that one period lacks (nobody bought) is taken as unchanged: the count above it tells the story."""
    if old is None:
        old = new if new is not None else Fraction()
    return old, new if new is not None else old


def _outside(figures: Figures) -> int:
    """Net sales that the product cannot hold: refunds of earlier orders where no order was placed."""
    return 0 if figures.orders else figures.sales


def _products(old: Sequence[Fraction], new: Sequence[Fraction]) -> list[Fraction]:
    """The product of all factors for every set of changed ones."""
    values = [Fraction(1)]
    for before, after in zip(old, new, strict=True):
        values = [value * before for value in values] + [value * after for value in values]
    return values


def _share(values: Sequence[Fraction], weights: Sequence[Fraction], bit: int) -> Fraction:
    share = Fraction()
    for changed in range(len(values)):
        if not changed & bit:
            share += weights[changed.bit_count()] * (values[changed | bit] - values[changed])
    return share


def _over(part: int, count: int) -> Fraction | None:
    return Fraction(part, count) if count else None
