"""What follows from a customer's orders by rule alone."""

from __future__ import annotations

from datetime import datetime

PROSPECT, NEW, ACTIVE, SLOWING, LAPSED = "prospect", "new", "active", "slowing", "lapsed"
STAGES = (PROSPECT, NEW, ACTIVE, SLOWING, LAPSED)
NEW_DAYS = 30
LEAST_PATIENCE_DAYS = 30
_DAY_S = 86_400


def usual_gap(orders: int, first: datetime | None, last: datetime | None) -> float | None:
    """Days from one order to the next, on average; None before the second order."""
    if orders < 2 or first is None or last is None:
        return None
    return (last - first).total_seconds() / _DAY_S / (orders - 1)


def stage(orders: int, first: datetime | None, last: datetime | None, now: datetime) -> str:
    """Where a customer stands, by her own rhythm: who buys each week is missed sooner than who buys each quarter.

    New: the first order is at most 30 days old. Active: the last one is no longer ago than twice her usual gap, and 30
    days at least. Slowing: no longer than twice that. Lapsed: longer. Prospect: no order.
    """
    if not orders or first is None or last is None:
        return PROSPECT
    if (now - first).total_seconds() <= NEW_DAYS * _DAY_S:
        return NEW
    patience = max(LEAST_PATIENCE_DAYS, 2 * (usual_gap(orders, first, last) or 0.0)) * _DAY_S
    since = (now - last).total_seconds()
    return ACTIVE if since <= patience else SLOWING if since <= 2 * patience else LAPSED
