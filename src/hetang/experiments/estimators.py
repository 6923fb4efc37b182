"""Effects of being assigned (intention to treat) with 95 % intervals, from sums per arm or per cluster.

The choices, and why:

- Money stays money. Spend per person is skewed, but its mean times people *is* the money brought in; a
  logarithm or a cut of the largest baskets would answer another question. The interval is Welch's t on the
  raw means. `benchmarks.coverage` measures how often it holds: with fewer than `LEAST_OUTCOMES` buyers in an
  arm it promises too much, so there is a reason instead of an interval. (Hall's correction for skewness was
  tried: it evens out the two tails but holds no more often, so it is not here.)
- Conversion is a difference of proportions by Newcombe's score method: it neither leaves [-1, 1] nor
  collapses to a point when an arm has no buyer.
- Where whole clusters (an adviser's customers) were assigned, the people of one adviser are not independent:
  the variance comes from cluster residuals (CR2, Bell and McCaffrey) with their degrees of freedom.
- Per person reached divides the effect of assignment by the share sent. Those who were sent are never
  compared with the control group: they differ from the rest in more than the message. The interval inverts
  the test (Fieller), so it stays honest when few were reached.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetang.experiments.distributions import normal_quantile, t_quantile
from hetang.experiments.estimates import Effect, Estimate, NotMeasurable, Reason
from hetang.experiments.samples import Sample, merged

LEAST_PEOPLE = 20
LEAST_OUTCOMES = 30
LEAST_CLUSTERS = 5

Clusters = Sequence[Sample]


def mean_difference(treated: Sample, control: Sample, level: float = 0.95) -> Effect:
    """Outcome per person, treated minus control, where people were assigned one by one (Welch's t)."""
    refused = _too_few_people(treated, control) or _too_few_outcomes(treated, control)
    if refused:
        return refused
    moments = _person_moments(treated, control)
    return Estimate(
        moments.effect,
        *moments.around(level),
        "person",
        treated.people,
        control.people,
        df=moments.df,
        level=level,
    )


def share_difference(treated: Sample, control: Sample, level: float = 0.95) -> Effect:
    """Share of people with the outcome (0 or 1 each), treated minus control (Newcombe's score interval)."""
    refused = _too_few_people(treated, control)
    if refused:
        return refused
    z = normal_quantile((1 + level) / 2)
    p, q = treated.mean, control.mean
    (p_low, p_high), (q_low, q_high) = _wilson(treated, z), _wilson(control, z)
    low = p - q - math.hypot(p - p_low, q_high - q)
    high = p - q + math.hypot(p_high - p, q - q_low)
    return Estimate(p - q, low, high, "person", treated.people, control.people, level=level)


def cluster_difference(treated: Clusters, control: Clusters, level: float = 0.95) -> Effect:
    """Outcome per person, treated minus control, where clusters were assigned: one `Sample` per cluster.

    Serves money and conversions alike. Clusters without people are left out.
    """
    treated, control = _peopled(treated), _peopled(control)
    refused = _too_few_clusters(treated, control)
    if refused:
        return refused
    moments = _cluster_moments(treated, control)
    return _clustered(moments.effect, moments.around(level), (treated, control), moments.df, level)


def per_person_reached(treated: Sample, control: Sample, level: float = 0.95) -> Effect:
    """The effect on those whom assignment got the message to: effect of assignment ÷ share sent.

    Needs `sent` and `sent_total` of the treated. Nobody of the control group was sent anything by design.
    """
    refused = _too_few_people(treated, control) or _too_few_outcomes(treated, control)
    if refused:
        return refused
    moments = _person_moments(treated, control)
    bounds = moments.ratio_bounds(level)
    if bounds is None:
        return NotMeasurable(Reason.TOO_FEW_REACHED, treated.sent, control.people)
    value = moments.effect / moments.share
    return Estimate(value, *bounds, "person", treated.people, control.people, df=moments.df, level=level)


def cluster_per_person_reached(treated: Clusters, control: Clusters, level: float = 0.95) -> Effect:
    """`per_person_reached` where clusters were assigned: one `Sample` per cluster."""
    treated, control = _peopled(treated), _peopled(control)
    refused = _too_few_clusters(treated, control)
    if refused:
        return refused
    moments = _cluster_moments(treated, control)
    bounds = moments.ratio_bounds(level)
    if bounds is None:
        return NotMeasurable(Reason.TOO_FEW_REACHED, merged(treated).sent, merged(control).people)
    return _clustered(moments.effect / moments.share, bounds, (treated, control), moments.df, level)


@dataclass(frozen=True, slots=True)
class _Moments:
    """The effect of assignment and the share sent, with the variances of both and their covariance."""

    effect: float
    variance: float
    share: float
    share_variance: float
    covariance: float
    df: float

    def around(self, level: float) -> tuple[float, float]:
        half = t_quantile((1 + level) / 2, self.df) * math.sqrt(self.variance)
        return self.effect - half, self.effect + half

    def ratio_bounds(self, level: float) -> tuple[float, float] | None:
        """Every r for which effect - r * share lies within t standard errors of zero; None if unbounded."""
        t = t_quantile((1 + level) / 2, self.df)
        a = self.share**2 - t**2 * self.share_variance
        if self.share == 0 or a <= 0:
            return None
        b = self.effect * self.share - t**2 * self.covariance
        c = self.effect**2 - t**2 * self.variance
        half = math.sqrt(max(b * b - a * c, 0.0))
        return (b - half) / a, (b + half) / a


def _person_moments(treated: Sample, control: Sample) -> _Moments:
    n = treated.people
    share = treated.sent / n
    parts = [arm.variance / arm.people for arm in (treated, control)]
    return _Moments(
        effect=treated.mean - control.mean,
        variance=sum(parts),
        share=share,
        share_variance=share * (1 - share) / (n - 1),
        covariance=(treated.sent_total / n - treated.mean * share) / (n - 1),
        df=_welch_df(parts, [n, control.people]),
    )


def _cluster_moments(treated: Clusters, control: Clusters) -> _Moments:
    outcomes = [_residuals(arm, [cluster.total for cluster in arm]) for arm in (treated, control)]
    sent = _residuals(treated, [cluster.sent for cluster in treated])
    whole, base = merged(treated), merged(control)
    return _Moments(
        effect=whole.mean - base.mean,
        variance=sum(value * value for arm in outcomes for value in arm),
        share=whole.sent / whole.people,
        share_variance=sum(value * value for value in sent),
        covariance=sum(left * right for left, right in zip(outcomes[0], sent, strict=True)),
        df=_bell_mccaffrey_df([treated, control]),
    )


def _residuals(clusters: Clusters, totals: Sequence[int]) -> list[float]:
    """What each cluster adds to the mean beyond its size, scaled for CR2: squares sum to the variance."""
    people = sum(cluster.people for cluster in clusters)
    mean = sum(totals) / people
    return [
        (total - mean * cluster.people) / math.sqrt(1 - cluster.people / people) / people
        for cluster, total in zip(clusters, totals, strict=True)
    ]


def _bell_mccaffrey_df(arms: Sequence[Clusters]) -> float:
    """Degrees of freedom of the CR2 variance: fewer where clusters are few or of unequal size."""
    trace = squares = 0.0
    for clusters in arms:
        people = sum(cluster.people for cluster in clusters)
        sizes = [cluster.people for cluster in clusters]
        loads = [size**2 / (1 - size / people) for size in sizes]
        crossed = sum(loads) ** 2 - sum(load**2 for load in loads)
        trace += 1 / people
        squares += sum(size**2 for size in sizes) / people**4 + crossed / people**6
    return trace**2 / squares


def _welch_df(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """Satterthwaite's degrees of freedom of a sum of two estimated variances."""
    spread = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return float(sum(sizes) - 2) if spread == 0 else sum(parts) ** 2 / spread


def _wilson(arm: Sample, z: float) -> tuple[float, float]:
    """Wilson's score interval of one proportion."""
    n, p = arm.people, arm.mean
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (middle - half) / scale, (middle + half) / scale


def _clustered(
    value: float, bounds: tuple[float, float], arms: tuple[Clusters, Clusters], df: float, level: float
) -> Estimate:
    treated, control = arms
    return Estimate(
        value,
        *bounds,
        "cluster",
        merged(treated).people,
        merged(control).people,
        len(treated),
        len(control),
        df=df,
        level=level,
    )


def _peopled(clusters: Clusters) -> Clusters:
    return [cluster for cluster in clusters if cluster.people]


def _too_few_people(treated: Sample, control: Sample) -> NotMeasurable | None:
    least = min(treated.people, control.people)
    if least >= LEAST_PEOPLE:
        return None
    reason = Reason.TOO_FEW_PEOPLE if least else Reason.EMPTY_ARM
    return NotMeasurable(reason, treated.people, control.people, LEAST_PEOPLE)


def _too_few_outcomes(treated: Sample, control: Sample) -> NotMeasurable | None:
    if min(treated.positive, control.positive) >= LEAST_OUTCOMES:
        return None
    return NotMeasurable(Reason.TOO_FEW_OUTCOMES, treated.positive, control.positive, LEAST_OUTCOMES)


def _too_few_clusters(treated: Clusters, control: Clusters) -> NotMeasurable | None:
    whole, base = merged(treated), merged(control)
    if not whole.people or not base.people:
        return NotMeasurable(Reason.EMPTY_ARM, whole.people, base.people, LEAST_PEOPLE)
    if min(len(treated), len(control)) < LEAST_CLUSTERS:
        return NotMeasurable(Reason.TOO_FEW_CLUSTERS, len(treated), len(control), LEAST_CLUSTERS)
    return _too_few_people(whole, base) or _too_few_outcomes(whole, base)
