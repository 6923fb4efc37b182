"""Saved audiences: the list, one of them, its history, and why somebody is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import queries, services
from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import history_is_away, message
from hetang.audiences.matching import Verdict
from hetang.audiences.models import Audience, AudienceSnapshot, AudienceVersion
from hetang.audiences.reading import parse
from hetang.audiences.rules import All, AnyOf, Catalogue, InPond, InvalidRule, MemberOf, Node, Not
from hetang.audiences.sentences import describe
from hetang.console import figures
from hetang.console.audiences import people, schedules
from hetang.console.audiences.access import own_or_404
from hetang.console.audiences.building import trouble
from hetang.console.audiences.templates import offered
from hetang.console.audiences.uses import uses_of
from hetang.console.audiences.verdicts import shown_value
from hetang.console.lists.tables import Column, Table, read
from hetang.console.paging import keyset
from hetang.customers import queries as customers
from hetang.platform.access import Actor, Scope, actor_of, needs, own_customers
from hetang.platform.engine_client import EngineUnavailable, ServiceError

SAMPLE = 10
TABLE = Table(
    code="audiences",
    label=gettext_lazy("Audiences"),
    permission="audiences:view",
    url_name="audiences:list",
    columns=(
        Column("name", gettext_lazy("Name"), sort="name", fixed=True),
        Column("rule", gettext_lazy("Rule")),
        Column("people", gettext_lazy("Number of people"), css="n"),
        Column("refreshed", gettext_lazy("Last refresh")),
        Column("created", gettext_lazy("Created"), sort="created_at", hidden=True),
    ),
    order=("-id",),
    key=("-id",),
    filters=("q", "show"),
)
CHART_POINTS = 120


@require_GET
@needs("audiences:view")
def audience_list(request: HttpRequest) -> HttpResponse:
    """Saved audiences that the actor may see, the newest first, with the size of their newest snapshot."""
    scope = actor_of(request).scope("audiences:view")
    away = request.GET.get("show") == "archived"
    found = queries.archived(scope) if away else queries.visible(scope)
    text = request.GET.get("q", "").strip()
    if text:
        found = found.filter(name__icontains=text)
    listing = read(TABLE, found, request)
    page = listing.page
    known = catalogue()
    for audience in page:
        _describe(audience, known)
    mine = actor_of(request).own_scope("audiences:edit")
    values = {
        "listing": listing,
        "page": page,
        "q": text,
        "starts": offered(known),
        "away": away,
        "archived": away or queries.archived(scope).exists(),
        "comparable": not away and len(page.rows) > 1,
        "may_restore": {audience.pk for audience in page if mine.covers(audience.org_node.path)} if away else set(),
    }
    return render(request, "console/audiences/list.html", values)


@require_GET
@needs("audiences:view")
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """One audience: its rule in words, who fits now within the actor's scope, some of them."""
    audience = one_of(request, public_id)
    known = catalogue(audience.rule, fresh=True)
    _describe(audience, known)
    preview, problem = _preview(audience, actor_of(request).scope("audiences:view"))
    values = {
        "audience": audience,
        "preview": preview,
        "trouble": problem,
        "people": people.rows(preview.sample, actor_of(request)) if preview else [],
        "tabs": tabs_of(audience, "detail", actor_of(request)),
        "uses": uses_of(audience, actor_of(request)),
        "parts": _sized(audience, known, preview) if preview else [],
        "refreshed_by_itself": schedules.told(audience),
        "mine": actor_of(request).own_scope("audiences:edit").covers(audience.org_node.path),
    }
    return render(request, "console/audiences/detail.html", values)


@require_GET
@needs("audiences:view")
def history(request: HttpRequest, public_id: str) -> HttpResponse:
    """How the audience grew and shrank, and the versions of its rule."""
    audience = one_of(request, public_id)
    known = catalogue(audience.rule)
    snapshots = AudienceSnapshot.objects.filter(audience=audience).defer("members")
    versions = list(AudienceVersion.objects.filter(audience=audience).select_related("by").order_by("-version")[:20])
    for version in versions:
        _describe(version, known)
    values = {
        "audience": audience,
        "page": keyset(snapshots, ("-sequence",), request),
        "chart": _chart(snapshots),
        "versions": versions,
        "tabs": tabs_of(audience, "history", actor_of(request)),
    }
    return render(request, "console/audiences/history.html", values)


@require_GET
@needs("audiences:view")
def why(request: HttpRequest, public_id: str) -> HttpResponse:
    """Why a customer is in or not, down to what each condition found. Only customers that the actor may see."""
    audience, actor = one_of(request, public_id), actor_of(request)
    actor.require("customers:view")
    text = request.GET.get("q", "").strip()
    values: dict[str, Any] = {"audience": audience, "q": text, "tabs": tabs_of(audience, "why", actor)}
    if text:
        seen = own_customers(actor, "customers:view")
        customer = customers.find(text, seen).first()
        if customer is None and text.lstrip("#").isdigit():
            customer = seen.filter(number=int(text.lstrip("#"))).first()
        values |= {"missing": True} if customer is None else _explained(audience, customer.number, actor)
    return render(request, "console/audiences/why.html", values)


