"""Which planned broadcasts would meet the caps, from sets alone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns.forecast import crowding
from hetang.campaigns.models import Broadcast, Campaign
from hetang.platform import organisation
from hetang.touch import planning
from hetang.touch.models import Cap, Plan, PlanGroup, PlatformLimit, Programme
from hetang.touch.rules import CapRule
from tests.touch import world
from tests.touch.world import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_in_a_week(wednesday_morning: None) -> None:
    Cap.objects.all().delete()
    Cap.objects.create(channel="wecom", limit=2, days=7)


def audience(name: str, members: BitMap) -> Audience:
    root = organisation.root()
    made = Audience.objects.create(name=name, rule={}, org_node=root, created_at=NOW, updated_at=NOW)
    for sequence, people in enumerate([BitMap([9999]), members], start=1):
        AudienceSnapshot.objects.create(
            audience=made, sequence=sequence, at=NOW, version=1, members=people.serialize(), count=len(people),
            entered=0, left=0,
        )  # fmt: skip
    return made


def draft(to: Audience, days: int, **changes: object) -> Broadcast:
    campaign, _ = Campaign.objects.get_or_create(
        name="Spring",
        defaults={
            "starts_on": date(2026, 3, 1), "ends_on": date(2026, 3, 31), "org_node": to.org_node, "created_at": NOW,
        },
    )  # fmt: skip
    values = {"name": f"Day {days}", "slot_at": NOW + timedelta(days=days), "created_at": NOW, "updated_at": NOW}
    return Broadcast.objects.create(campaign=campaign, audience=to, **(values | changes))


def sent(members: BitMap, days: int, state: str = Programme.RUNNING) -> Programme:
    """A launched programme whose plan sends to these people."""
    asked = world.request(slot_at=NOW + timedelta(days=days))
    programme = world.programme(asked)
    Programme.objects.filter(pk=programme.pk).update(state=state)
    plan = planning.begin(members.serialize(), asked, programme)
    PlanGroup.objects.create(plan=plan, reason="", variant=1, members=members.serialize(), count=len(members))
    return programme


def over(broadcast: Broadcast, among: list[Broadcast]) -> dict[CapRule | None, int]:
    return dict(crowding(among)[broadcast.pk].over)


WEEKLY = CapRule("wecom", 2, 7)


def test_the_third_message_of_a_week_would_leave_people_out() -> None:
    sent(BitMap(range(0, 100)), 1)
    sent(BitMap(range(50, 200)), 3)
    third = draft(audience("All", BitMap(range(0, 1000))), 5)
    assert over(third, [third]) == {WEEKLY: 50}
    assert crowding([third])[third.pk].people == 1000 and not crowding([third])[third.pk].exact


def test_a_message_outside_the_window_or_cancelled_or_over_does_not_count() -> None:
    sent(BitMap(range(100)), -3)
    sent(BitMap(range(100)), 3)
    sent(BitMap(range(100)), 4, Programme.CANCELLED)
    far = draft(audience("All", BitMap(range(100))), 5)
    assert over(far, [far]) == {}  # 8 days after the first: they share no week
    near = draft(far.audience, 2)
    assert over(near, [near]) == {WEEKLY: 100}
    service = draft(far.audience, 2, message_class="service")
    assert over(service, [service]) == {}


def test_drafts_meet_one_another() -> None:
    everybody = audience("All", BitMap(range(300)))
    three = [draft(everybody, days) for days in (1, 2, 3)]
    assert [over(one, three) for one in three] == [{WEEKLY: 300}] * 3
    undated, past = draft(everybody, 1, slot_at=None), draft(everybody, -1)
    assert set(crowding([*three, undated, past])) == {one.pk for one in three}


def test_a_split_says_exactly_whom_it_is_for() -> None:
    sent(BitMap(range(100)), 1)
    sent(BitMap(range(100)), 2)
    third = draft(audience("All", BitMap(range(1000))), 3)
    plan = planning.begin(BitMap(range(1000)).serialize(), world.request())
    for reason, members in (("", BitMap(range(90, 200))), ("capped", BitMap([5])), ("no_consent", BitMap([6]))):
        PlanGroup.objects.create(plan=plan, reason=reason, members=members.serialize(), count=len(members))
    Plan.objects.filter(pk=plan.pk).update(state=Plan.DONE)
    third.dry_run = Plan.objects.get(pk=plan.pk)
    third.save()
    found = crowding([third])[third.pk]
    assert (found.people, found.exact, dict(found.over)) == (111, True, {WEEKLY: 11})


def test_the_platform_counts_all_kinds_within_its_month() -> None:
    Cap.objects.all().delete()
    PlatformLimit.objects.update_or_create(channel="wecom", defaults={"mode": "month", "limit": 1})
    sent(BitMap(range(10)), 20)  # 24 March
    sent(BitMap(range(10, 90)), 29)  # 2 April
    march = draft(audience("All", BitMap(range(100))), 3, message_class="service")
    assert over(march, [march]) == {None: 10}


def test_an_audience_that_nobody_looked_at_has_no_forecast() -> None:
    root = organisation.root()
    unseen = Audience.objects.create(name="New", rule={}, org_node=root, created_at=NOW, updated_at=NOW)
    assert crowding([draft(unseen, 2)]) == {}
