"""What follows from a customer's orders by rule alone."""

from __future__ import annotations

from datetime import date

from hetang.commerce.rhythm import LATE, Base, Habit

PROSPECT, NEW, ACTIVE, SLOWING, LAPSED = "prospect", "new", "active", "slowing", "lapsed"
STAGES = (PROSPECT, NEW, ACTIVE, SLOWING, LAPSED)
NEW_DAYS = 30
LEAST_PATIENCE_DAYS = 30


def stage(habit: Habit | None, base: Base, today: date) -> str:
    """Where a customer stands, by her own rhythm: who buys each week is missed sooner than who buys each quarter.

    New: the first purchase is at most 30 days ago. Active: the last one is at most 30 days ago, or she is not late at
    90 percent yet. Slowing: no longer than twice that. Lapsed: longer. Prospect: no purchase. One day of purchases is
    no rhythm: after 30 days she is slowing, after 60 lapsed.
    """
    if habit is None:
        return PROSPECT
    if (today - habit.first).days <= NEW_DAYS:
        return NEW
    patience = max(LEAST_PATIENCE_DAYS, habit.wait(LATE, base) - 1 if habit.gaps else 0)
    since = (today - habit.last).days
    return ACTIVE if since <= patience else SLOWING if since <= 2 * patience else LAPSED
