"""The split before sending (预演): who gets the message, who does not and why, and the word that sends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from hetang.campaigns import approval, queries, services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Broadcast
from hetang.console.approvals import words as approval_words
from hetang.console.campaigns import words
from hetang.console.campaigns.access import EDIT, SEND, VIEW, broadcast_or_404, may, sees_whole
from hetang.console.campaigns.drafts import EXAMPLE_LINK, shown
from hetang.console.customers.lists import rows as customer_rows
from hetang.console.paging import Page
from hetang.experiments.estimators import LEAST_PEOPLE
from hetang.platform import audit, clock
from hetang.platform.access import Actor, actor_of, needs, visible_customers
from hetang.platform.approvals import ApprovalRefused
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from hetang.touch import planning
from hetang.touch.governor import quiet
from hetang.touch.models import Plan
from hetang.touch.rules import Request

INLINE = 20_000  # people whose split is made while the page waits: under a second
SIZE = 50


@require_http_methods(["GET", "POST"])
@needs(VIEW)
def split(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show the newest split; a POST makes one."""
    broadcast = broadcast_or_404(request, public_id)
    problems: list[str] = []
    if request.method == "POST":
        actor_of(request).require(EDIT)
        problems = make_split(actor_of(request), broadcast)
        if not problems:
            return redirect("campaigns:split", broadcast.public_id)
    return render(
        request,
        "console/campaigns/split.html",
        _values(request, broadcast) | {"problems": problems},
        status=422 if problems else 200,
    )


