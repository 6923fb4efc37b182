"""The tabs above the settings pages and above those of users and roles: each actor sees those that she may open."""

from __future__ import annotations

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.platform.access import Actor

# (address name of this room, label, permission), by group.
SETTINGS: tuple[tuple[str, str | Promise, str], ...] = (
    ("brand", _("Brand"), "settings:edit"),
    ("wecom", _("WeCom"), "settings:edit"),
    ("life-stages", _("Life stages"), "settings:edit"),
    ("system", _("System"), "settings:edit"),
    ("keys", _("API keys"), "keys:manage"),
)
ACCESS: tuple[tuple[str, str | Promise, str], ...] = (
    ("users", _("Users"), "users:view"),
    ("roles", _("Roles"), "users:view"),
    ("organisation", _("Organisation"), "users:view"),
    ("login-rules", _("Log-in rules"), "users:view"),
    ("sign-on", _("Log-in by WeCom"), "users:manage"),
    ("approval-rules", _("Approval rules"), "users:view"),
)
WHOLE_BRAND = frozenset({"sign-on"})  # opened only by who has the permission for the whole brand


def tabs(current: str, actor: Actor) -> list[dict[str, object]]:
    """The tabs of the group in which `current` (an address name of this room) is, with it marked."""
    group = ACCESS if any(name == current for name, _label, _permission in ACCESS) else SETTINGS
    return [
        {"label": label, "url": reverse(f"settings:{name}"), "current": name == current}
        for name, label, permission in group
        if (actor.scope(permission).everything if name in WHOLE_BRAND else actor.can(permission))
    ]
