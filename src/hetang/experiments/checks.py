"""Whether a trial can be believed: were the groups as planned, and how small an effect could it show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hetang.experiments.distributions import chi_square_tail, normal_quantile
from hetang.experiments.samples import Sample

ALARM_BELOW = 0.001  # the field's usual line for a sample ratio: one false alarm in a thousand trials


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """People per arm as found and as planned, and how surprising the difference is."""

    found: dict[str, int]
    planned: dict[str, float]
    p: float

    @property
    def even(self) -> bool:
        """False: people were lost or added unevenly, and no effect of this trial can be believed."""
        return self.p >= ALARM_BELOW


def sample_ratio(found: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Chi-square test of the people found per arm against the planned shares (which sum to 1)."""
    if set(found) != set(shares):
        raise ValueError("the arms found and planned must be the same")
    people = sum(found.values())
    planned = {arm: people * share for arm, share in shares.items()}
    statistic = sum((found[arm] - planned[arm]) ** 2 / planned[arm] for arm in found if planned[arm])
    impossible = any(found[arm] and not planned[arm] for arm in found)
    arms = sum(1 for share in shares.values() if share)
    p = 0.0 if impossible else chi_square_tail(statistic, arms - 1) if arms > 1 and people else 1.0
    return SampleRatio(dict(found), planned, p)


def detectable_difference(treated: Sample, control: Sample, power: float = 0.8, level: float = 0.95) -> float | None:
    """The smallest true difference per person that a trial of this size finds with probability `power`.

    Uses the spread of both arms as found; None where an arm has fewer than two people.
    """
    if min(treated.people, control.people) < 2:
        return None
    spread = treated.variance / treated.people + control.variance / control.people
    return (normal_quantile((1 + level) / 2) + normal_quantile(power)) * math.sqrt(spread)


def detectable_share(base: float, treated: int, control: int, power: float = 0.8, level: float = 0.95) -> float | None:
    """The same before sending: the smallest change of a conversion of `base` that such a plan could find."""
    if min(treated, control) < 1:
        return None
    spread = base * (1 - base) * (1 / treated + 1 / control)
    return (normal_quantile((1 + level) / 2) + normal_quantile(power)) * math.sqrt(spread)
