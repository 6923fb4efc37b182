"""A large broadcast is sent only after somebody else approved exactly this."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns import approval, services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Broadcast, Campaign
from hetang.platform import approvals, clock
from hetang.platform.access import Actor, actor_for, system
from hetang.platform.models import Approval, Grant, OrgNode, User
from hetang.platform.roles import HEADQUARTERS
from hetang.resources.models import Staff
from hetang.touch.models import Programme
from tests.campaigns.test_services import audience, campaign, staff

__all__ = ["audience", "campaign", "staff"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def people(staff: list[Staff]) -> tuple[Actor, Actor]:
    """Two operators at headquarters, for whom more than 100 people need approval."""
    approvals.set_limits(system("t"), approvals.BROADCAST, {HEADQUARTERS: 100})
    made = []
    for name in ("writer", "reader"):
        user = User.objects.create(username=name, created_at=clock.now())
        Grant.objects.create(user=user, role=HEADQUARTERS, org_node=OrgNode.objects.get(code="brand"))
        made.append(actor_for(user))
    return made[0], made[1]


def broadcast_of(actor: Actor, campaign: Campaign, audience: Audience, **changes: Any) -> Broadcast:
    values: dict[str, Any] = {
        "name": "Spring is here",
        "audience_id": audience.pk,
        "variants": [{"text": "New tea", "attachments": [], "weight": 1}],
        "target_url": "https://shop.example/spring",
    }
    broadcast = services.save_broadcast(actor, campaign, services.Composition(**values | changes))
    services.dry_run(actor, broadcast, wait=True)
    return broadcast


def code_of(attempt: Any) -> str:
    with pytest.raises(CampaignError) as refused:
        attempt()
    return refused.value.code


def test_it_is_asked_approved_and_sent(people: tuple[Actor, Actor], campaign: Campaign, audience: Audience) -> None:
    writer, reader = people
    broadcast = broadcast_of(writer, campaign, audience)
    assert code_of(lambda: services.send(writer, broadcast)) == "approval_needed"
    asked = approval.ask(writer, broadcast, "The spring tea is in the stores")
    assert asked.size == approval.size_of(broadcast) > 100
    assert code_of(lambda: services.send(writer, broadcast)) == "approval_waiting"
    assert approval.standing(writer, broadcast).obstacle == "waiting"
    approvals.decide(reader, asked, approve=True)
    assert approval.standing(writer, broadcast).clear
    programme = services.send(writer, broadcast)
    assert services.send(writer, broadcast) == programme
    asked.refresh_from_db()
    assert asked.state == Approval.USED


def test_below_the_threshold_nobody_is_asked(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    approvals.set_limits(system("t"), approvals.BROADCAST, {HEADQUARTERS: 300})
    services.send(people[0], broadcast_of(people[0], campaign, audience))
    assert not Approval.objects.exists()


def test_whoever_changes_it_afterwards_needs_a_new_answer(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    writer, reader = people
    broadcast = broadcast_of(writer, campaign, audience)
    approvals.decide(reader, approval.ask(writer, broadcast, ""), approve=True)
    same = services.Composition(
        name=broadcast.name,
        audience_id=broadcast.audience_id,
        variants=broadcast.variants,
        target_url=broadcast.target_url,
    )
    services.save_broadcast(writer, campaign, same, broadcast)
    assert Approval.objects.get().state == Approval.APPROVED  # saved without a change
    services.save_broadcast(
        writer, campaign, services.Composition(**vars(same) | {"target_url": "https://shop.example/other"}), broadcast
    )
    assert Approval.objects.get().state == Approval.VOID
    broadcast.refresh_from_db()
    services.dry_run(writer, broadcast, wait=True)
    assert code_of(lambda: services.send(writer, broadcast)) == "approval_changed"


def test_another_rule_of_the_audience_is_another_content(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    writer, reader = people
    broadcast = broadcast_of(writer, campaign, audience)
    approvals.decide(reader, approval.ask(writer, broadcast, ""), approve=True)
    AudienceSnapshot.objects.update(version=2)
    services.dry_run(writer, broadcast, wait=True)
    assert code_of(lambda: services.send(writer, broadcast)) == "approval_changed"


def test_the_writer_of_a_broadcast_does_not_approve_what_a_colleague_asks(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    writer, sender = people
    asked = approval.ask(sender, broadcast_of(writer, campaign, audience), "")
    assert asked.involved == sorted([writer.user_id, sender.user_id])
    with pytest.raises(approvals.ApprovalRefused, match="own_request"):
        approvals.decide(writer, asked, approve=True)


def test_a_split_made_anew_while_it_is_confirmed_is_not_sent_unseen(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    approvals.set_limits(system("t"), approvals.BROADCAST, {HEADQUARTERS: None})
    broadcast = broadcast_of(people[0], campaign, audience)
    as_seen = Broadcast.objects.select_related("campaign__org_node", "dry_run").get(pk=broadcast.pk)
    services.dry_run(people[1], broadcast, wait=True)
    with pytest.raises(CampaignError):
        services.send(people[0], as_seen)
    assert not Programme.objects.exists()


def test_a_discarded_draft_takes_its_question_along(
    people: tuple[Actor, Actor], campaign: Campaign, audience: Audience
) -> None:
    writer, _reader = people
    broadcast = broadcast_of(writer, campaign, audience)
    approval.ask(writer, broadcast, "")
    services.discard(writer, broadcast)
    assert Approval.objects.get().state == Approval.VOID
