"""The tabs above the privacy officer's pages."""

from __future__ import annotations

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TABS: tuple[tuple[str, str | Promise], ...] = (
    ("requests", _("Requests")),
    ("erasures", _("Erasures")),
    ("consents", _("Consents")),
    ("keeping", _("Keeping times")),
    ("keys", _("Keys")),
    ("rules", _("Privacy rules")),
)


def tabs(current: str) -> list[dict[str, object]]:
    """The tabs, with the current one (an address name of this room) marked."""
    return [{"label": label, "url": reverse(f"privacy:{name}"), "current": name == current} for name, label in TABS]
