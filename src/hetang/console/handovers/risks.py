"""Which members of staff lose customers, and which delete them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hetang.connectors.wecom.handover import queries
from hetang.connectors.wecom.handover.preparing import HAND_OVER
from hetang.platform.access import actor_of, needs

VIEW = "board:view"
ORDERS = ("lost", "share", "deleted")


@require_GET
@needs(VIEW)
def lost(request: HttpRequest) -> HttpResponse:
    """Members in service who lost customers within thirty days, inside the scope: they are named."""
    actor = actor_of(request)
    order = request.GET.get("order", "")
    order = order if order in ORDERS else ORDERS[0]
    found = queries.risks(actor.own_scope(VIEW), order)
    values = {
        "rows": found,
        "order": order,
        "by_customer": sum(one.by_customer_30 for one in found),
        "by_staff": sum(one.by_her_30 for one in found),
        "may_hand_over": actor.can(HAND_OVER),
        "most": queries.SHOWN,
    }
    return render(request, "console/handovers/lost.html", values)
