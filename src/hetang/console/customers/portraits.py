"""One customer: who she is, what she is worth, who looks after her, what she agreed to, what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import formats
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from hetang.audiences.automatic import Keeper, keepers
from hetang.audiences.errors import history_is_away
from hetang.audiences.queries import audiences_of, nearest_store
from hetang.commerce import queries as commerce
from hetang.commerce.queries import Metrics
from hetang.commerce.rhythm import EARLY, LATE, Base, Habit
from hetang.commerce.rules import stage
from hetang.communities.timeline import group_stays
from hetang.connectors.wecom import avatars, mass_messages
from hetang.console import figures
from hetang.console.customers import words
from hetang.console.customers.lists import customer_or_404, recognised_by, rows, seen_or_404, tag_choices
from hetang.console.customers.reveals import question
from hetang.console.customers.unmerging import stories_of
from hetang.console.fact_sources import SIMULATED, source_name
from hetang.console.paging import Page
from hetang.customers import households, minors, queries
from hetang.customers.models import Customer, DoNotDisturb, Tag
from hetang.customers.queries import Entry, Portrait
from hetang.customers.services import PERSONALISATION
from hetang.customers.wording import channel_word, purpose_word, relation_word
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, foreign_among, needs
from hetang.platform.organisation import company_of
from hetang.resources.models import CategoryLabel
from hetang.resources.queries import store_names
from hetang.touch.timeline import sent_messages

_PAGE = 40


@dataclass(frozen=True)
class Line:
    """An entry of the timeline as it is drawn."""

    symbol: str
    text: str
    at: datetime
    source: str
    simulated: bool
    heading: str  # the day, on its first line only


@require_GET
@needs("customers:view")
def portrait(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The portrait page. A merged customer's address leads to her survivor."""
    actor = actor_of(request)
    customer = seen_or_404(actor, "customers:view", public_id)
    if customer.public_id != public_id:
        return redirect("customers:portrait", customer.public_id)
    if foreign_among(actor, "customers:view", [customer.number]):
        return _foreign(request, customer)
    audit.look(actor, "look.portrait", "customer", customer.public_id)
    now = clock.now()
    known = queries.portrait(public_id, now)
    metrics = commerce.metrics_of(customer.number, now)
    habit, base = commerce.habits_of([customer.number]).get(customer.number), commerce.rhythm_base()
    household = households.members_of(customer.number, clock.local_day(now))
    near = nearest_store(customer.number)
    values = {
        "person": known,
        "title": known.name or recognised_by([known.number]).get(known.number) or f"#{known.number}",
        "got": mass_messages.of_customer(customer.number, mass_messages.month_of(clock.today())[0]),
        "avatar": _has_avatar(actor, customer.number),
        "metrics": metrics,
        "sentence": sentence(metrics),
        "stage": words.STAGES[stage(habit, base, clock.local_day(now))],
        "rhythm": rhythm(habit),
        "expected": expected(habit, base, clock.local_day(now)),
        "months": _months(customer.number) if metrics.orders else [],
        "identities": [(words.IDENTITIES.get(one.kind, one.kind), one) for one in known.identities],
        "attributes": [(_attribute_label(one), one) for one in known.attributes],
        "nearest": near
        and _("%(store)s, %(distance)s away") % {"store": near[0], "distance": figures.distance(near[1])},
        "relations": [(one, relation_word(one.state), words.RELATION_TONES[one.state]) for one in known.relations],
        "consents": [(one, purpose_word(one.purpose), channel_word(one.channel)) for one in known.consents],
        "disturb": disturb(known, now),
        "household": [(words.MEMBER_KINDS.get(one.kind, one.kind), one) for one in household],
        "objected": any(one.purpose == PERSONALISATION and not one.given for one in known.consents),
        "tag_choices": tag_choices(by_hand=True),
        "keepers": _keepers(known),
        "words": words,
        "fresh": bool(request.GET.get("fresh")),
        "decisions": stories_of(actor, customer),
        **question(known, household),
        **_history(request, customer),
    }
    for consent in known.consents:
        consent.basis_label = words.BASES[consent.basis]  # type: ignore[attr-defined]
    return render(request, "console/customers/portrait.html", values)


def _keepers(known: Portrait) -> list[tuple[Tag, Keeper]]:
    """The tags that rules keep on her, each with its keeper."""
    found = keepers([tag.pk for tag in known.kept_tags])
    return [(tag, found[tag.pk]) for tag in known.kept_tags if tag.pk in found]


def _has_avatar(actor: Actor, number: int) -> bool:
    """Whether one is kept that may be shown; where none is, it is fetched for the next look. Of children none is."""
    if minors.among([number], clock.today()):
        return False
    return bool(avatars.kept_of([number], wish=not actor.seen_as))


def _foreign(request: HttpRequest, customer: Customer) -> HttpResponse:
    """Another company's customer: what she adds up to, without identity, contact or history."""
    store = customer.home_store
    values = {
        "number": customer.number,
        "store": store.name if store else "",
        "company": company_of(store.org_node) if store else "",
        "metrics": commerce.metrics_of(customer.number, clock.now()),
        "tags": rows(Page([customer]), actor_of(request))[0].tags,
    }
    return render(request, "console/customers/foreign.html", values)


