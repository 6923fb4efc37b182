from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hetang.experiments.distributions import chi_square_tail, normal_quantile, t_quantile, t_tail


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.floats(0.001, 0.999), st.floats(1, 1e6))
def test_t_quantile_is_scipys(probability: float, df: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-6, abs=1e-7)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.floats(-40, 40), st.floats(1, 1e6))
def test_t_tail_is_scipys(value: float, df: float) -> None:
    assert t_tail(value, df) == pytest.approx(stats.t.sf(value, df), rel=1e-6, abs=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.floats(0.001, 300), st.integers(1, 60))
def test_chi_square_tail_is_scipys(value: float, df: int) -> None:
    assert chi_square_tail(value, df) == pytest.approx(stats.chi2.sf(value, df), rel=1e-6, abs=1e-12)


def test_the_quantiles_of_the_textbook() -> None:
    assert t_quantile(0.975, 1) == pytest.approx(12.7062047364)
    assert t_quantile(0.975, 10) == pytest.approx(2.2281388520)
    assert normal_quantile(0.975) == pytest.approx(1.9599639845)
    assert chi_square_tail(3.841458820694124, 1) == pytest.approx(0.05)
    assert chi_square_tail(0, 3) == 1.0


@pytest.mark.parametrize(("probability", "df"), [(0, 5), (1, 5), (0.5, 0)])
def test_impossible_arguments_are_refused(probability: float, df: float) -> None:
    with pytest.raises(ValueError, match="needs"):
        t_quantile(probability, df)
