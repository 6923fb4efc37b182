"""A real three-arm trial: Hillstrom's e-mail challenge (every second row), two weeks of outcomes after one e-mail."""

from __future__ import annotations

import csv
import gzip
import os
from collections import defaultdict
from pathlib import Path

import pytest

from hetang.experiments.checks import sample_ratio
from hetang.experiments.estimates import Estimate
from hetang.experiments.estimators import mean_difference, share_difference
from hetang.experiments.samples import Sample

pytestmark = pytest.mark.data
Row = dict[str, str]


@pytest.fixture(scope="module")
def arms() -> dict[str, list[Row]]:
    folder = Path(os.environ.get("HETANG_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    files = sorted((folder / "hillstrom").glob("*.csv.gz"))
    if not files:
        pytest.skip("the Hillstrom data is not below HETANG_TEST_DATA")
    found: dict[str, list[Row]] = defaultdict(list)
    with gzip.open(files[0], "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["segment"]].append(row)
    return found


def test_the_arms_are_thirds(arms: dict[str, list[Row]]) -> None:
    found = {arm: len(rows) for arm, rows in arms.items()}

    assert sum(found.values()) == 32_000
    assert sample_ratio(found, dict.fromkeys(found, 1 / 3)).even


def spent(rows: list[Row]) -> Sample:
    return Sample.of([round(float(row["spend"]) * 100) for row in rows])


def came(rows: list[Row]) -> Sample:
    return Sample.of([int(row["visit"]) for row in rows])


@pytest.mark.parametrize(
    ("arm", "cents", "low", "high"),
    [("Mens E-Mail", 46.63, 14.14, 79.12), ("Womens E-Mail", 58.80, 23.13, 94.47)],
)
def test_both_e_mails_brought_money(
    arms: dict[str, list[Row]], arm: str, cents: float, low: float, high: float
) -> None:
    """The bounds are scipy's Welch interval over the same rows."""
    effect = mean_difference(spent(arms[arm]), spent(arms["No E-Mail"]))

    assert isinstance(effect, Estimate)
    assert (round(effect.value, 2), round(effect.low, 2), round(effect.high, 2)) == (cents, low, high)
    assert effect.distinct


@pytest.mark.parametrize(("arm", "points"), [("Mens E-Mail", 0.0750), ("Womens E-Mail", 0.0448)])
def test_both_e_mails_brought_visitors(arms: dict[str, list[Row]], arm: str, points: float) -> None:
    effect = share_difference(came(arms[arm]), came(arms["No E-Mail"]))

    assert isinstance(effect, Estimate)
    assert round(effect.value, 4) == points
    assert effect.distinct
    assert effect.high - effect.low < 0.02


def test_the_two_e_mails_cannot_be_told_apart_by_money(arms: dict[str, list[Row]]) -> None:
    effect = mean_difference(spent(arms["Womens E-Mail"]), spent(arms["Mens E-Mail"]))

    assert isinstance(effect, Estimate)
    assert not effect.distinct
