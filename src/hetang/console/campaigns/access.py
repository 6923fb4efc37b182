"""Finding campaigns and broadcasts that the actor may see."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest

from hetang.campaigns import queries
from hetang.campaigns.models import Broadcast, Campaign
from hetang.platform.access import actor_of

VIEW, EDIT, SEND, REMIND = "campaigns:view", "campaigns:edit", "campaigns:send", "campaigns:remind"


def campaign_or_404(request: HttpRequest, public_id: UUID) -> Campaign:
    """The campaign, if it lies in (or above) what the actor may see."""
    scope = actor_of(request).scope(VIEW)
    found = queries.visible_campaigns(scope).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def broadcast_or_404(request: HttpRequest, public_id: UUID) -> Broadcast:
    """The broadcast, if its campaign may be seen."""
    scope = actor_of(request).scope(VIEW)
    found = queries.visible_broadcasts(scope).filter(public_id=public_id).first()
    if found is None:
        raise Http404
    return found


def sees_whole(request: HttpRequest, broadcast: Broadcast) -> bool:
    """Whether the sums of a broadcast are the actor's to see: who looks from below its campaign sees her own part."""
    return actor_of(request).scope(VIEW).covers(broadcast.campaign.org_node.path)


def may(request: HttpRequest, permission: str, campaign: Campaign) -> bool:
    """Whether the actor holds a permission for this campaign's part of the organisation."""
    actor = actor_of(request)
    return actor.can(permission) and actor.own_scope(permission).covers(campaign.org_node.path)
