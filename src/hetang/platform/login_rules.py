"""How people log in here: read once and kept for a few seconds per process; changed by administrators, audited."""

from __future__ import annotations

import time
from collections.abc import Collection

from django.db import transaction

from hetang.platform import audit
from hetang.platform.access import Actor, Forbidden
from hetang.platform.models import LoginRules

RANGES = {
    "idle_minutes": (5, 24 * 60),
    "absolute_hours": (1, 7 * 24),
    "password_length": (8, 64),
    "trust_days": (0, 90),
}
_TTL_S = 5.0
_cached: tuple[float, LoginRules | None] = (float("-inf"), None)


def rules() -> LoginRules:
    """The rules in force (the shipped ones until somebody changed them), at most five seconds old."""
    global _cached  # noqa: PLW0603 - one cache per process is the point
    read_at, value = _cached
    if value is None or time.monotonic() - read_at > _TTL_S:
        value = LoginRules.objects.filter(id=1).first() or LoginRules(two_factor_roles=[])
        _cached = (time.monotonic(), value)
    return value


def forget() -> None:
    """Drop the cached rules after a change."""
    global _cached  # noqa: PLW0603
    _cached = (float("-inf"), None)


def change(actor: Actor, numbers: dict[str, int], two_factor_roles: Collection[str]) -> dict[str, list[object]]:
    """Set the rules; returns what changed as [before, after]. Raises Forbidden, ValueError (a number out of range)."""
    if not actor.scope("users:manage").everything:
        raise Forbidden("users:manage")
    for name, (low, high) in RANGES.items():
        if not low <= numbers[name] <= high:
            raise ValueError(f"{name} must be {low} to {high}")
    with transaction.atomic():
        LoginRules.objects.get_or_create(id=1)
        row = LoginRules.objects.select_for_update().get(id=1)
        wanted: dict[str, object] = {**numbers, "two_factor_roles": sorted(two_factor_roles)}
        changes = {name: [getattr(row, name), value] for name, value in wanted.items() if getattr(row, name) != value}
        for name, (_before, after) in changes.items():
            setattr(row, name, after)
        row.save()
        if changes:
            audit.record(actor, "login_rules.changed", "login_rules", row.pk, changes)
        transaction.on_commit(forget)
    return changes
