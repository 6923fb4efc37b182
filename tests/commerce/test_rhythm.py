"""The rhythm of purchases: what it says, how it is read from a base, and how far it comes true."""

from __future__ import annotations

import math
import os
import random
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from hetang.commerce import rhythm_nightly
from hetang.commerce.models import RhythmFit
from hetang.commerce.rhythm import Base, Bin, Calibration, Habit, habit, wilson
from hetang.commerce.rhythm_fit import calibrate, fit, incomplete_beta
from hetang.platform import clock

PROJECT = Path(__file__).resolve().parents[2]
FILE = "online_retail/online_retail_2010-12_to_2011-08.parquet"
TODAY = date(2026, 3, 4)


@settings(max_examples=60, deadline=None)
@given(gaps=st.integers(1, 40), span=st.integers(1, 3000), percent=st.sampled_from([1, 10, 50, 90, 99]))
def test_waits_are_the_percentiles(gaps: int, span: int, percent: int) -> None:
    """Of shape one they have a closed form; of others scipy knows them."""
    plain = (30 + span) * ((1 - percent / 100) ** (-1 / (1 + gaps)) - 1)
    assert abs(Base(1000, 1000, 30).wait(percent, gaps, span) - max(1, math.ceil(plain))) <= max(1, plain / 900)
    share = special.betaincinv(1.8, 0.7 + gaps * 1.8, percent / 100)
    exact = (25 + span) * share / (1 - share)
    assert abs(Base(1800, 700, 25).wait(percent, gaps, span) - max(1, math.ceil(exact))) <= max(1, exact / 300)


def test_her_own_gaps_outweigh_the_base() -> None:
    base = Base(1839, 834, 33)
    assert [base.wait(50, gaps, 10 * gaps) for gaps in (1, 3, 10, 40, 400)] == [28, 16, 11, 9, 9]
    assert [base.wait(90, gaps, 10 * gaps) for gaps in (1, 3, 10, 40, 400)] == [101, 46, 28, 22, 21]


@settings(max_examples=60, deadline=None)
@given(days=st.sets(st.integers(0, 700), max_size=30), since=st.integers(-5, 900))
def test_lateness_is_where_the_waits_say(days: set[int], since: int) -> None:
    one, base = habit([TODAY - timedelta(days=day) for day in days]), Base(1839, 834, 33)
    if one is None:
        assert not days
        return
    late = one.lateness(base, one.last + timedelta(days=since))
    if len(days) < 2:
        assert (late, one.expected(base)) == (None, None)
        return
    assert late is not None and 0 <= late <= 99
    assert late == 0 or since >= one.wait(late, base)
    assert late == 99 or since < one.wait(late + 1, base)
    assert one.expected(base) == one.last + timedelta(days=one.wait(50, base))


