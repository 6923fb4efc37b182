"""The tabs above the settings pages."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _


def tabs(current: str) -> list[dict[str, object]]:
    """Tabs with `current` (an address name of this room) marked."""
    labels = {"brand": _("Brand"), "users": _("Users"), "keys": _("API keys")}
    return [
        {"label": label, "url": reverse(f"settings:{name}"), "current": name == current}
        for name, label in labels.items()
    ]
