from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns import queries, services
from hetang.campaigns.errors import CampaignError
from hetang.campaigns.models import Broadcast, Campaign
from hetang.customers.models import Consent, DoNotDisturb
from hetang.platform import clock
from hetang.platform.access import Actor, Forbidden, Held, system
from hetang.platform.models import AuditEntry, OrgNode
from hetang.resources.models import Staff
from hetang.touch.models import Plan, Programme, SendTask, Touch
from tests.touch.world import NOW, organisation, people

pytestmark = pytest.mark.django_db
HEAD = system("test")


@pytest.fixture
def staff() -> list[Staff]:
    return organisation()


@pytest.fixture
def audience(staff: list[Staff], monkeypatch: pytest.MonkeyPatch) -> Audience:
    """An audience of 300 people; its snapshot does not need the engine."""
    members = people(300, staff)
    made = Audience.objects.create(
        name="Everybody", rule={}, org_node=OrgNode.objects.get(code="brand"), created_at=NOW, updated_at=NOW
    )

    def snapshot(audience_id: int) -> AudienceSnapshot:
        kept, _ = AudienceSnapshot.objects.get_or_create(
            audience_id=audience_id,
            sequence=1,
            defaults={
                "at": NOW, "version": 1, "members": members.serialize(), "count": 300, "entered": 300, "left": 0,
            },
        )  # fmt: skip
        return kept

    monkeypatch.setattr(services, "take_snapshot", snapshot)
    return made


@pytest.fixture
def campaign(staff: list[Staff]) -> Campaign:
    brand = OrgNode.objects.get(code="brand")
    fields = services.CampaignFields("Spring", date(2026, 3, 1), date(2026, 3, 31), brand.pk, budget=500_000)
    return services.save_campaign(HEAD, fields)


def composed(campaign: Campaign, audience: Audience, **changes: Any) -> Broadcast:
    values: dict[str, Any] = {
        "name": "Spring is here",
        "audience_id": audience.pk,
        "variants": [{"text": "New tea", "attachments": [], "weight": 1}],
        "target_url": "https://shop.example/spring",
    }
    return services.save_broadcast(HEAD, campaign, services.Composition(**values | changes))


def test_the_split_adds_up_and_the_plan_equals_it(campaign: Campaign, audience: Audience) -> None:
    texts = [{"text": "A", "weight": 1}, {"text": "B", "weight": 1}]
    broadcast = composed(campaign, audience, variants=texts, design="person", control_bp=2000)
    dry = services.dry_run(HEAD, broadcast, wait=True)
    shown = queries.split(dry)
    assert shown.audience == shown.decided == 300
    assert shown.control > 30
    assert (shown.senders, shown.tasks, shown.extra_taps) == (4, 8, 4)
    programme = services.send(HEAD, broadcast, wait=True)
    assert queries.split(programme.plan) == shown
    assert SendTask.objects.count() == shown.tasks
    assert Touch.objects.count() == shown.to_send
    assert programme.state == Programme.RUNNING
    assert programme.campaign_id == campaign.pk


def test_sending_twice_is_sending_once(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience)
    services.dry_run(HEAD, broadcast, wait=True)
    stale = Broadcast.objects.get(pk=broadcast.pk)
    first = services.send(HEAD, broadcast)
    assert services.send(HEAD, stale) == first
    assert Plan.objects.filter(programme__isnull=False).count() == 1


def test_a_change_or_half_an_hour_asks_for_a_new_dry_run(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience)
    with pytest.raises(CampaignError, match="dry_run_needed"):
        services.send(HEAD, broadcast)
    services.dry_run(HEAD, broadcast, wait=True)
    clock.freeze(NOW + timedelta(minutes=31))
    with pytest.raises(CampaignError, match="dry_run_old"):
        services.send(HEAD, broadcast)
    services.dry_run(HEAD, broadcast, wait=True)
    composition = services.Composition("Other", audience.pk, [{"text": "B"}], "https://shop.example/")
    changed = services.save_broadcast(HEAD, campaign, composition, broadcast)
    with pytest.raises(CampaignError, match="dry_run_needed"):
        services.send(HEAD, changed)