@require_POST
@needs("audiences:edit")
def refresh(request: HttpRequest, public_id: str) -> HttpResponse:
    """Compare the audience with its newest snapshot now."""
    audience = own_or_404(actor_of(request), public_id)
    try:
        snapshot = services.take_snapshot(audience.id)
        messages.success(
            request,
            ngettext("Refreshed: %(n)s person.", "Refreshed: %(n)s people.", snapshot.count)
            % {"n": figures.number(snapshot.count)},
        )
    except EngineUnavailable:
        messages.error(request, _("The audience engine is not answering. Try again in a few seconds."))
    except ServiceError as refused:
        messages.error(request, trouble(refused))
    return redirect("audiences:detail", audience.public_id)


@dataclass(frozen=True)
class Line:
    """One line of an explanation: how deep, whether it holds, in words, what was found."""

    depth: int
    holds: bool
    text: str
    found: str
    group: bool


def one_of(request: HttpRequest, public_id: str) -> Audience:
    """The audience, if the actor may see it."""
    visible: QuerySet[Audience] = queries.visible(actor_of(request).scope("audiences:view"))
    return get_object_or_404(visible.select_related("org_node", "created_by"), public_id=public_id)


def _preview(audience: Audience, scope: Scope) -> tuple[queries.Preview | None, str]:
    """Who fits now: inside the audience's own node and the actor's scope."""
    try:
        return queries.preview(audience.rule, queries.common(queries.scope_of(audience), scope), SAMPLE), ""
    except EngineUnavailable:
        return None, _(
            "The audience engine is not answering. The newest snapshot and the history below are still there."
        )
    except ServiceError as refused:
        return None, trouble(refused)


def _describe(thing: Any, known: Catalogue) -> None:
    """Set `sentence` (the rule in words) or `broken` (why it cannot be evaluated any more)."""
    thing.sentence, thing.broken = "", ""
    try:
        thing.sentence = describe(parse(thing.rule, known), known, get_language() or "zh-hans")
    except InvalidRule as invalid:
        thing.broken = " ".join(message(problem) for problem in invalid.problems[:3])


def _sized(audience: Audience, known: Catalogue, preview: queries.Preview) -> list[dict[str, Any]]:
    """The outermost conditions with their own size and what each removes."""
    node = parse(audience.rule, known)
    if not isinstance(node, All):
        return []
    language = get_language() or "zh-hans"
    return [
        {
            "text": describe(child, known, language),
            "size": preview.sizes.get(("rule", "all", position)),
            "removes": preview.removes.get(("rule", "all", position)),
        }
        for position, child in enumerate(node.of)
    ]


def _chart(snapshots: QuerySet[AudienceSnapshot]) -> dict[str, Any] | None:
    """Points of a step line in a 600 x 120 picture: the size over time."""
    rows = list(snapshots.order_by("-sequence").values_list("at", "count")[:CHART_POINTS])[::-1]
    if len(rows) < 2:
        return None
    first, last = rows[0][0], rows[-1][0]
    span = max((last - first).total_seconds(), 1.0)
    top = max(count for _at, count in rows) or 1
    points, before = [], None
    for at, count in rows:
        x, y = 600 * (at - first).total_seconds() / span, 116 - 112 * count / top
        if before is not None:
            points.append(f"{x:.1f},{before:.1f}")
        points.append(f"{x:.1f},{y:.1f}")
        before = y
    return {"points": " ".join(points), "first": first, "last": last, "top": top}


def tabs_of(audience: Audience, current: str, actor: Actor) -> list[dict[str, Any]]:
    """The views of one audience."""
    names = [("detail", _("Overview")), ("portrait", pgettext("audience", "Portrait")), ("history", _("History"))]
    if actor.can("customers:view"):
        names += [("past", _("Who was in when?")), ("why", _("Why is she in?"))]
    return [
        {"url": reverse(f"audiences:{name}", args=[audience.public_id]), "label": label, "current": name == current}
        for name, label in names
    ]


def _explained(audience: Audience, number: int, actor: Actor) -> dict[str, Any]:
    known = catalogue(audience.rule, fresh=True)
    try:
        verdict = queries.explain(audience.rule, number)
    except InvalidRule as invalid:
        return {"trouble": " ".join(message(problem) for problem in invalid.problems[:3])}
    except Exception as away:
        if not history_is_away(away):
            raise
        return {"trouble": _("The purchase history is not available now. Try again in a minute.")}
    inside = queries.in_scope(number, queries.scope_of(audience))
    return {
        "person": people.rows([number], actor)[0],
        "holds": verdict.holds and inside,
        "outside": not inside,
        "lines": list(_lines(verdict, known, 0, customers.hidden_attributes(number))),
    }


def _lines(
    verdict: Verdict, known: Catalogue, depth: int, hidden: set[str], told: set[Node] | None = None
) -> list[Line]:
    """A line for each part. What an audience or pond consists of is told once, where it is named first (`told`)."""
    node, told = verdict.node, set() if told is None else told
    language = get_language() or "zh-hans"
    children = verdict.children
    if isinstance(node, Not) and isinstance(node.of, AnyOf):
        children = children[0].children  # an exclusion reads as one group
    text = {All: _("all of these"), AnyOf: _("any of these"), Not: _("none of these")}.get(type(node), "")
    if isinstance(node, MemberOf) or not text:
        text = describe(node, known, language)
    found = "" if children else shown_value(node, verdict.found, known, hidden)
    line = Line(depth, verdict.holds, text, found, bool(children))
    inner = () if node in told else children
    if isinstance(node, MemberOf | InPond):
        told.add(node)
    return [line, *(one for child in inner for one in _lines(child, known, depth + 1, hidden, told))]
