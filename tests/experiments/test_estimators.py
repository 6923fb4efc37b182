from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hetang.experiments.estimates import Effect, Estimate, NotMeasurable, Reason
from hetang.experiments.estimators import (
    cluster_difference,
    cluster_per_person_reached,
    mean_difference,
    per_person_reached,
    share_difference,
)
from hetang.experiments.samples import Sample, merged

RNG = np.random.default_rng(7)
SPENT = [0] * 60 + list(range(100, 4_100, 100))
CONTROL = [0] * 70 + list(range(50, 1_550, 50))


def number(effect: Effect) -> Estimate:
    assert isinstance(effect, Estimate)
    return effect


def refusal(effect: Effect) -> NotMeasurable:
    assert isinstance(effect, NotMeasurable)
    return effect


def test_sums_are_those_of_the_people() -> None:
    sample = Sample.of([5, 0, -2], [True, False, True])

    assert sample == Sample(people=3, total=3, squares=29, positive=2, sent=2, sent_total=3)
    assert sample.mean == 1.0
    assert sample.variance == pytest.approx(np.var([5, 0, -2], ddof=1))
    assert merged([sample, sample]) == Sample(6, 6, 58, 4, 4, 6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 10**7), min_size=30, max_size=60),
    st.lists(st.integers(1, 10**7), min_size=30, max_size=60),
)
def test_the_difference_of_means_is_welchs(treated: list[int], control: list[int]) -> None:
    if len(set(treated)) == 1 or len(set(control)) == 1:
        return
    effect = number(mean_difference(Sample.of(treated), Sample.of(control)))
    reference = stats.ttest_ind(treated, control, equal_var=False).confidence_interval(0.95)

    assert effect.value == pytest.approx(np.mean(treated) - np.mean(control))
    assert (effect.low, effect.high) == pytest.approx((reference.low, reference.high), rel=1e-6, abs=1e-3)


def test_newcombes_own_example() -> None:
    """Newcombe 1998, table II (a): 56/70 against 48/80 gives 0.0524 to 0.3339."""
    effect = number(share_difference(Sample.of([1] * 56 + [0] * 14), Sample.of([1] * 48 + [0] * 32)))

    assert effect.value == pytest.approx(0.2)
    assert (round(effect.low, 4), round(effect.high, 4)) == (0.0524, 0.3339)
    assert effect.distinct


def test_no_buyers_at_all_still_has_a_range_for_conversion() -> None:
    effect = number(share_difference(Sample.of([0] * 50), Sample.of([0] * 50)))

    assert effect.value == 0
    assert effect.low == pytest.approx(-effect.high)
    assert 0.06 < effect.high < 0.08
    assert not effect.distinct


def _brute_cluster(arms: list[list[list[int]]]) -> tuple[float, float, float]:
    """CR2 and Satterthwaite degrees of freedom by matrices, straight from Bell and McCaffrey."""
    y = np.array([v for arm in arms for cluster in arm for v in cluster], dtype=float)
    dummy = np.array([float(a == 0) for a, arm in enumerate(arms) for c in arm for _ in c])
    ids = np.array([i for i, c in enumerate([c for arm in arms for c in arm]) for _ in c])
    x = np.column_stack([np.ones_like(y), dummy])
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    hat = x @ bread @ x.T
    residual = y - x @ beta
    maker = np.eye(len(y)) - hat
    variance, columns = 0.0, []
    for cluster in np.unique(ids):
        rows = ids == cluster
        values, vectors = np.linalg.eigh(np.eye(rows.sum()) - hat[np.ix_(rows, rows)])
        adjust = vectors @ np.diag(1 / np.sqrt(np.clip(values, 1e-12, None))) @ vectors.T
        weight = (bread @ x[rows].T @ adjust)[1]
        variance += float(weight @ residual[rows]) ** 2
        columns.append(maker[:, rows] @ weight)
    spread = np.array(columns) @ np.array(columns).T
    return float(beta[1]), variance, float(np.trace(spread) ** 2 / (spread**2).sum())


