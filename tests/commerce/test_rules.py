"""The stage of a customer follows her own rhythm."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hetang.commerce import rules
from hetang.commerce.rhythm import Base, Habit

TODAY = date(2026, 6, 1)
BASE = Base(shape=1000, gaps=1000, days=30)


def bought(days: int, first: int, last: int) -> Habit | None:
    return Habit(days, TODAY - timedelta(days=first), TODAY - timedelta(days=last)) if days else None


@pytest.mark.parametrize(
    ("days", "first", "last", "expected"),
    [
        (0, 0, 0, rules.PROSPECT),
        (1, 5, 5, rules.NEW),
        (9, 30, 1, rules.NEW),
        (1, 40, 40, rules.SLOWING),
        (1, 61, 61, rules.LAPSED),
        (50, 380, 30, rules.ACTIVE),  # each week: thirty days are granted to everybody
        (50, 381, 31, rules.SLOWING),
        (50, 411, 61, rules.LAPSED),
        (5, 588, 228, rules.ACTIVE),  # each quarter, so 390 * (10 ** (1 / 5) - 1) = 228.1 days are nothing unusual
        (5, 589, 229, rules.SLOWING),
        (5, 816, 456, rules.SLOWING),
        (5, 817, 457, rules.LAPSED),
    ],
)
def test_stage(days: int, first: int, last: int, expected: str) -> None:
    assert rules.stage(bought(days, first, last), BASE, TODAY) == expected