@require_GET
@needs(VIEW)
def split_body(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The figures, polled while a large split is being made."""
    values = _values(request, broadcast_or_404(request, public_id))
    if not values["whole"]:
        raise Http404
    return render(request, "console/campaigns/split_body.html", values)


def make_split(actor: Actor, broadcast: Broadcast) -> list[str]:
    """Make a split; returns why it could not be made. A large one is made by the planning loop meanwhile."""
    try:
        plan = services.dry_run(actor, broadcast)
    except CampaignError as refused:
        return [words.sentence(problem) for problem in refused.problems]
    except (EngineUnavailable, ServiceError):
        return [gettext("The people of the audience cannot be determined now. Try again in a moment.")]
    if plan.people <= INLINE:
        planning.run(plan)
    return []


def _values(request: HttpRequest, broadcast: Broadcast) -> dict[str, Any]:
    plan: Plan | None = broadcast.programme.plan if broadcast.programme else broadcast.dry_run
    values: dict[str, Any] = {
        "broadcast": broadcast,
        "approval": None,
        "plan": plan,
        "whole": sees_whole(request, broadcast),
        "can_edit": may(request, EDIT, broadcast.campaign) and broadcast.programme is None,
        "can_send": may(request, SEND, broadcast.campaign) and broadcast.programme is None,
    }
    if plan is None:
        return values
    parts = queries.split(plan)
    lines = [_line(reason, count) for reason, count in [*parts.excluded, ("control", parts.control)]]
    variants = [(number, people, _text(broadcast, number)) for number, people in parts.variants]
    if not values["whole"]:
        return values | {"lines": lines, "variants": variants, "done": plan.state == Plan.DONE}
    request_of = Request.from_json(plan.parameters)
    if values["can_send"] and plan.state == Plan.DONE:
        values["approval"] = approval.standing(actor_of(request), broadcast)
    nobody = services.nobody_left(plan) if broadcast.programme is None and plan.state == Plan.DONE else None
    return values | {
        "parts": parts,
        "too_small": _too_small(parts),
        "least_people": LEAST_PEOPLE,
        "nobody": words.missed(nobody.detail) if nobody else None,
        "texts": [shown(number, variant) for number, variant in enumerate(broadcast.variants, start=1)],
        "link": EXAMPLE_LINK,
        "lines": lines,
        "variants": variants,
        "done": plan.state == Plan.DONE,
        "old": clock.now() - plan.at > services.DRY_RUN_HOLDS,
        "slot": request_of.slot_at,
        "starts_now": broadcast.slot_at is None,
        "quiet_until": quiet(request_of.slot_at, request_of.message_class),
        "expires": request_of.slot_at + timedelta(days=broadcast.confirm_days),
    }


def _too_small(parts: queries.Split) -> bool:
    """Whether a group is so small that the report will not be able to say anything."""
    groups = [parts.control, *(people for _number, people in parts.variants)]
    return parts.to_send > 0 and parts.control > 0 and min(groups) < LEAST_PEOPLE


def _line(reason: str, count: int) -> dict[str, Any]:
    label, hint = words.REASONS[reason]
    return {"reason": reason, "label": label, "hint": hint, "count": count}


def _text(broadcast: Broadcast, number: int) -> str:
    return Truncator(broadcast.variants[number - 1]["text"]).chars(60) if number <= len(broadcast.variants) else ""


@require_GET
@needs(VIEW)
def people(request: HttpRequest, public_id: UUID, reason: str) -> HttpResponse:
    """The people under one heading of the split whom the actor may see, page by page."""
    broadcast = broadcast_or_404(request, public_id)
    plan = broadcast.programme.plan if broadcast.programme else broadcast.dry_run
    code = "" if reason == "send" else reason
    if plan is None or code not in words.REASONS:
        raise Http404
    actor = actor_of(request)
    actor.require("customers:view")
    variant = _number(request.GET.get("variant")) if not code else 0
    members = queries.people_of(plan, code, variant or (1 if not code else 0))
    audit.look(actor, "look.list", "broadcast", broadcast.public_id, {"of": reason})
    numbers, more = _visible(actor, members, _number(request.GET.get("after")))
    seen = visible_customers(actor, "customers:view").filter(number__in=numbers).select_related("home_store", "owner")
    page = Page(sorted(seen, key=lambda customer: customer.number), later=str(numbers[-1]) if more else None)
    values = {
        "broadcast": broadcast,
        "label": words.REASONS[code][0],
        "variant": variant,
        "page": page,
        "rows": customer_rows(page, actor),
        "count": len(members) if sees_whole(request, broadcast) else None,
    }
    return render(request, "console/campaigns/people.html", values)


def _visible(actor: Any, members: Any, after: int) -> tuple[list[int], bool]:
    """The next numbers of the set that lie in the actor's scope. Looks through the set in steps of 5,000."""
    everything = actor.scope("customers:view").everything
    found: list[int] = []
    while True:
        chunk = queries.page_of(members, after, SIZE + 1 if everything else 5000)
        if not chunk:
            return found[:SIZE], len(found) > SIZE
        inside = visible_customers(actor, "customers:view").filter(number__in=chunk)
        found += sorted(inside.values_list("number", flat=True)[: SIZE + 1])
        after = chunk[-1]
        if len(found) > SIZE or (everything and len(chunk) <= SIZE):
            return found[:SIZE], len(found) > SIZE


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 12 else 0


@require_POST
@needs(SEND)
def ask(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask somebody else to approve what the split shows."""
    broadcast = broadcast_or_404(request, public_id)
    try:
        approval.ask(actor_of(request), broadcast, request.POST.get("note", ""))
    except CampaignError as refused:
        messages.error(request, words.sentence(refused.problems[0]))
    except ApprovalRefused as refused:
        messages.error(request, approval_words.refusal(refused))
    else:
        messages.success(request, gettext("Asked. You see the answer here and on your home page."))
    return redirect("campaigns:split", broadcast.public_id)


@require_POST
@needs(SEND)
def send(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The word that sends it."""
    broadcast = broadcast_or_404(request, public_id)
    try:
        services.send(actor_of(request), broadcast)
    except CampaignError as refused:
        for problem in refused.problems:
            messages.error(request, words.sentence(problem))
        return redirect("campaigns:split", broadcast.public_id)
    messages.success(request, gettext("Confirmed. The tasks are being made."))
    return redirect("campaigns:progress", broadcast.public_id)
