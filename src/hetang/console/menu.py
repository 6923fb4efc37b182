"""The main menu. An entry shows only to those who may open it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hetang.platform.access import Actor, actor_of


@dataclass(frozen=True)
class Item:
    """An entry: `url_name` as for `{% url %}`, an icon of the sprite, the permission that it needs (any of several).

    `tabs`: names of pages that are reached from it and lie at other addresses.
    """

    label: str | Promise
    url_name: str
    icon: str
    permission: str
    tabs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Entries under one heading; `folded` ones open when somebody opens them or is in one of their pages."""

    label: str | Promise
    items: tuple[Item, ...]
    folded: bool = False


@dataclass(frozen=True)
class Entry:
    """An item as one request sees it."""

    label: str | Promise
    url: str
    icon: str
    current: bool


# Rooms add their entry here, in the order of the working day.
SECTIONS: tuple[Section, ...] = (
    Section(
        pgettext_lazy("menu", "People"),
        (
            Item(_("Customers"), "customers:list", "customers", "customers:view"),
            Item(_("Same person?"), "customers:review", "merge", "customers:merge"),
            Item(_("Group chats"), "groups:list", "chat", "customers:view"),
            Item(_("Hand-overs"), "handovers:list", "person", "customers:hand_over"),
            Item(_("Friends lost"), "handovers:lost", "heart", "board:view"),
            Item(_("Tags"), "customers:tags", "tag", "customers:view"),
            Item(_("Audiences"), "audiences:list", "audience", "audiences:view"),
            Item(_("Ponds"), "ponds:list", "split", "audiences:view"),
            Item(_("Imports"), "imports:list", "import", "imports:run"),
        ),
    ),
    Section(
        _("Reach"),
        (
            Item(_("Campaigns"), "campaigns:list", "campaign", "campaigns:view"),
            Item(_("Broadcasts to customers"), "campaigns:broadcasts", "send", "campaigns:view"),
            Item(_("Marketing calendar"), "campaigns:calendar", "calendar", "campaigns:view"),
            Item(_("Approvals"), "approvals:list", "check", "campaigns:send campaigns:approve exports:approve"),
            Item(_("Quota"), "campaigns:quota", "stream", "campaigns:view"),
            Item(_("Contact limits"), "campaigns:governor", "bell-off", "settings:edit"),
        ),
    ),
    Section(
        _("Results"),
        (
            Item(_("GMV board"), "insights:board", "board", "board:view"),
            Item(_("Broadcast reports"), "insights:reports", "report", "reports:view"),
        ),
    ),
    Section(
        _("Privacy"),
        (
            Item(_("Requests of customers"), "privacy:requests", "chat", "privacy:view"),
            Item(_("Register of exports"), "exports:list", "export", "privacy:view customers:export"),
            Item(_("Register of consents"), "privacy:consents", "shield", "privacy:view"),
            Item(_("Keeping times and rules"), "privacy:keeping", "clock", "privacy:view"),
        ),
    ),
    Section(
        _("System"),
        (
            Item(_("System status"), "operations:status", "operations", "operations:view"),
            Item(_("Alerts"), "operations:alerts", "bell", "operations:view"),
            Item(_("Held records"), "operations:held", "held", "facts:view"),
            Item(_("Backups"), "operations:backups", "download", "operations:view"),
            Item(_("Jobs"), "operations:jobs", "jobs", "operations:view"),
            Item(_("Audit log"), "audit:list", "audit", "audit:view"),
            Item(
                _("Users and roles"),
                "settings:users",
                "person",
                "users:view",
                tabs=("settings:roles", "settings:organisation", "settings:login-rules", "settings:approval-rules"),
            ),
            Item(_("Settings"), "settings:brand", "settings", "settings:edit"),
            Item(_("Simulated WeCom"), "simulator:page", "simulator", "simulator:use"),
        ),
        folded=True,
    ),
)
_FEW = 2
MENU_COOKIE = "hetang_menu"  # "open" while somebody keeps the folded section open; the browser sets it
HOME = Item(_("Home"), "console:home", "home", "")


address = lru_cache(reverse)  # of places without parameters, which stay where they are


def menu_of(request: HttpRequest) -> list[dict[str, object]]:
    """The sections that the actor sees, with the current entry marked (the longest address that fits)."""
    actor = actor_of(request)
    visible = [
        (section, [(item, address(item.url_name)) for item in section.items if allowed(actor, item)])
        for section in (Section("", (HOME,)), *SECTIONS)
    ]
    shown = [entry for _section, items in visible for entry in items]
    current = _current(request.path, {at: url for item, url in shown for at in (url, *map(address, item.tabs))})
    kept_open = request.COOKIES.get(MENU_COOKIE) == "open"
    return [
        _shown(section, [Entry(item.label, url, item.icon, url == current) for item, url in items], kept_open)
        for section, items in visible
        if items
    ]


def _shown(section: Section, entries: list[Entry], kept_open: bool) -> dict[str, object]:
    """A section as the sidebar draws it. A short one is not worth folding."""
    folded = section.folded and len(entries) > _FEW
    is_open = kept_open or any(entry.current for entry in entries)
    return {"label": section.label, "items": entries, "folded": folded, "open": is_open}


def allowed(actor: Actor, item: Item) -> bool:
    """Whether the actor may open the entry."""
    return not item.permission or any(actor.can(one) for one in item.permission.split())


def _current(path: str, entries: dict[str, str]) -> str:
    """The entry's address of the longest place that fits; `entries` by place."""
    fitting = [place for place in entries if path == place or (place != "/" and path.startswith(place))]
    return entries[max(fitting, key=len)] if fitting else ""
