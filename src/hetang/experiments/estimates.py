"""What an estimator answers: a number with its range and how it came about, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

Design = Literal["person", "cluster"]


class Reason(StrEnum):
    """Why an effect cannot be given."""

    WINDOW_OPEN = "window_open"  # outcomes still come in
    NO_CONTROL = "no_control"  # the programme kept nobody back
    EMPTY_ARM = "empty_arm"
    TOO_FEW_PEOPLE = "too_few_people"
    TOO_FEW_OUTCOMES = "too_few_outcomes"  # so few purchases that a range would promise too much
    TOO_FEW_CLUSTERS = "too_few_clusters"
    TOO_FEW_REACHED = "too_few_reached"  # per person reached would divide by almost nothing


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval (unit: that of the outcome per person, or of the total after `times`)."""

    value: float
    low: float
    high: float
    design: Design
    treated: int
    control: int
    treated_clusters: int = 0
    control_clusters: int = 0
    df: float | None = None
    level: float = 0.95

    @property
    def distinct(self) -> bool:
        """Whether the interval leaves out zero: the effect can be told from chance."""
        return self.low > 0 or self.high < 0

    def times(self, factor: float) -> Estimate:
        """The same effect over `factor` people."""
        low, high = sorted((self.low * factor, self.high * factor))
        return replace(self, value=self.value * factor, low=low, high=high)


@dataclass(frozen=True, slots=True)
class NotMeasurable:
    """No number, and why. The counts say how far from measurable; `needed` is the least that would do."""

    reason: Reason
    treated: int = 0
    control: int = 0
    needed: int = 0

    def times(self, factor: float) -> NotMeasurable:
        """Nothing times anything stays unmeasured."""
        return self


Effect = Estimate | NotMeasurable
