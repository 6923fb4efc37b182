"""A broadcast on its way: where everybody is, who has not confirmed, and pause, resume, cancel, remind."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh

from hetang.campaigns import services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Broadcast
from hetang.console.campaigns import words
from hetang.console.campaigns.access import REMIND, SEND, VIEW, broadcast_or_404, may, sees_whole
from hetang.console.campaigns.drafts import EXAMPLE_LINK, shown
from hetang.platform import clock
from hetang.platform.access import actor_of, needs
from hetang.platform.models import OrgNode
from hetang.touch import queries
from hetang.touch.errors import TouchError
from hetang.touch.governor import next_quiet
from hetang.touch.models import Plan, Programme
from hetang.touch.services import Reminded

UNFOLDED = 40  # lines of the organisation that are shown all at once
MOVING = (Programme.PLANNING, Programme.RUNNING, Programme.CANCELLING)


@require_GET
@needs(VIEW)
def show(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The right page for where a broadcast is: composer, split or progress."""
    broadcast = broadcast_or_404(request, public_id)
    if broadcast.programme is not None:
        return redirect("campaigns:progress", broadcast.public_id)
    if broadcast.dry_run is not None or not may(request, "campaigns:edit", broadcast.campaign):
        return redirect("campaigns:split", broadcast.public_id)
    return redirect("campaigns:edit_broadcast", broadcast.public_id)


@require_GET
@needs(VIEW)
def progress(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The whole page."""
    broadcast = broadcast_or_404(request, public_id)
    if broadcast.programme is None:
        return redirect("campaigns:split", broadcast.public_id)
    return render(request, "console/campaigns/progress.html", _values(request, broadcast))


@require_GET
@needs(VIEW)
def progress_body(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The figures, polled while it moves. What may be done depends on the state: the page is read anew when that is
    another one than it shows."""
    broadcast = broadcast_or_404(request, public_id)
    if broadcast.programme is None:
        raise Http404
    if request.GET.get("state", broadcast.programme.state) != broadcast.programme.state:
        return HttpResponseClientRefresh()
    return render(request, "console/campaigns/progress_body.html", _values(request, broadcast))


def _values(request: HttpRequest, broadcast: Broadcast) -> dict[str, Any]:
    programme = broadcast.programme
    assert programme is not None  # noqa: S101 - both callers looked
    plan = Plan.objects.defer("members").get(programme=programme)
    now = queries.progress(programme)
    nodes = queries.by_organisation(programme, actor_of(request).scope(VIEW))
    at = _number(request.GET.get("at"))
    reminds = actor_of(request).own_scope(REMIND)
    return {
        "broadcast": broadcast,
        "programme": programme,
        "texts": [shown(number, variant) for number, variant in enumerate(broadcast.variants, start=1)],
        "link": EXAMPLE_LINK,
        "state": words.badge_of(programme.state, words.PROGRAMME),
        "moving": programme.state in MOVING,
        "plan": plan,
        "now": now,
        "whole": sees_whole(request, broadcast),
        "part": queries.together(nodes),
        "open": [(words.STATES[state], count) for state, count in now.open.items() if state in words.STATES],
        "lost": [(words.loss(state, reason), count) for (state, reason), count in sorted(now.lost.items())],
        "excluded": [(words.REASONS[reason][0], count) for reason, count in now.excluded.items() if count],
        "nodes": folded(nodes, at),
        "folds": len(nodes) > UNFOLDED,
        "at": at,
        "waiting": any(node.waiting for node in nodes),
        "consequence": queries.consequence(programme),
        "quiet_at": next_quiet(clock.now(), programme.message_class),
        "can_send": may(request, SEND, broadcast.campaign),
        "remindable": {node.node_id for node in nodes if node.node_id and reminds.covers(node.path)},
        "begins_later": programme.slot_at > clock.now(),
        "to_play": _simulated() and programme.state in MOVING and actor_of(request).can("simulator:use"),
        "can_steer": programme.state in {Programme.RUNNING, Programme.PAUSED},
    }


def _simulated() -> bool:
    return bool(os.environ.get("HETANG_SIMULATOR_URL"))


def folded(nodes: list[queries.NodeProgress], at: int) -> list[queries.NodeProgress]:
    """Of a large organisation only the node `at` (0: the top), what lies above it and what lies directly below it."""
    if len(nodes) <= UNFOLDED:
        return nodes
    here = next((node for node in nodes if node.node_id and node.node_id == at), nodes[0])
    return [
        node
        for node in nodes
        if (here.path.startswith(node.path) and not node.staff)
        or (node.path.startswith(here.path) and node.depth == here.depth + 1)
    ]


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 18 else 0


@require_POST
@needs(SEND)
def pause(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Hold what is not handed over."""
    return _steer(request, public_id, services.pause, gettext("Paused. Nothing more is handed over."))


@require_POST
@needs(SEND)
def resume(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Go on."""
    return _steer(request, public_id, services.resume, gettext("It goes on."))


@require_POST
@needs(SEND)
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Stop for good."""
    return _steer(request, public_id, services.cancel, gettext("What is not sent is being cancelled."))


def _steer(request: HttpRequest, public_id: UUID, act: Callable[..., None], done: str) -> HttpResponse:
    broadcast = broadcast_or_404(request, public_id)
    try:
        act(actor_of(request), broadcast)
    except TouchError as refused:
        messages.error(request, words.sentence(refused))
    except CampaignError as refused:
        messages.error(request, words.sentence(refused.problems[0]))
    else:
        messages.success(request, done)
    return redirect("campaigns:progress", broadcast.public_id)


@require_POST
@needs(REMIND)
def remind(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Remind who has not confirmed, below one node or wherever the actor may; back to where she asked for it."""
    broadcast = broadcast_or_404(request, public_id)
    place = request.POST.get("node", "")
    node = OrgNode.objects.filter(pk=_number(place)).first() if place else None
    if place and node is None:
        raise Http404
    try:
        result = services.remind(actor_of(request), broadcast, node)
    except CampaignError as refused:
        messages.error(request, words.sentence(refused.problems[0]))
    else:
        (messages.warning if result.failed else messages.success)(request, _reminded(result))
    if request.POST.get("back") == "home":
        return redirect("console:home")
    return HttpResponseRedirect(f"{_address(broadcast)}?at={_number(request.POST.get('at'))}#confirmation")


def _reminded(result: Reminded) -> str:
    text = ngettext("{n} task reminded.", "{n} tasks reminded.", result.done).format(n=result.done)
    if result.over_limit:
        text += " " + gettext("{n} had three reminders within 24 hours already.").format(n=result.over_limit)
    if result.failed:
        text += " " + gettext("{n} could not be reminded; try again later.").format(n=result.failed)
    return text


def _address(broadcast: Broadcast) -> str:
    return reverse("campaigns:progress", args=[broadcast.public_id])
