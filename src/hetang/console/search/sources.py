"""What the search of the frame looks through. Every source asks for a handful of rows within the actor's scope.

Customers are found by what names exactly one of them (an index probe on the keyed hash): names are sealed, so no part
of a name can be looked for, and nobody can walk through the customers by trying parts. What people make by hand
(audiences, campaigns, tags) is small and is looked through by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, ngettext, override, pgettext_lazy

from hetang.audiences import queries as audiences
from hetang.campaigns import queries as campaigns
from hetang.console import figures
from hetang.console.campaigns.campaigns import state_of
from hetang.console.customers.lists import recognised_by
from hetang.console.help import guide
from hetang.console.menu import HOME, SECTIONS, Item, allowed
from hetang.customers import queries as customers
from hetang.customers.models import Tag
from hetang.platform import audit
from hetang.platform.access import Actor, own_customers

SHORT, LONG = 5, 30
MOST = 120  # characters of a search that are read
LANGUAGES = ("zh-hans", "en")


@dataclass(frozen=True)
class Hit:
    """One line: where it leads, what it is called, a quiet remark."""

    url: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Hits of one kind; `more` is the list that shows all of them, if there is one."""

    label: str | Promise
    icon: str
    hits: tuple[Hit, ...]
    more: str = ""


@dataclass(frozen=True)
class Source:
    """A kind of things to find, for whoever holds the permission (anybody signed in, if empty)."""

    label: str | Promise
    icon: str
    permission: str
    find: Callable[[Actor, str, int], Iterable[Hit]]
    listed_at: str = ""  # url name of the list that takes the text as `q`


def search(actor: Actor, text: str, limit: int = SHORT) -> list[Group]:
    """Everything that fits, by kind, at most `limit` of each. At most ten queries whatever is found."""
    text = text.strip()[:MOST]
    if not text:
        return []
    found = []
    for source in SOURCES:
        if not source.permission or actor.can(source.permission):
            hits = tuple(source.find(actor, text, limit))
            more = f"{reverse(source.listed_at)}?q={quote(text)}" if source.listed_at and len(hits) == limit else ""
            if hits:
                found.append(Group(source.label, source.icon, hits, more))
    return found


def _customers(actor: Actor, text: str, limit: int) -> list[Hit]:
    # who searches by an identifier learns whose it is: only among her own company's
    seen = own_customers(actor, "customers:view")
    found = list(customers.find(text, seen).select_related("home_store", "owner").order_by("-number")[:limit])
    if found:
        audit.look(
            actor, "look.search", "customer", found[0].public_id if len(found) == 1 else "", {"found": len(found)}
        )
    numbers = [one.number for one in found]
    names, nameless = customers.names_of(numbers), recognised_by(numbers)
    return [
        Hit(
            reverse("customers:portrait", args=[one.public_id]),
            names.get(one.number) or nameless.get(one.number) or str(one.number),
            " · ".join(part for part in (nameless.get(one.number, ""), getattr(one.home_store, "name", "")) if part),
        )
        for one in found
    ]


def _audiences(actor: Actor, text: str, limit: int) -> list[Hit]:
    found = _named(audiences.visible(actor.scope("audiences:view")), text, limit)
    return [
        Hit(
            reverse("audiences:detail", args=[one.public_id]),
            one.name,
            ""
            if one.count is None
            else ngettext("%(n)s person", "%(n)s people", one.count) % {"n": figures.number(one.count)},
        )
        for one in found
    ]


def _campaigns(actor: Actor, text: str, limit: int) -> list[Hit]:
    found = _named(campaigns.visible_campaigns(actor.scope("campaigns:view")), text, limit)
    return [
        Hit(
            reverse("campaigns:detail", args=[one.public_id]),
            one.name,
            f"{figures.day(one.starts_on)} – {figures.day(one.ends_on)}",
        )
        for one in found
    ]


def _broadcasts(actor: Actor, text: str, limit: int) -> list[Hit]:
    found = _named(campaigns.visible_broadcasts(actor.scope("campaigns:view")), text, limit)
    return [
        Hit(
            reverse("campaigns:broadcast", args=[one.public_id]),
            one.name,
            f"{state_of(one)['text']} · {one.campaign.name}",
        )
        for one in found
    ]


def _tags(_actor: Actor, text: str, limit: int) -> list[Hit]:
    found = _named(Tag.objects.filter(archived_at=None).select_related("group"), text, limit)
    return [Hit(f"{reverse('customers:list')}?tag={one.code}", one.name, one.group.name) for one in found]


def _pages(actor: Actor, text: str, limit: int) -> list[Hit]:
    wanted = text.casefold()
    open_to_her = [(section.label, item) for section in SECTIONS for item in section.items if allowed(actor, item)]
    fitting = [(label, item) for label, item in [("", HOME), *open_to_her] if wanted in _names(item)]
    return [Hit(reverse(item.url_name), str(item.label), str(label)) for label, item in fitting[:limit]]


def _names(item: Item) -> str:
    """An entry's label in both languages: whoever works in English may still think 客户, and the other way round."""
    names = []
    for language in LANGUAGES:
        with override(language):
            names.append(str(item.label))
    return "\n".join(names).casefold()


def _help(_actor: Actor, text: str, limit: int) -> list[Hit]:
    page = reverse("console:help")
    return [Hit(f"{page}#{one.anchor}", one.title, _around(one.plain, text)) for one in guide.matching(text, limit)]


def _around(plain: str, text: str) -> str:
    """A piece of the text around the first place that fits."""
    at = plain.casefold().find(text.casefold())
    start = max(at - 24, 0) if at >= 0 else 0
    piece = plain[start : start + 80]
    return f"{'…' if start else ''}{piece}…" if len(plain) > 80 else piece


def _named(rows: QuerySet[Any], text: str, limit: int) -> Sequence[Any]:
    """Rows with the text in their name: those that begin with it first, then the newest."""
    begins = Case(When(name__istartswith=text, then=Value(0)), default=Value(1), output_field=IntegerField())
    return list(rows.filter(name__icontains=text).order_by(begins, "-pk")[:limit])


SOURCES: tuple[Source, ...] = (
    Source(gettext_lazy("Customers"), "customers", "customers:view", _customers),
    Source(gettext_lazy("Audiences"), "audience", "audiences:view", _audiences, "audiences:list"),
    Source(gettext_lazy("Campaigns"), "campaign", "campaigns:view", _campaigns, "campaigns:list"),
    Source(gettext_lazy("Broadcasts"), "send", "campaigns:view", _broadcasts, "campaigns:broadcasts"),
    Source(gettext_lazy("Tags"), "tag", "customers:view", _tags),
    Source(pgettext_lazy("search", "Pages"), "right", "", _pages),
    Source(gettext_lazy("Help"), "info", "", _help),
)
