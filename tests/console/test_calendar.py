"""The marketing calendar: days of the brand's zone, filters, scope, what is begun from a day, what is left."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot
from hetang.campaigns.models import Broadcast, Campaign
from hetang.console.campaigns import quota
from hetang.platform import brand, clock
from hetang.platform.models import Brand, OrgNode
from hetang.touch.models import Cap
from tests.console.cast import Cast
from tests.console.conftest import client_of
from tests.touch import world
from tests.touch.world import NOW


@pytest.fixture(autouse=True)
def still() -> Iterator[None]:
    clock.freeze(NOW)  # Wednesday 2026-03-04, 10:00 in Shanghai
    quota.forget()
    yield
    clock.freeze(None)
    quota.forget()


def campaign(node: OrgNode, name: str, first: str, last: str, **values: Any) -> Campaign:
    return Campaign.objects.create(
        name=name,
        starts_on=date.fromisoformat(first),
        ends_on=date.fromisoformat(last),
        org_node=node,
        created_at=NOW,
        **values,
    )


def broadcast(of: Campaign, name: str, slot: datetime | None, **values: Any) -> Broadcast:
    audience, _ = Audience.objects.get_or_create(
        name="All", defaults={"rule": {}, "org_node": of.org_node, "created_at": NOW, "updated_at": NOW}
    )
    return Broadcast.objects.create(
        campaign=of, name=name, audience=audience, slot_at=slot, created_at=NOW, updated_at=NOW, **values
    )


def at(day: int, hour: int = 2) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def days(answer: Any) -> dict[str, list[str]]:
    """Names by day, of days that have any."""
    cells = [cell for week in answer.context["weeks"] for cell in week.cells]
    return {f"{cell.day:%m-%d}": [one.broadcast.name for one in cell.entries] for cell in cells if cell.entries}


def test_a_broadcast_lies_on_the_brands_own_day(cast: Cast, headquarters: Client) -> None:
    spring = campaign(cast.root, "Spring", "2026-03-01", "2026-03-31")
    broadcast(spring, "Early", at(10, 17))  # 01:00 on the 11th in Shanghai
    broadcast(spring, "Edge", at(29, 15))
    broadcast(spring, "Next month", at(31, 16))  # midnight of 1 April
    assert days(headquarters.get("/campaigns/calendar")) == {
        "03-11": ["Early"],
        "03-29": ["Edge"],
        "04-01": ["Next month"],
    }
    Brand.objects.update(time_zone="America/New_York")
    brand.forget()
    assert days(headquarters.get("/campaigns/calendar")) == {
        "03-10": ["Early"],
        "03-29": ["Edge"],
        "03-31": ["Next month"],
    }


def test_campaigns_lie_in_lanes_over_their_period(cast: Cast, headquarters: Client) -> None:
    campaign(cast.root, "Long", "2026-02-20", "2026-03-10")
    campaign(cast.root, "Short", "2026-03-03", "2026-03-04")
    campaign(cast.root, "After", "2026-03-05", "2026-03-06")
    campaign(cast.root, "Elsewhere", "2026-05-05", "2026-05-06")
    weeks = headquarters.get("/campaigns/calendar?month=2026-03").context["weeks"]
    bars = [(bar.campaign.name, bar.column, bar.days, bar.lane, bar.begins, bar.ends) for bar in weeks[1].bars]
    assert bars == [
        ("Long", 1, 7, 1, False, False),
        ("Short", 2, 2, 2, True, True),
        ("After", 4, 2, 2, True, True),
    ]
    assert weeks[2].bars[0].days == 2 and weeks[2].bars[0].ends


def test_days_of_the_almanac_follow_the_brands_country(cast: Cast, headquarters: Client) -> None:
    page = headquarters.get("/campaigns/calendar?month=2026-02").content.decode()
    assert "Lantern Festival" not in page and "Spring Festival" in page and "Start of Spring" in page
    assert page.count('cal-occasion holiday">Spring Festival') == 1  # named once, marked on nine days
    assert len(re.findall(r'cal-mark">Off', page)) == 9 and len(re.findall(r'cal-mark work">Work', page)) == 2
    assert "not known to this version" not in page
    later = headquarters.get("/campaigns/calendar?month=2027-02").content.decode()
    assert "not known to this version" in later
    cast.headquarters.language = "zh-hans"
    cast.headquarters.save()
    browser = Client()
    browser.force_login(cast.headquarters)
    chinese = browser.get("/campaigns/calendar?month=2026-02").content.decode()
    assert [text for text in ("除夕", "初三", "腊八节", "十五") if text not in chinese] == []
    Brand.objects.update(country="")
    brand.forget()
    assert "Spring Festival" not in headquarters.get("/campaigns/calendar?month=2026-02").content.decode()


def test_filters_stand_in_the_address(cast: Cast, headquarters: Client) -> None:
    mine = campaign(cast.root, "Mine", "2026-03-01", "2026-03-31", owner=cast.headquarters)
    other = campaign(cast.root, "Other", "2026-03-01", "2026-03-31", owner=cast.manager_a)
    broadcast(mine, "A", at(10))
    broadcast(other, "B", at(10))
    broadcast(mine, "C", None)
    slot = at(10)
    programme = world.programme(world.request(slot_at=slot))
    sent = broadcast(mine, "S", None, channel="wecom", programme=programme, state=Broadcast.SCHEDULED)
    assert sent.programme is not None
    whole = headquarters.get("/campaigns/calendar")
    assert days(whole) == {"03-10": ["A", "B", "S"]} and whole.context["undated"] == 1
    assert days(headquarters.get(f"/campaigns/calendar?owner={cast.headquarters.pk}")) == {"03-10": ["A", "S"]}
    assert days(headquarters.get("/campaigns/calendar?state=draft")) == {"03-10": ["A", "B"]}
    assert days(headquarters.get("/campaigns/calendar?state=scheduled")) == {"03-10": ["S"]}
    assert days(headquarters.get("/campaigns/calendar?channel=sms")) == {}
    for nonsense in ("month=2026-13", "month=x&owner=1;drop&state=?&channel=x", "month=9999-12", "month=0001-01"):
        assert headquarters.get(f"/campaigns/calendar?{nonsense}").status_code == 200


def test_the_calendar_shows_what_lies_in_the_scope(cast: Cast, headquarters: Client, manager: Client) -> None:
    own = campaign(cast.store_a.org_node, "Store A", "2026-03-01", "2026-03-31")
    foreign = campaign(cast.store_b.org_node, "Store B", "2026-03-01", "2026-03-31")
    broadcast(own, "For A", at(10))
    broadcast(foreign, "For B", at(10))
    assert days(manager.get("/campaigns/calendar")) == {"03-10": ["For A"]}
    assert "Store B" not in manager.get("/campaigns/calendar").content.decode()
    assert client_of(cast.nobody).get("/campaigns/calendar").status_code == 403
    assert client_of(cast.nobody).get("/campaigns/quota/left").status_code == 403


def test_what_would_meet_a_cap_is_said_with_its_number(cast: Cast, headquarters: Client) -> None:
    Cap.objects.all().delete()
    Cap.objects.create(channel="wecom", limit=1, days=7)
    spring = campaign(cast.root, "Spring", "2026-03-01", "2026-03-31")
    for name, day in (("One", 10), ("Two", 12)):
        broadcast(spring, name, at(day))
    members = BitMap(range(40)).serialize()
    AudienceSnapshot.objects.create(
        audience=Audience.objects.get(), sequence=1, at=NOW, version=1, members=members, count=40, entered=0, left=0
    )
    page = headquarters.get("/campaigns/calendar").content.decode()
    assert page.count("40 of 40 people would be left out by “WeCom: 1 in 7 days”") == 2
    assert "≤ 40" in re.sub(r"<[^>]+>", "", page)


def test_something_is_begun_from_a_day(cast: Cast, headquarters: Client) -> None:
    page = headquarters.get("/campaigns/calendar").content.decode()
    assert "/campaigns/new?day=2026-03-04" in page and "/campaigns/new?day=2026-03-03" not in page
    assert 'aria-label="Begin something on 2026-03-04"' in page
    form = headquarters.get("/campaigns/new?day=2026-03-20").content.decode()
    assert 'name="starts_on" value="2026-03-20"' in form and 'name="ends_on" value="2026-03-26"' in form
    assert headquarters.get("/campaigns/new?day=soon").status_code == 200
    campaign(cast.root, "Spring", "2026-03-01", "2026-03-31")
    assert "2026-03-20 10:00" in headquarters.get("/campaigns/broadcasts/new?day=2026-03-20").content.decode()


def test_how_many_have_how_many_left(cast: Cast, headquarters: Client, manager: Client) -> None:
    Cap.objects.all().delete()
    Cap.objects.create(channel="wecom", limit=2, days=7)
    world.people(10, [cast.anna, cast.bela])
    world.past_touches(4, 2, days=1)  # two for each of customers 1 and 2
    rules = headquarters.get("/campaigns/quota").context["standing"].rules
    assert [(rule.limit, rule.rows) for rule in rules] == [
        (31, [(0, 31, 8), (2, 29, 2)]),
        (2, [(0, 2, 8), (2, 0, 2)]),
    ]
    assert "2 customers have none left" in headquarters.get("/campaigns/quota/left").content.decode()
    seen = manager.get("/campaigns/quota").context["standing"]
    assert seen.people == 5 and seen.rules[1].rows == [(0, 2, 4), (2, 0, 1)]
    assert 'hx-get="/campaigns/quota/left"' in headquarters.get("/").content.decode()


def test_what_is_left_is_counted_once_a_minute(cast: Cast, headquarters: Client) -> None:
    headquarters.get("/campaigns/quota/left")
    world.people(3, [cast.anna])
    assert headquarters.get("/campaigns/quota").context["standing"].people == 0
    cast.headquarters.language = "zh-hans"
    cast.headquarters.save()
    chinese = Client()
    chinese.force_login(cast.headquarters)
    assert "WeCom&#x27;s own cap" in headquarters.get("/campaigns/quota").content.decode()
    assert "企业微信平台上限" in chinese.get("/campaigns/quota").content.decode()
    quota.forget()
    assert headquarters.get("/campaigns/quota").context["standing"].people == 3
