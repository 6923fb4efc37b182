"""What every page knows: the brand, the menu, who is signed in, the chosen appearance."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from hetang.console.help.guide import sections
from hetang.console.menu import menu_of
from hetang.platform.access import Actor, actor_of
from hetang.platform.brand import brand
from hetang.platform.roles import ROLES, roles

THEME_COOKIE = "hetang_theme"
THEMES = ("light", "dark")


def console(request: HttpRequest) -> dict[str, Any]:
    """Template context of the console; what costs a query is lazy."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    values: dict[str, Any] = {
        "brand": SimpleLazyObject(brand),
        "theme": theme if theme in THEMES else "",
    }
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        actor = actor_of(request)
        values |= {
            "actor": actor,
            "can": actor.permissions,
            "guide": SimpleLazyObject(sections),
            "menu": SimpleLazyObject(lambda: menu_of(request)),
            "user_label": getattr(user, "display_name", "") or user.get_username(),
            "role_label": SimpleLazyObject(lambda: role_label(actor)),
        }
    return values


def role_label(actor: Actor) -> str:
    """The roles that somebody holds, named."""
    codes = sorted({held.role for held in actor.held})
    known = ROLES if all(code in ROLES for code in codes) else roles()
    return " · ".join(str(known[code].label) for code in codes if code in known)
