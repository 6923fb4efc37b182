"""A draft of a broadcast, made with the least that a test needs."""

from __future__ import annotations

from typing import Any

from hetang.audiences.models import Audience
from hetang.campaigns import services
from hetang.campaigns.models import Broadcast
from hetang.platform import access, clock
from hetang.platform.models import OrgNode


def broadcast_with(attachments: list[dict[str, Any]]) -> Broadcast:
    """A broadcast of one text with these attachments, in a campaign of its own."""
    root = OrgNode.objects.get(kind="brand")
    now = clock.now()
    audience = Audience.objects.create(name="All", rule={}, org_node=root, created_at=now, updated_at=now)
    fields = services.CampaignFields("Spring", now.date(), now.date(), root.pk)
    campaign = services.save_campaign(access.system("t"), fields)
    texts = [{"text": "Hello", "attachments": attachments, "weight": 1}]
    composition = services.Composition("Draft", audience.pk, texts, "https://shop.example/")
    return services.save_broadcast(access.system("t"), campaign, composition)