def test_the_functions_are_those_of_scipy() -> None:
    a, b = 1.8, np.array([0.7, 2.5, 40.0, 200.0, 2.5])
    x = np.array([0.3, 0.97, 0.05, 0.001, 1e-9])
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9)
    for hits, of in ((0, 9), (9, 9), (24, 130)):
        interval = stats.binomtest(hits, of).proportion_ci(method="wilson")
        assert wilson(hits, of) == pytest.approx(tuple(interval), abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


def invented(people: int) -> list[list[int]]:
    """Purchases of people of shape two, with paces of shape one and a half over 40 days, of whom a tenth leaves after
    each purchase."""
    draw, found = random.Random(3), []
    for _ in range(people):
        pace, day, days = draw.gammavariate(1.5, 1 / 40), draw.uniform(0, 300), []
        while day < 400:
            days.append(int(day))
            if draw.random() < 0.1:
                break
            day += draw.gammavariate(2, 1 / pace)
        found.append(sorted(set(days)))
    return [days for days in found if days]


def test_a_base_is_read_as_it_was_made_and_comes_true() -> None:
    purchases = invented(1500)
    model = fit(purchases, 400)
    assert model
    assert model.base.shape == pytest.approx(2000, rel=0.15)
    assert model.base.gaps == pytest.approx(1500, rel=0.3)
    assert model.base.days == pytest.approx(40, rel=0.3)
    assert model.leave / (model.leave + model.stay) == pytest.approx(0.1, abs=0.05)
    found = calibrate(purchases, 400)
    assert found and found.error < 4
    assert found.inside / found.held_out == pytest.approx(0.8, abs=0.05)
    assert sum(one.people for one in found.bins) == sum(1 for days in purchases if len(days) > 1 and days[1] < 370)
    assert fit(purchases[:20], 400) is None  # too few gaps
    short = [[day for day in days if day >= 300] for days in purchases]
    assert calibrate([days for days in short if days], 400) is None


@pytest.mark.data
def test_it_comes_true_on_real_purchases() -> None:
    """UCI Online Retail, nine months of a wholesale shop: who is late on 2011-08-02, and who bought until the end."""
    folder = Path(os.environ.get("HETANG_TEST_DATA") or PROJECT / "../shared/data").resolve()
    if not (folder / FILE).exists():
        warnings.warn(f"SKIPPED LOUDLY: {folder / FILE} is absent; set HETANG_TEST_DATA", UserWarning, stacklevel=1)
        pytest.skip(f"{folder / FILE} is absent; set HETANG_TEST_DATA")
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import parquet

    lines = parquet.read_table(folder / FILE, columns=["InvoiceNo", "CustomerID", "InvoiceDate"]).drop_null()
    lines = lines.filter(pc.invert(pc.starts_with(lines["InvoiceNo"], "C")))  # no cancellations
    days_of = pa.table(
        {"who": lines["CustomerID"], "day": lines["InvoiceDate"].cast(pa.timestamp("s")).cast(pa.date32())}
    )
    bought: dict[float, list[int]] = {}
    for row in days_of.group_by(["who", "day"]).aggregate([]).to_pylist():
        bought.setdefault(row["who"], []).append(row["day"].toordinal())
    purchases = [sorted(days) for _who, days in sorted(bought.items())]
    found = calibrate(purchases, max(days[-1] for days in purchases) + 1)
    assert found
    assert found.cut == date(2011, 8, 2)
    assert found.error == pytest.approx(2.83, abs=0.1)  # percentage points
    assert (found.inside, found.held_out) == (pytest.approx(654, abs=2), 812)  # 80.5 % within what was to be 80 %
    late = [one for one in found.bins if one.low >= 90]
    assert sum(one.people for one in late) == pytest.approx(130, abs=2)
    assert sum(one.bought for one in late) == 24  # 18.5 %, [12.7, 26.0]; 28.7 were expected
    assert sum(one.expected for one in late) == pytest.approx(28.7, abs=0.3)


@pytest.mark.django_db
def test_each_night_it_is_read_and_the_last_thirty_are_kept() -> None:
    clock.freeze(datetime(2026, 3, 4, 2, tzinfo=UTC))
    purchases = [[day + TODAY.toordinal() - 400 for day in days] for days in invented(120)]
    assert rhythm_nightly.keep(purchases, TODAY) == sum(len(days) - 1 for days in purchases)
    kept = RhythmFit.objects.latest("id")
    found = rhythm_nightly.calibration(kept)
    assert found == Calibration(
        date(2026, 2, 2),
        tuple(Bin(*one) for one in kept.calibration["bins"]),
        kept.calibration["inside"],
        kept.calibration["held_out"],
    )
    assert found.error > 0
    RhythmFit.objects.bulk_create(
        RhythmFit(computed_at=clock.now(), customers=1, gaps=1, shape=1, base_gaps=1, base_days=1, leave=1, stay=1)
        for _ in range(40)
    )
    rhythm_nightly.keep(purchases, TODAY)
    assert RhythmFit.objects.count() == rhythm_nightly.KEPT
    assert rhythm_nightly.keep(purchases[:5], TODAY) < 200
    assert RhythmFit.objects.latest("id").customers == len(purchases)  # too few gaps change nothing
    assert rhythm_nightly.calibration(RhythmFit(calibration={})) is None
    assert not rhythm_nightly.due(clock.now())  # nobody has bought
    clock.freeze(None)


def test_a_habit_counts_days_not_orders() -> None:
    assert habit([TODAY, TODAY, TODAY - timedelta(days=9)]) == Habit(2, TODAY - timedelta(days=9), TODAY)
    assert habit([]) is None
    assert Habit(2, TODAY - timedelta(days=9), TODAY).usual == 9
    assert Habit(3, TODAY - timedelta(days=9), TODAY).usual == 5  # half of a day up
