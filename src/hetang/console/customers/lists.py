"""The list of customers: search by an exact identifier, filters, pages by key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from hetang.commerce import queries as commerce
from hetang.commerce.models import CustomerMetric
from hetang.commerce.rhythm import Base, Habit
from hetang.commerce.rules import stage
from hetang.connectors.wecom import avatars
from hetang.console.customers import words
from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import Page
from hetang.console.templatetags.hetang import staff_title
from hetang.customers import kept, minors, queries
from hetang.customers.models import Customer, CustomerTag, Identity, Tag, TagGroup
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, foreign_among, needs, own_customers, visible_customers
from hetang.platform.masking import mask
from hetang.platform.sealing import unseal
from hetang.resources.models import Staff, Store

_CHOICES = 500  # stores or advisers in a select; the search field finds the rest
_RECOGNISED_BY = ("member", "card", "phone", "email")
_NUMBERED = {"member": _("Member %(number)s"), "card": _("Card %(number)s")}


TABLE = Table(
    code="customers",
    label=_("Customers"),
    permission="customers:view",
    url_name="customers:list",
    columns=(
        Column("customer", _("Customer"), fixed=True),
        Column("store", _("Home store")),
        Column("owner", lazy(staff_title, str)()),
        Column("tags", _("Tags")),
        Column("stage", _("Stage")),
        Column("orders", _("Orders"), css="n"),
        Column("sales", _("Net sales"), css="n"),
        Column("last_order", _("Last order")),
        Column("last_visit", _("Last visit"), hidden=True),
        Column("number", _("Customer number"), sort="number", hidden=True, css="n"),
        Column("known", _("Known since"), hidden=True),
    ),
    order=("-number",),
    key=("-number",),
    filters=("store", "owner", "tag"),
    search="q",  # may hold a phone number: views never keep it
)


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    customer: Customer
    name: str
    known_by: str
    tags: list[str]
    sums: CustomerMetric | None
    foreign: bool  # another company's: drawn without identity
    habit: Habit | None
    base: Base

    @property
    def stage(self) -> tuple[str, str]:
        """Where she stands, and its tone."""
        label, tone = words.STAGES[stage(self.habit, self.base, clock.today())]
        return str(label), tone

    @property
    def title(self) -> str:
        """What the row is called: her name, else what she is known by, else our own number."""
        return self.name or self.known_by or gettext("No. %(number)s") % {"number": self.customer.number}


@require_GET
@needs("customers:view")
def customer_list(request: HttpRequest) -> HttpResponse:
    """Customers whom the actor may see, newest first."""
    actor = actor_of(request)
    seen = visible_customers(actor, "customers:view")
    query = request.GET.get("q", "").strip()
    # who searches by an identifier learns whose it is: only among her own company's
    found = queries.find(query, own_customers(actor, "customers:view")) if query else seen
    chosen = _chosen(request, found)
    # of a part of the organisation people are collected by their friends, which page and count share
    listing = read(TABLE, chosen, request, costly=not actor.scope("customers:view").everything)
    _note_look(request, actor, query, listing.page)
    drawn = rows(listing.page, actor)
    values = {
        "listing": listing,
        "rows": drawn,
        "avatars": avatars_of([one.customer.number for one in drawn if not one.foreign], actor),
        "filters": request.GET,
        **_choices(actor),
    }
    return render(request, "console/customers/list.html", values)


def _note_look(request: HttpRequest, actor: Actor, query: str, page: Page[Customer]) -> None:
    """What was asked for and how much was shown; never the identifier that somebody typed."""
    filters = {name: request.GET[name] for name in ("store", "owner", "tag") if request.GET.get(name)}
    if query:
        one = page.rows[0].public_id if len(page) == 1 else ""
        audit.look(actor, "look.search", "customer", one, {"found": len(page), **filters})
    elif page:
        audit.look(actor, "look.list", "customer", "", {"shown": len(page), **filters})


def avatars_of(numbers: Sequence[int], actor: Actor) -> set[int]:
    """Those of one's own customers of whom an avatar may be shown; the others' are fetched for the next look."""
    grown = set(numbers) - set(minors.among(numbers, clock.today()))
    return avatars.kept_of(sorted(grown), wish=not actor.seen_as) if grown else set()


def rows(page: Page[Customer], actor: Actor) -> list[Row]:
    """What lists show of customers whom the actor sees (`customers:view`); seven or eight queries in all."""
    numbers = [customer.number for customer in page]
    foreign = foreign_among(actor, "customers:view", numbers)
    own = [number for number in numbers if number not in foreign]
    under_age = minors.among(own, clock.today())
    names, sums, tags = queries.names_of(own, under_age), commerce.sums_of(numbers), _tags_of(numbers)
    known_by = recognised_by(own, under_age)  # masked names look alike; a number tells people apart
    habits, base = commerce.habits_of(numbers), commerce.rhythm_base()
    return [
        Row(
            one,
            names.get(one.number, ""),
            known_by.get(one.number, ""),
            tags[one.number],
            sums.get(one.number),
            one.number in foreign,
            habits.get(one.number),
            base,
        )
        for one in page
    ]


def recognised_by(numbers: Sequence[int], under_age: Collection[int] | None = None) -> dict[int, str]:
    """One identity of each by which staff recognise her: member number, card, masked phone or mail."""
    if under_age is None:
        under_age = minors.among(numbers, clock.today())
    found: dict[int, Identity] = {}
    for row in Identity.objects.filter(customer__in=numbers, kind__in=_RECOGNISED_BY).order_by("-id"):
        best = found.get(row.customer_id)
        if best is None or _RECOGNISED_BY.index(row.kind) <= _RECOGNISED_BY.index(best.kind):
            found[row.customer_id] = row
    return {number: _shown(row, number in under_age) for number, row in found.items()}


def titles_of(numbers: Sequence[int]) -> dict[int, str]:
    """What pages call each of these customers: her masked name with what staff know her by. Three queries."""
    under_age = minors.among(numbers, clock.today())
    names, known_by = queries.names_of(numbers, under_age), recognised_by(numbers, under_age)
    return {
        number: " · ".join(part for part in (names.get(number), known_by.get(number)) if part) or f"#{number}"
        for number in numbers
    }


def _shown(row: Identity, minor: bool) -> str:
    """The identity, masked where it must be; a number says what it is the number of."""
    plain = not row.sealed and not minor
    value = row.key if plain else mask(row.kind, unseal(row.sealed).decode() if row.sealed else row.key, strict=minor)
    words = _NUMBERED.get(row.kind)
    return words % {"number": value} if words else value


def _tags_of(numbers: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    on = CustomerTag.objects.filter(customer__in=numbers, on=True).exclude(expires_at__lte=clock.now())
    for number, name in on.order_by("tag__group__position", "tag__position").values_list("customer", "tag__name"):
        found[number].append(name)
    worn = kept.worn_by(numbers)
    names = dict(Tag.objects.filter(kept__isnull=False, archived_at=None).values_list("pk", "name")) if worn else {}
    for number, tags in worn.items():
        found[number] += [names[tag] for tag in tags if tag in names]
    return found


def _chosen(request: HttpRequest, among: QuerySet[Customer]) -> QuerySet[Customer]:
    values = {name: request.GET.get(name, "") for name in ("store", "owner", "tag")}
    return queries.listed(among, **values, now=clock.now())


def _choices(actor: Actor) -> dict[str, Any]:
    """Stores as far as she sees, advisers of her own company."""
    nodes = actor.scope("customers:view").org_nodes().values("pk")
    own = actor.own_scope("customers:view").org_nodes().values("pk")
    return {
        "stores": Store.objects.filter(org_node__in=nodes).order_by("name").values_list("code", "name")[:_CHOICES],
        "advisers": Staff.objects.filter(org_node__in=own, active=True)
        .order_by("name")
        .values_list("userid", "name")[:_CHOICES],
        "groups": tag_choices(),
    }


def tag_choices(by_hand: bool = False) -> list[tuple[TagGroup, list[Tag]]]:
    """Tags in use, by group; `by_hand` only those that people put on."""
    groups: dict[TagGroup, list[Tag]] = defaultdict(list)
    for tag in (
        Tag.objects.filter(kept.NOT_KEPT if by_hand else Q(), archived_at=None)
        .select_related("group")
        .order_by("group__position", "position")
    ):
        groups[tag.group].append(tag)
    return list(groups.items())


def customer_or_404(actor: Actor, permission: str, public_id: Any) -> Customer:
    """The customer behind a public id (the survivor of a merge) if she is the actor's own company's; else a 404."""
    return _among_or_404(own_customers(actor, permission), public_id)


def seen_or_404(actor: Actor, permission: str, public_id: Any) -> Customer:
    """The same with other companies' customers, who must be drawn without identity: see `access.foreign_among`."""
    return _among_or_404(visible_customers(actor, permission), public_id)


def _among_or_404(customers: QuerySet[Customer], public_id: Any) -> Customer:
    try:
        number = queries.current(public_id).pk
    except Customer.DoesNotExist:
        raise Http404 from None
    found = customers.filter(pk=number).first()
    if found is None:
        raise Http404
    return found
