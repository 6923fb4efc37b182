"""Who was in an audience at an earlier time, and when one person was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from pyroaring import BitMap

from hetang.audiences import past, queries
from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.console.audiences import people
from hetang.console.audiences.views import one_of, tabs_of
from hetang.console.days import iso_moment
from hetang.console.paging import SIZE, Page
from hetang.customers import queries as customers
from hetang.platform import clock
from hetang.platform.access import Actor, Scope, actor_of, needs, own_customers
from hetang.platform.engine_client import EngineUnavailable, ServiceError

EVERYBODY = {"version": 1, "rule": {"all": []}}


@require_GET
@needs("audiences:view")
def at_a_time(request: HttpRequest, public_id: str) -> HttpResponse:
    """`at` (a local time) or `snapshot` (its number): how many, and some of them page by page. `q`: one person."""
    audience, actor = one_of(request, public_id), actor_of(request)
    actor.require("customers:view")
    values: dict[str, Any] = {"audience": audience, "tabs": tabs_of(audience, "past", actor)}
    values |= {"q": request.GET.get("q", "").strip(), "at": request.GET.get("at", "").strip()}
    if values["q"]:
        values |= _person(audience, values["q"], actor)
    else:
        values |= _then(audience, request, actor)
    return render(request, "console/audiences/past.html", values)


def _then(audience: Audience, request: HttpRequest, actor: Actor) -> dict[str, Any]:
    rows = AudienceSnapshot.objects.filter(audience=audience)
    sequence, typed = request.GET.get("snapshot", ""), request.GET.get("at", "").strip()
    if sequence.isdecimal() and len(sequence) < 10:
        snapshot = rows.filter(sequence=int(sequence)).first()
    elif typed:
        at = _instant(typed)
        if at is None:
            return {"unreadable": True}
        snapshot = past.snapshot_at(audience.pk, at)
    else:
        return {}
    if snapshot is None:
        return {"asked": True, "first": rows.order_by("sequence").values_list("at", flat=True).first()}
    shown = typed or f"{timezone.localtime(snapshot.at):%Y-%m-%d %H:%M}"
    return {"asked": True, "snapshot": snapshot, "at": shown, **_members(snapshot, request, actor)}


def _members(snapshot: AudienceSnapshot, request: HttpRequest, actor: Actor) -> dict[str, Any]:
    scope = actor.scope("audiences:view")
    try:
        seen = _within(past.members_of(snapshot), scope)
    except (EngineUnavailable, ServiceError):
        return {"snapshot": None, "trouble": _("The audience engine is not answering. Try again in a few seconds.")}
    page = page_of(seen, request)
    following = AudienceSnapshot.objects.filter(audience=snapshot.audience_id, sequence__gt=snapshot.sequence)
    return {
        "count": len(seen),
        "mine_only": not scope.everything,
        "until": following.order_by("sequence").values_list("at", flat=True).first(),
        "people": people.rows(page.rows, actor),
        "page": page,
    }


def _within(members: BitMap, scope: Scope) -> BitMap:
    return members if scope.everything else members & queries.evaluate(EVERYBODY, scope)


def page_of(members: BitMap, request: HttpRequest) -> Page[int]:
    """A page of numbers, the newest first, by `?after=` or `?before=` a number."""
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    if before.isdecimal() and int(before) < 1 << 32:
        end = min(members.rank(int(before)) + SIZE, len(members))  # those above it, next to it
    elif after.isdecimal() and int(after) < 1 << 32:
        end = members.rank(int(after)) - (int(after) in members)
    else:
        end = len(members)
    numbers = list(members[max(end - SIZE, 0) : end])[::-1]
    return Page(
        numbers,
        earlier=str(numbers[0]) if numbers and end < len(members) else None,
        later=str(numbers[-1]) if end > SIZE else None,
    )


def _person(audience: Audience, text: str, actor: Actor) -> dict[str, Any]:
    seen = own_customers(actor, "customers:view")
    customer = customers.find(text.lstrip("#"), seen).first()
    if customer is None:
        return {"missing": True}
    moves = past.moves_of(audience.pk, queries.numbers_of(customer.number))
    return {"person": people.rows([customer.number], actor)[0], "stays": past.stays(moves)}


def _instant(typed: str) -> datetime | None:
    """A local time; a day alone means its beginning."""
    text = iso_moment(typed if " " in typed or "T" in typed else f"{typed} 00:00")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=clock.zone())
    except ValueError:
        return None
