from __future__ import annotations

import pytest
from scipy import stats

from hetang.experiments.checks import detectable_difference, detectable_share, sample_ratio
from hetang.experiments.samples import Sample


def test_an_even_split_passes() -> None:
    ratio = sample_ratio({"control": 1_000, "treated": 9_000}, {"control": 0.1, "treated": 0.9})

    assert ratio.p == 1.0
    assert ratio.even


def test_lost_people_are_noticed() -> None:
    found = {"control": 1_000, "a": 4_300, "b": 4_500}
    ratio = sample_ratio(found, {"control": 0.1, "a": 0.45, "b": 0.45})
    reference = stats.chisquare(list(found.values()), [980, 4410, 4410])

    assert ratio.p == pytest.approx(reference.pvalue)
    assert not sample_ratio({"control": 800, "treated": 9_000}, {"control": 0.1, "treated": 0.9}).even


def test_an_arm_that_should_be_empty_is_not() -> None:
    assert sample_ratio({"control": 3, "treated": 97}, {"control": 0.0, "treated": 1.0}).p == 0.0


def test_nobody_at_all_is_no_alarm() -> None:
    assert sample_ratio({"control": 0, "treated": 0}, {"control": 0.5, "treated": 0.5}).p == 1.0
    with pytest.raises(ValueError, match="same"):
        sample_ratio({"a": 1}, {"b": 1.0})


def test_the_detectable_difference_is_the_textbooks() -> None:
    """Two arms of 100 with standard deviation 1.005: 2.8 standard errors."""
    arm = Sample.of([-1, 1] * 50)

    assert detectable_difference(arm, arm) == pytest.approx(2.8016 * (2 * 1.0101 / 100) ** 0.5, rel=1e-4)
    assert detectable_difference(arm, Sample.of([1])) is None
    assert detectable_share(0.1, 9_000, 1_000) == pytest.approx(2.8016 * (0.09 / 900) ** 0.5, rel=1e-4)
    assert detectable_share(0.1, 0, 10) is None