def test_nobody_left_is_not_sent(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience, slot_at=NOW + timedelta(hours=13))  # 23:00, in quiet hours
    dry = services.dry_run(HEAD, broadcast, wait=True)
    assert dict(queries.split(dry).excluded)["quiet"] == 300
    with pytest.raises(CampaignError, match="nobody_left") as caught:
        services.send(HEAD, broadcast)
    morning = broadcast.slot_at + timedelta(hours=9) if broadcast.slot_at else None  # 08:00
    quiet = {"audience": 300, "reasons": [("quiet_hours", 300)], "quiet_until": morning}
    assert caught.value.problems[0].detail == quiet


def test_nobody_left_names_each_reason_with_its_people(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience)
    Consent.objects.filter(customer__in=range(1, 101)).update(given=False)
    until = NOW + timedelta(days=2)
    DoNotDisturb.objects.bulk_create(
        DoNotDisturb(customer_id=number, on=True, until=until, occurred_at=NOW, fact_key="") for number in (101, 102)
    )
    Staff.objects.update(active=False)
    nobody = services.nobody_left(services.dry_run(HEAD, broadcast, wait=True))
    assert nobody is not None
    reasons = [("no_consent", 100), ("quiet", 2), ("unreachable", 198)]
    assert nobody.detail == {"audience": 300, "reasons": reasons, "quiet_until": None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"target_url": "javascript:alert(1)"}, "target_invalid"),
        ({"target_url": ""}, "target_missing"),
        ({"slot_at": NOW - timedelta(minutes=1)}, "slot_past"),
        ({"slot_at": NOW + timedelta(days=61)}, "slot_too_far"),
        ({"control_bp": 5001}, "out_of_range"),
        ({"variants": [{"text": "Dear {name}"}]}, "no_variables"),
    ],
)
def test_what_cannot_be_sent(campaign: Campaign, audience: Audience, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(CampaignError) as caught:
        services.dry_run(HEAD, composed(campaign, audience, **changes), wait=True)
    assert caught.value.code == code


def test_a_store_may_neither_send_nor_steer_what_is_the_brands(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience)
    store = OrgNode.objects.get(code="s0")
    manager = Actor("m", None, (Held("headquarters", store.path, whole_brand=False),))
    for act in (services.dry_run, services.send, services.cancel):
        with pytest.raises(Forbidden):
            act(manager, broadcast)  # type: ignore[operator]
    fields = services.CampaignFields("Mine", date(2026, 3, 1), date(2026, 3, 2), store.pk)
    own = services.save_campaign(manager, fields)
    dry = services.dry_run(manager, composed(own, audience), wait=True)
    assert dict(queries.split(dry).excluded)["unreachable"] == 150  # the other store's friends


def test_every_write_leaves_an_audit_row(campaign: Campaign, audience: Audience) -> None:
    broadcast = composed(campaign, audience)
    services.dry_run(HEAD, broadcast, wait=True)
    services.send(HEAD, broadcast, wait=True)
    services.pause(HEAD, broadcast)
    services.resume(HEAD, broadcast)
    services.cancel(HEAD, broadcast)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == [
        *("campaign.created", "broadcast.created", "broadcast.sent"),
        *("programme.paused", "programme.running", "programme.cancelling"),
    ]


def test_campaign_period_and_budget() -> None:
    brand = OrgNode.objects.create(code="b", kind="brand", name="B", path="1.")
    with pytest.raises(CampaignError) as caught:
        services.save_campaign(
            HEAD, services.CampaignFields(" ", date(2026, 3, 2), date(2026, 3, 1), brand.pk, budget=-1)
        )
    assert [problem.code for problem in caught.value.problems] == [
        *("name_missing", "period_reversed", "budget_negative"),
    ]


def test_pages_over_a_set() -> None:
    members = BitMap([3, 5, 9, 11])
    assert queries.page_of(members, 0, 2) == [3, 5]
    assert queries.page_of(members, 5, 2) == [9, 11]
    assert queries.page_of(members, 11, 2) == []