@require_GET
@needs("customers:view")
def timeline(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """More of the timeline, for htmx."""
    customer = customer_or_404(actor_of(request), "customers:view", public_id)
    values = {"person": customer, **_history(request, customer)}
    return render(request, "console/customers/timeline.html", values)


@require_GET
@needs("customers:view")
def audiences(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The audiences that she is in now, for htmx: her purchases are asked for, which the page need not wait for."""
    actor = actor_of(request)
    customer = customer_or_404(actor, "customers:view", public_id)
    values: dict[str, Any] = {"person": customer, "audiences": []}
    if actor.can("audiences:view"):
        try:
            values["audiences"] = audiences_of(customer.number, actor.scope("audiences:view"))
        except Exception as problem:
            if not history_is_away(problem):
                raise
            values["away"] = True
    return render(request, "console/customers/audiences.html", values)


def sentence(metrics: Metrics) -> str:
    """Who she is, in a few words."""
    if not metrics.orders:
        return _("Known, but has not bought yet.")
    first = clock.local_day(metrics.first_order_at).isoformat() if metrics.first_order_at else figures.UNKNOWN
    values = {"n": metrics.orders, "first": first, "gmv": figures.money(metrics.gmv)}
    said = [
        ngettext(
            "Customer since %(first)s, with %(n)s order worth %(gmv)s.",
            "Customer since %(first)s, with %(n)s orders worth %(gmv)s in all.",
            metrics.orders,
        )
    ]
    if metrics.favourite_store:
        said.append(_("Buys mostly at %(store)s."))
        values["store"] = store_names().get(metrics.favourite_store, metrics.favourite_store)
    if metrics.favourite_category:
        said.append(_("Buys %(category)s most often."))
        values["category"] = category_label(metrics.favourite_category)
    if not metrics.frequency[1]:
        said.append(_("Has not bought for 90 days."))
    between = "" if get_language() == "zh-hans" else " "
    return between.join(said) % values


def rhythm(habit: Habit | None) -> str:
    """How often she buys by herself, in words; empty before the second day of a purchase."""
    if habit is None or not habit.gaps:
        return ""
    days = habit.usual
    often = ngettext("usually every day", "usually every %(n)s days", days) % {"n": days}
    known = ngettext("from %(n)s gap", "from %(n)s gaps", habit.gaps)
    return _("%(often)s (%(known)s)") % {"often": often, "known": known % {"n": habit.gaps}}


def expected(habit: Habit | None, base: Base, today: date) -> str:
    """When she is expected next, and how late she is, in words; empty before the second day of a purchase."""
    if habit is None or (late := habit.lateness(base, today)) is None:
        return ""
    first, last = habit.expected(base, EARLY), habit.expected(base, LATE)
    assert first and last  # noqa: S101 - who has a lateness has these
    values = {"first": figures.short_day(first), "last": figures.short_day(last), "n": late}
    if today < first:
        return _("next expected %(first)s to %(last)s, in eight of ten times, if she stays") % values
    if today <= last:
        return _("due: expected %(first)s to %(last)s; %(n)s of 100 times she had bought by now, if she stays") % values
    return _("late: expected %(first)s to %(last)s; %(n)s of 100 times she had bought by now, if she stays") % values


def _months(number: int) -> list[tuple[str, int, str]]:
    """Month, amount and how it is written, of the last twelve months."""
    months = commerce.months_of(number, clock.today())
    name = pgettext("short month, as Django's date filter writes it", "M")
    return [(formats.date_format(first, name), net, f"{first:%Y-%m}: {figures.money(net)}") for first, net in months]


def disturb(known: Portrait, now: Any) -> DoNotDisturb | None:
    """Her do-not-disturb if it holds now."""
    row = known.do_not_disturb
    return row if row and row.on and (row.until is None or row.until > now) else None


def category_label(category: str) -> str:
    """A product category in the current language; the category itself where it has no label."""
    label = CategoryLabel.objects.filter(category=category).first()
    if label is None:
        return category
    return (label.en if get_language() == "en" else label.zh_hans) or category


def _history(request: HttpRequest, customer: Customer) -> dict[str, Any]:
    chosen = request.GET.get("kind", "")
    kinds = words.HISTORY[chosen][1] if chosen in words.HISTORY else None
    found = queries.timeline(
        *(customer.number, request.GET.get("before"), kinds, _PAGE, figures.money),
        sources=(sent_messages, *group_stays),
    )
    lines = list(_lines(found.entries, request.GET.get("day", "")))
    tabs = [{"label": _("All"), "url": "?#timeline", "current": chosen not in words.HISTORY}]
    tabs += [
        {"label": label, "url": f"?kind={code}#timeline", "current": code == chosen}
        for code, (label, _kinds, _symbol) in words.HISTORY.items()
    ]
    last_day = clock.local_day(lines[-1].at).isoformat() if lines else ""
    return {"lines": lines, "before": found.before, "day": last_day, "kind": chosen, "history_tabs": tabs}


def _lines(entries: Iterable[Entry], day_before: str) -> Iterator[Line]:
    """Entries newest first; `day_before` is the ISO day of the line above, which needs no second heading."""
    for entry in entries:
        day = clock.local_day(entry.occurred_at)
        heading = "" if day.isoformat() == day_before else figures.short_day(day)
        day_before = day.isoformat()
        symbol = words.SYMBOLS.get(entry.kind, "info")
        source, simulated = source_name(entry.source), entry.source in SIMULATED
        yield Line(symbol, entry.text, entry.occurred_at, source, simulated, heading)


def _attribute_label(one: queries.AttributeView) -> str:
    return one.label_en if get_language() == "en" else one.label_zh