def test_cluster_variance_is_bell_and_mccaffreys() -> None:
    arms = [
        [RNG.poisson(20 + 3 * a, size).tolist() for size in sizes]
        for a, sizes in enumerate([(5, 9, 14, 3, 8, 12), (6, 6, 2, 20, 9)])
    ]
    effect = number(cluster_difference(*[[Sample.of(cluster) for cluster in arm] for arm in arms]))
    value, variance, df = _brute_cluster(arms)

    assert effect.design == "cluster"
    assert (effect.treated_clusters, effect.control_clusters) == (6, 5)
    assert (effect.treated, effect.control) == (51, 43)
    assert effect.df == pytest.approx(df)
    assert effect.value == pytest.approx(value)
    assert effect.high - effect.value == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(variance))


def test_clusters_of_one_person_are_people() -> None:
    as_clusters = number(cluster_difference([Sample.of([v]) for v in SPENT], [Sample.of([v]) for v in CONTROL]))
    as_people = number(mean_difference(Sample.of(SPENT), Sample.of(CONTROL)))

    assert as_clusters.value == pytest.approx(as_people.value)
    assert as_clusters.low == pytest.approx(as_people.low, rel=5e-3)


def test_per_person_reached_divides_by_the_share_sent() -> None:
    sent = [index % 2 == 0 for index in range(100)]
    whole = number(mean_difference(Sample.of(SPENT), Sample.of(CONTROL)))
    reached = number(per_person_reached(Sample.of(SPENT, sent), Sample.of(CONTROL)))

    assert reached.value == pytest.approx(whole.value * 2)
    assert reached.low < reached.value < reached.high


def test_when_everybody_was_reached_both_effects_agree() -> None:
    treated, control = Sample.of(SPENT, [True] * 100), Sample.of(CONTROL)
    whole, reached = number(mean_difference(treated, control)), number(per_person_reached(treated, control))

    assert (reached.value, reached.low, reached.high) == pytest.approx((whole.value, whole.low, whole.high))
    clusters = [Sample.of(SPENT[i::10], [True] * 10) for i in range(10)], [Sample.of(CONTROL[i::10]) for i in range(10)]
    whole, reached = number(cluster_difference(*clusters)), number(cluster_per_person_reached(*clusters))
    assert (reached.value, reached.low, reached.high) == pytest.approx((whole.value, whole.low, whole.high))


def test_fiellers_bounds_are_where_the_test_turns() -> None:
    """At either bound r the effect of `outcome - r * sent` is exactly at its critical value."""
    sent = [index % 3 != 0 for index in range(100)]
    effect = number(per_person_reached(Sample.of(SPENT, sent), Sample.of(CONTROL)))
    for bound in (effect.low, effect.high):
        left = np.array(SPENT) - bound * np.array(sent)
        error = math.sqrt(left.var(ddof=1) / 100 + np.var(CONTROL, ddof=1) / 100)
        assert abs(left.mean() - np.mean(CONTROL)) == pytest.approx(stats.t.ppf(0.975, effect.df) * error)


def test_totals_are_effect_times_people() -> None:
    effect = Estimate(2.5, -1.0, 6.0, "person", 400, 100)

    assert effect.times(400) == Estimate(1000.0, -400.0, 2400.0, "person", 400, 100)
    assert effect.times(-1).low == -6.0


@pytest.mark.parametrize(
    ("treated", "control", "reason"),
    [
        ([], CONTROL, Reason.EMPTY_ARM),
        (SPENT, [1] * 19, Reason.TOO_FEW_PEOPLE),
        (SPENT, [0] * 71 + [5] * 29, Reason.TOO_FEW_OUTCOMES),
    ],
)
def test_what_cannot_be_measured_says_why(treated: list[int], control: list[int], reason: Reason) -> None:
    assert refusal(mean_difference(Sample.of(treated), Sample.of(control))).reason == reason
    assert refusal(per_person_reached(Sample.of(treated), Sample.of(control))).reason == reason


def test_refusals_of_the_rarer_kinds() -> None:
    four = [Sample.of(SPENT[i::4]) for i in range(4)]
    five = [Sample.of(CONTROL[i::5]) for i in range(5)]

    assert refusal(cluster_difference(four, five)) == NotMeasurable(Reason.TOO_FEW_CLUSTERS, 4, 5, 5)
    assert refusal(cluster_difference([], five)).reason == Reason.EMPTY_ARM
    nobody = refusal(per_person_reached(Sample.of(SPENT), Sample.of(CONTROL)))
    assert nobody.reason == Reason.TOO_FEW_REACHED
    assert nobody.times(7) is nobody
