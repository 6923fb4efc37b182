from __future__ import annotations

import random
from collections import Counter

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.experiments.assignment import arm_of, draw, exact_counts, place_sql

HALVES = {"control": 0.5, "treatment": 0.5}


def test_counts_are_exact_and_the_draw_is_stable() -> None:
    arms = draw("broadcast-7", range(1, 1001), {"control": 0.1, "a": 0.45, "b": 0.45})

    assert Counter(arms) == {"control": 100, "a": 450, "b": 450}
    assert [n for n, arm in zip(range(1, 1001), arms, strict=True) if arm == "control"][:5] == [
        1,
        12,
        19,
        32,
        49,
    ]


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(1, 2**32 - 1), max_size=60), st.randoms(use_true_random=False), st.text(min_size=1))
def test_the_order_of_the_numbers_does_not_matter(numbers: set[int], rng: random.Random, seed: str) -> None:
    ordered = sorted(numbers)
    shuffled = ordered[:]
    rng.shuffle(shuffled)
    shares = {"control": 0.2, "a": 0.5, "b": 0.3}

    expected = dict(zip(ordered, draw(seed, ordered, shares), strict=True))
    assert dict(zip(shuffled, draw(seed, shuffled, shares), strict=True)) == expected


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_counts_add_up(people: int, percent: int) -> None:
    counts = exact_counts(people, {"control": percent / 100, "treatment": 1 - percent / 100})

    assert sum(counts.values()) == people
    assert abs(counts["control"] - people * percent / 100) <= 0.5


def test_another_seed_draws_other_people() -> None:
    first = draw("one", range(1000), HALVES)
    second = draw("two", range(1000), HALVES)

    agree = sum(a == b for a, b in zip(first, second, strict=True))
    assert 430 < agree < 570


def test_arm_of_stays_when_others_come_and_follows_the_shares() -> None:
    shares = {"control": 0.25, "treatment": 0.75}
    counts = Counter(arm_of("journey-3", number, shares) for number in range(20_000))

    assert 4_800 < counts["control"] < 5_200
    assert arm_of("journey-3", 5, {"control": 0.0, "treatment": 1.0}) == "treatment"


@pytest.mark.parametrize("shares", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_must_sum_to_one(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        draw("seed", [1, 2], shares)


def test_nobody_is_drawn_twice() -> None:
    with pytest.raises(ValueError, match="only once"):
        draw("seed", [1, 1], HALVES)


@pytest.mark.django_db
def test_postgresql_draws_the_same_people() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"select n from generate_series(1, 500) n order by {place_sql('n')}, n limit 50",
            {"seed": "荷塘:9"},
        )
        in_sql = {row[0] for row in cursor.fetchall()}
    drawn = draw("荷塘:9", range(1, 501), {"control": 0.1, "treatment": 0.9})

    assert in_sql == {n for n, arm in zip(range(1, 501), drawn, strict=True) if arm == "control"}
