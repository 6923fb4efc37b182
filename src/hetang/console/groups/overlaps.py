"""Pairs of group chats that share customers."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from hetang.communities import queries
from hetang.communities.models import GroupChat
from hetang.platform.access import actor_of, needs
from hetang.resources.models import Store

VIEW = "customers:view"
MOST_GROUPS = 300  # compared with each other at once: some hundred thousand members


@require_GET
@needs(VIEW)
def overlap_list(request: HttpRequest) -> HttpResponse:
    """The pairs that share the most, of all groups inside the scope or of one store's; of more than three hundred
    groups the largest are compared."""
    scope = actor_of(request).own_scope(VIEW)
    stores = Store.objects.filter(org_node__in=scope.org_nodes(), group_chats__dissolved_at=None).distinct()
    chosen = next((one for one in stores if one.code == request.GET.get("store")), None)
    groups = queries.visible(scope).filter(dissolved_at=None)
    if chosen is not None:
        groups = groups.filter(store=chosen)
    total = groups.count()
    largest = list(groups.order_by("-size", "-id").values_list("pk", flat=True)[:MOST_GROUPS])
    found = queries.overlaps(largest)
    names = GroupChat.objects.select_related("owner", "store").in_bulk(
        {one for pair in found for one in (pair.one, pair.other)}
    )
    values = {
        "rows": [(names[pair.one], names[pair.other], pair) for pair in found],
        "stores": [(one.code, one.name, one == chosen) for one in stores.order_by("name")],
        "total": total,
        "left_out": max(0, total - MOST_GROUPS),
        "most": MOST_GROUPS,
    }
    return render(request, "console/groups/overlaps.html", values)
