"""What the estimators need to know of a group of people: sums that the database adds up, never the people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """Sums over the people of an arm, or of one cluster of it. Whole numbers, so nothing is lost in adding.

    `total`, `squares`: sum of the outcome and of its square (money in minor units; 0 or 1 for a conversion).
    `positive`: people whose outcome is not zero. `sent`, `sent_total`: people the message was sent to and the
    sum of their outcome; only the effect per person reached needs them.
    """

    people: int
    total: int
    squares: int
    positive: int
    sent: int = 0
    sent_total: int = 0

    @classmethod
    def of(cls, outcomes: Sequence[int], sent: Sequence[bool] | None = None) -> Sample:
        """The sums over one outcome per person."""
        flags = sent if sent is not None else [False] * len(outcomes)
        return cls(
            people=len(outcomes),
            total=sum(outcomes),
            squares=sum(value * value for value in outcomes),
            positive=sum(value != 0 for value in outcomes),
            sent=sum(flags),
            sent_total=sum(value for value, flag in zip(outcomes, flags, strict=True) if flag),
        )

    @property
    def mean(self) -> float:
        """Outcome per person."""
        return self.total / self.people

    @property
    def variance(self) -> float:
        """Sample variance between people (n - 1)."""
        return (self.people * self.squares - self.total**2) / (self.people * (self.people - 1))


def merged(samples: Sequence[Sample]) -> Sample:
    """The sums over all people of `samples`."""
    return Sample(
        people=sum(sample.people for sample in samples),
        total=sum(sample.total for sample in samples),
        squares=sum(sample.squares for sample in samples),
        positive=sum(sample.positive for sample in samples),
        sent=sum(sample.sent for sample in samples),
        sent_total=sum(sample.sent_total for sample in samples),
    )
