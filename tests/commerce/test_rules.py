"""The stage of a customer follows her own rhythm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hetang.commerce import rules

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("orders", "first", "last", "expected"),
    [
        (0, None, None, rules.PROSPECT),
        (1, 5, 5, rules.NEW),
        (9, 30, 1, rules.NEW),
        (1, 40, 40, rules.SLOWING),
        (1, 61, 61, rules.LAPSED),
        (50, 380, 30, rules.ACTIVE),  # each week: thirty days are granted to everybody
        (50, 381, 31, rules.SLOWING),
        (50, 411, 61, rules.LAPSED),
        (5, 480, 120, rules.ACTIVE),  # each quarter: her own rhythm is slower
        (5, 541, 181, rules.SLOWING),
        (5, 721, 361, rules.LAPSED),
    ],
)
def test_stage(orders: int, first: float | None, last: float | None, expected: str) -> None:
    at = [None if days is None else ago(days) for days in (first, last)]
    assert rules.stage(orders, at[0], at[1], NOW) == expected


def test_the_usual_gap_needs_two_orders() -> None:
    assert rules.usual_gap(1, ago(9), ago(9)) is None
    assert rules.usual_gap(4, ago(40), ago(10)) == 10.0
