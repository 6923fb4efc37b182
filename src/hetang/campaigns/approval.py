"""Approval before sending: what exactly is asked for, and what stands in the way of sending it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetang.campaigns.errors import CampaignError, Problem
from hetang.campaigns.models import Broadcast
from hetang.campaigns.queries import split
from hetang.platform import approvals
from hetang.platform.access import Actor
from hetang.platform.approvals import BROADCAST, ApprovalRefused, Rule
from hetang.platform.models import Approval
from hetang.touch.models import Plan


@dataclass(frozen=True)
class Standing:
    """How a broadcast stands: the rule that demands approval (None: none does), the newest question, and why it does
    not cover what would be sent now ("" when it does)."""

    rule: Rule | None
    approval: Approval | None
    obstacle: str

    @property
    def clear(self) -> bool:
        return self.rule is None or not self.obstacle


def content_of(broadcast: Broadcast) -> dict[str, Any]:
    """Everything that decides who gets what and when, but for the people, who come and go."""
    return {
        "name": broadcast.name,
        "campaign": broadcast.campaign.name,
        "audience": broadcast.audience.name,
        "audience_id": str(broadcast.audience.public_id),
        "audience_version": broadcast.snapshot.version if broadcast.snapshot else None,
        "channel": broadcast.channel,
        "message_class": broadcast.message_class,
        "design": broadcast.design,
        "variants": broadcast.variants,
        "control_bp": broadcast.control_bp,
        "target_url": broadcast.target_url,
        "slot_at": broadcast.slot_at.isoformat() if broadcast.slot_at else None,
        "confirm_days": broadcast.confirm_days,
        "window_days": broadcast.window_days,
        "replan_after_quiet": broadcast.replan_after_quiet,
    }


def size_of(broadcast: Broadcast) -> int:
    """How many people the newest split would send to; 0 before there is one."""
    plan = broadcast.dry_run
    return split(plan).to_send if plan is not None and plan.state == Plan.DONE else 0


def standing(actor: Actor, broadcast: Broadcast) -> Standing:
    """How it stands for this actor. A handful of small queries."""
    size = size_of(broadcast)
    rule = approvals.rule_for(actor, BROADCAST, size, broadcast.campaign.org_node)
    newest = approvals.latest(BROADCAST, str(broadcast.public_id))
    if newest is None:
        return Standing(rule, None, "needed" if rule else "")
    return Standing(rule, newest, approvals.obstacle(newest, approvals.hash_of(content_of(broadcast)), size))


def ask(actor: Actor, broadcast: Broadcast, note: str) -> Approval:
    """Ask for approval of what the newest split shows. Raises Forbidden, CampaignError, ApprovalRefused."""
    size = size_of(broadcast)
    if not size:
        raise CampaignError(Problem("", "dry_run_needed"))
    question = approvals.Question(
        kind=BROADCAST,
        target_id=str(broadcast.public_id),
        title=broadcast.name,
        org_node=broadcast.campaign.org_node,
        content=content_of(broadcast),
        size=size,
        note=note,
        involved=(broadcast.created_by_id,),
    )
    return approvals.ask(actor, question)


def pass_with(actor: Actor, broadcast: Broadcast) -> None:
    """The check before sending, under the lock of the broadcast. Raises CampaignError with a code `approval_…`."""
    try:
        approvals.use(
            actor,
            BROADCAST,
            str(broadcast.public_id),
            content=content_of(broadcast),
            size=size_of(broadcast),
            node=broadcast.campaign.org_node,
        )
    except ApprovalRefused as refused:
        raise CampaignError(Problem("", f"approval_{refused.code}", refused.detail)) from refused


def drop(actor: Actor, broadcast: Broadcast) -> None:
    """It changes or goes away: whatever was asked or approved is void. In the caller's transaction."""
    approvals.void(actor, BROADCAST, str(broadcast.public_id))
