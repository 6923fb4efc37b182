from __future__ import annotations

import hashlib
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.experiments.assignment import control_group, points, shared_out, variants

PEOPLE = np.arange(1, 100_001, dtype=np.uint32)
MASK = 2**64 - 1

seeds = st.text(min_size=1)
weights = st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(sum)


def point(seed: str, purpose: str, number: int) -> int:
    """The draw in plain numbers."""
    key = int.from_bytes(hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest(), "big")
    x = (number + key + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return (x ^ (x >> 31)) >> 32


def test_a_draw_never_changes() -> None:
    assert points("seed", "control", np.array([1, 2, 3])).tolist() == [970791405, 1702866275, 1286914857]


@settings(max_examples=60)
@given(seeds, st.lists(st.integers(0, 2**32 - 1), max_size=9), st.integers(0, 10_000), weights)
def test_people_are_drawn_one_by_one_by_their_own_points(
    seed: str, people: list[int], share_bp: int, weights: list[int]
) -> None:
    numbers = np.array(people, dtype=np.uint32)
    held = [point(seed, "control", one) * 10_000 < share_bp << 32 for one in people]
    assert control_group(seed, numbers, share_bp).tolist() == held
    dealt = [variant for variant, weight in enumerate(weights, 1) for _ in range(weight)]
    expected = [dealt[point(seed, "variant", one) * len(dealt) >> 32] for one in people]
    assert variants(seed, numbers, weights).tolist() == expected


def test_a_groups_size_is_binomial_around_its_share() -> None:
    sizes = [int(control_group(f"broadcast-{one}", PEOPLE[:10_000], 1_000).sum()) for one in range(400)]

    assert abs(sum(sizes) / 400 - 1_000) < 6  # four standard errors
    assert 0.92 < sum(abs(size - 1_000) <= 59 for size in sizes) / 400 < 0.98
    assert 26 < float(np.std(sizes)) < 34  # binomial: 30; exact counts would have 0


def test_the_variant_does_not_depend_on_the_control_group_or_on_another_seed() -> None:
    held, texts = control_group("one", PEOPLE, 1_000), variants("one", PEOPLE, (1, 1))
    again = control_group("two", PEOPLE, 1_000)

    assert abs(int((texts[held] == 1).sum()) - int(held.sum()) / 2) < 200  # four standard errors
    assert abs(int((held & again).sum()) - 1_000) < 130


def test_no_share_and_the_whole_share() -> None:
    assert not control_group("seed", PEOPLE, 0).any()
    assert control_group("seed", PEOPLE, 10_000).all()


@settings(max_examples=50)
@given(seeds, st.sets(st.integers(1, 2**32 - 1), max_size=60), weights, st.randoms(use_true_random=False))
def test_clusters_are_shared_out_to_the_whole_cluster(
    seed: str, clusters: set[int], weights: list[int], rng: random.Random
) -> None:
    shuffled = sorted(clusters)
    rng.shuffle(shuffled)
    shares = shared_out(seed, shuffled, weights)

    assert shares == shared_out(seed, clusters, weights)
    assert shares.keys() == clusters
    counts = Counter(shares.values())
    for variant, weight in enumerate(weights, 1):
        assert abs(counts[variant] - len(clusters) * weight / sum(weights)) < 1
    ranked = sorted(clusters, key=lambda one: (point(seed, "cluster", one), one))
    assert [shares[one] for one in ranked] == sorted(shares.values())


@pytest.mark.parametrize("wrong", [(), (0, 0), (2, -1)])
def test_weights_that_say_nothing_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="weights"):
        variants("seed", PEOPLE, wrong)
    with pytest.raises(ValueError, match="weights"):
        shared_out("seed", [1, 2], wrong)


def test_a_draw_needs_a_seed_and_a_share() -> None:
    with pytest.raises(ValueError, match="seed"):
        control_group("", PEOPLE, 1_000)
    with pytest.raises(ValueError, match="share"):
        control_group("seed", PEOPLE, 10_001)
