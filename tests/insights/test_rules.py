from __future__ import annotations

from fractions import Fraction
from math import prod
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.insights.rules import (
    ANONYMOUS,
    BUYERS,
    CONVERSION,
    FREQUENCY,
    ORDER_VALUE,
    REFUNDS_ONLY,
    VISITORS,
    Figures,
    explain,
    shapley,
    whole,
)

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
FACTORS = st.lists(st.tuples(st.fractions(-100, 100), st.fractions(-100, 100)), min_size=1, max_size=4)


@st.composite
def figures(draw: st.DrawFn) -> Figures:
    buyers = draw(st.integers(0, 500))
    orders = draw(st.integers(buyers, buyers * 4)) if buyers else 0
    return Figures(
        visitors=draw(st.integers(0, 900)),
        buyers=buyers,
        orders=orders,
        sales=draw(st.integers(-(10**6), 10**9)),
        anonymous_orders=draw(st.integers(0, 9)),
        anonymous=draw(st.integers(-(10**5), 10**8)),
    )


def test_the_parts_of_a_change_worked_by_hand() -> None:
    """Buyers 10 -> 12, one order each, 100 -> 90 per order: 2 × 95 for the buyers, -10 × 11 for the value."""
    change = explain(Figures(buyers=10, orders=10, sales=1_000), Figures(buyers=12, orders=12, sales=1_080))

    assert change.total == 80
    assert change.parts == {BUYERS: 190, FREQUENCY: 0, ORDER_VALUE: -110, ANONYMOUS: 0, REFUNDS_ONLY: 0}


def test_visits_split_the_buyers_into_two_factors() -> None:
    change = explain(
        Figures(visitors=100, buyers=10, orders=10, sales=1_000),
        Figures(visitors=200, buyers=10, orders=10, sales=1_000),
    )

    assert change.total == 0
    assert (change.parts[VISITORS], change.parts[CONVERSION]) == (750, -750)


def test_visits_in_one_period_only_are_not_used() -> None:
    change = explain(Figures(buyers=10, orders=10, sales=1_000), Figures(visitors=5, buyers=10, orders=10, sales=900))

    assert VISITORS not in change.parts
    assert change.parts[ORDER_VALUE] == -100


def test_a_first_period_without_orders_is_a_matter_of_buyers() -> None:
    change = explain(Figures(sales=-300), Figures(buyers=2, orders=3, sales=900, anonymous_orders=1, anonymous=50))

    assert change.total == 1_250
    assert change.parts == {BUYERS: 900, FREQUENCY: 0, ORDER_VALUE: 0, ANONYMOUS: 50, REFUNDS_ONLY: 300}


@PROPERTY
@given(figures(), figures())
def test_the_parts_add_up_to_the_minor_unit(before: Figures, after: Figures) -> None:
    change = explain(before, after)

    assert change.total == after.gmv - before.gmv
    assert sum(change.parts.values()) == change.total


@PROPERTY
@given(figures())
def test_no_change_has_no_causes(same: Figures) -> None:
    assert set(explain(same, same).parts.values()) == {0}


@PROPERTY
@given(FACTORS)
def test_efficiency_and_reversal(pairs: list[tuple[Fraction, Fraction]]) -> None:
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    there, back = shapley(old, new), shapley(new, old)

    assert sum(there) == prod(new) - prod(old)
    assert there == [-share for share in back]


@PROPERTY
@given(FACTORS, st.randoms(use_true_random=False))
def test_the_order_of_the_factors_does_not_matter(pairs: list[tuple[Fraction, Fraction]], rng: Random) -> None:
    order = list(range(len(pairs)))
    rng.shuffle(order)
    plain = shapley([p[0] for p in pairs], [p[1] for p in pairs])
    shuffled = shapley([pairs[i][0] for i in order], [pairs[i][1] for i in order])

    assert [plain[i] for i in order] == shuffled


@PROPERTY
@given(FACTORS)
def test_an_unchanged_factor_gets_nothing_and_equal_ones_get_the_same(pairs: list[tuple[Fraction, Fraction]]) -> None:
    still = Fraction(7, 3)
    twins = [*pairs[:2], pairs[0], (still, still)]
    shares = shapley([p[0] for p in twins], [p[1] for p in twins])

    assert shares[-1] == 0
    assert shares[0] == shares[-2]


@PROPERTY
@given(st.lists(st.fractions(-50, 50), min_size=1, max_size=6))
def test_rounding_keeps_the_sum_and_stays_close(parts: list[Fraction]) -> None:
    parts[-1] += Fraction(1) - (sum(parts) % 1)
    rounded = whole(parts)

    assert sum(rounded) == sum(parts)
    assert all(abs(part - near) < 1 for part, near in zip(parts, rounded, strict=True))


def test_ratios_without_a_denominator_are_unknown() -> None:
    nothing = Figures()

    assert (nothing.conversion, nothing.frequency, nothing.order_value, nothing.per_buyer) == (None,) * 4
    assert Figures(visitors=4, buyers=3, orders=6, sales=999).per_buyer == 333
    assert Figures(sales=5, anonymous=7).gmv == 12


@pytest.mark.parametrize("visitors", [0, 50])
def test_a_fall_is_the_mirror_of_a_rise(visitors: int) -> None:
    low = Figures(visitors=visitors, buyers=7, orders=9, sales=12_345)
    high = Figures(visitors=visitors * 2, buyers=11, orders=20, sales=40_001)
    up, down = explain(low, high), explain(high, low)

    assert up.total == -down.total
    assert all(abs(up.parts[name] + down.parts[name]) <= 1 for name in up.parts)
