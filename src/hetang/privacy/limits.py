"""The limits that the brand set for itself about personal data."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from hetang.platform import audit
from hetang.platform.access import Actor
from hetang.privacy.errors import PrivacyRefused
from hetang.privacy.models import Rules

BOUNDS = {
    "reveals_a_day": (0, 500),
    "export_days": (1, 30),
    "answer_days": (1, 30),
    "link_hours": (1, 24 * 14),
}


def current() -> Rules:
    """The row, or the shipped limits."""
    return Rules.objects.filter(pk=1).first() or Rules()


def change(actor: Actor, values: dict[str, Any]) -> None:
    """Set limits, with an audit row of what changed. Raises Forbidden, PrivacyRefused("out_of_bounds")."""
    actor.require("privacy:manage")
    for name, (low, high) in BOUNDS.items():
        if name in values and not low <= int(values[name]) <= high:
            raise PrivacyRefused("out_of_bounds", low=low, high=high)
    before = current()
    changes = {name: [getattr(before, name), new] for name, new in values.items() if getattr(before, name) != new}
    if not changes:
        return
    with transaction.atomic():
        Rules.objects.update_or_create(pk=1, defaults=values)
        audit.record(actor, "privacy.limits", "privacy", 1, changes)
