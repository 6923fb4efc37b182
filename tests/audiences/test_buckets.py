"""The random buckets: one person as many, even, stable for ever, independent between draws."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from hetang.audiences import buckets as module
from hetang.audiences.buckets import BUCKETS, Drawn, bucket, buckets

names = st.text(max_size=20)


@given(names, st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_one_person_and_many_are_drawn_alike(name: str, numbers: list[int]) -> None:
    drawn = buckets(name, np.array(numbers, dtype=np.uint32))
    assert drawn.tolist() == [bucket(name, number) for number in numbers]
    assert all(1 <= one <= BUCKETS for one in drawn)


def test_the_draw_never_changes() -> None:
    """Written down once: a saved audience must select the same people after every upgrade."""
    assert [bucket("", number) for number in range(1, 11)] == [33, 94, 91, 99, 14, 40, 10, 52, 73, 8]
    assert [bucket("spring", number) for number in range(1, 11)] == [65, 2, 89, 54, 34, 54, 33, 39, 25, 9]


def test_buckets_are_even_and_draws_independent() -> None:
    numbers = np.arange(1, 1_000_001, dtype=np.uint32)
    one, other = buckets("one", numbers), buckets("other", numbers)
    sizes = np.bincount(one, minlength=BUCKETS + 1)[1:]
    assert sizes.sum() == 1_000_000
    assert abs(sizes - 10_000).max() < 450  # 4.5 standard deviations
    both = np.count_nonzero((one <= 10) & (other <= 10))
    assert abs(both - 10_000) < 450


def test_sets_grow_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 700)
    drawn = Drawn()
    before = drawn.between("x", 3, 7, 1000)
    kept = before.copy()
    after = drawn.between("x", 3, 7, 2500)
    assert before == kept == BitMap(n for n in range(1, 1001) if 3 <= bucket("x", n) <= 7)
    assert after == BitMap(n for n in range(1, 2501) if 3 <= bucket("x", n) <= 7)
    assert BitMap.union(*(drawn.between("x", n, n, 2500) for n in range(1, 101))) == BitMap(range(1, 2501))


def test_few_draws_are_kept_and_threads_agree() -> None:
    drawn = Drawn()
    found: list[BitMap] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(drawn.between(f"d{n % 12}", 1, 10, 3000))) for n in range(48)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn._draws) == module.DRAWS_KEPT
    assert {one.serialize() for one in found} == {drawn.between(f"d{n}", 1, 10, 3000).serialize() for n in range(12)}
