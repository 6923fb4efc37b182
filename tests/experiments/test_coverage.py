"""A smaller run of `benchmarks.coverage`: seeds are fixed, so the figures are exact and cannot flake."""

from __future__ import annotations

import pytest
from benchmarks.coverage import CASES, coverage


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("outcome", ["money", "share"])
def test_most_intervals_hold_the_truth(case: str, outcome: str) -> None:
    share, given = coverage(case, outcome, per_reached=False, populations=60)

    assert given >= 54  # a control group may have fewer than thirty buyers by chance
    assert 0.88 <= share <= 1.0  # 60 seeded populations; the 1,000 of the benchmark stay within 0.93-0.97


@pytest.mark.parametrize("case", ["person", "cluster"])
def test_so_do_those_per_person_reached(case: str) -> None:
    share, given = coverage(case, "money", per_reached=True, populations=60)

    assert given == 60
    assert 0.88 <= share <= 1.0
