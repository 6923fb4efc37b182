"""The ways of looking at what was imported."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _


def tabs(current: str) -> list[dict[str, Any]]:
    """Tabs for `{% tabs %}`; `current` is the name of an address."""
    items = (("list", _("Imports")), ("presets", _("Saved mappings")), ("districts", _("Districts")))
    return [{"url": reverse(f"imports:{name}"), "label": label, "current": name == current} for name, label in items]
