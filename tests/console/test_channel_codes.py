"""Codes by which people come: listed with how many by each, named, given a campaign, with what audiences lose."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from hetang.audiences.models import Audience
from hetang.campaigns import codes
from hetang.campaigns.models import Campaign
from hetang.communities.models import GroupChat, GroupMember
from hetang.customers.models import ChannelCode, Relation
from hetang.platform import access, clock
from hetang.platform.access import Forbidden, actor_for
from hetang.platform.models import AuditEntry, OrgNode
from hetang.resources.models import Staff
from tests.console.cast import Cast
from tests.console.conftest import client_of

PAGE = "/campaigns/codes"


def befriended(number: int, state: str, days: int) -> None:
    at = clock.now() - timedelta(days=days)
    of = {"state": "lost_by_customer", "since": at, "occurred_at": at, "begun_at": at, "begun_state": state}
    staff = Staff.objects.order_by("pk")[0]
    Relation.objects.create(customer_id=1, staff=staff, external_userid=f"code-{number}", fact_key="x", **of)


@pytest.fixture
def spring(cast: Cast) -> Campaign:
    """Two came by `poster/a b?`, one of them long ago; three joined a group by `door`; `till` was long ago."""
    root, now = OrgNode.objects.get(kind="brand"), clock.now()
    for number, (state, days) in enumerate([("poster/a b?", 1), ("poster/a b?", 200), ("till", 300)]):
        befriended(number, state, days)
    group = GroupChat.objects.create(chat_id="g", name="Bread", org_node=root, told_at=now)
    for number, is_staff in enumerate((False, False, False, True)):
        GroupMember.objects.create(
            group=group, member=f"m{number}", joined_at=now, joined_on=now.date(), channel_state="door",
            is_staff=is_staff,
        )  # fmt: skip
    today = clock.today()
    return Campaign.objects.create(name="Spring", org_node=root, created_at=now, starts_on=today, ends_on=today)


def listed(client: Client, **asked: Any) -> list[str]:
    return re.findall(r'<th scope="row" class="mono">([^<]*)</th>', client.get(PAGE, asked).content.decode())


def test_codes_are_listed_by_how_many_came_lately(headquarters: Client, spring: Campaign) -> None:
    assert listed(headquarters) == ["door", "poster/a b?", "till"]
    came = codes.came(clock.now() - timedelta(days=90))
    assert [(one.state, one.friends, one.joined, one.recent) for one in came] == [
        *(("door", 0, 3, 3), ("poster/a b?", 2, 0, 1), ("till", 1, 0, 0)),
    ]
    assert listed(headquarters, q="TILL") == ["till"]
    assert "No code fits" in headquarters.get(PAGE, {"q": "nothing"}).content.decode()
    address = f"{PAGE}/edit?state=poster%2Fa%20b%3F"
    assert address in headquarters.get(PAGE).content.decode()
    assert headquarters.post(address, {"name": "Poster", "campaign": str(spring.public_id)}).status_code == 302
    code = ChannelCode.objects.get()
    assert (code.state, code.name, code.campaign) == ("poster/a b?", "Poster", spring.public_id)
    entry = AuditEntry.objects.get(action="channel_code.changed")
    assert (entry.target_id, entry.changes) == ("poster/a b?", {"name": ["", "Poster"], "campaign": ["", "Spring"]})
    assert listed(headquarters, q="post er") == listed(headquarters, campaign=spring.public_id) == ["poster/a b?"]
    assert listed(headquarters, unnamed="1") == ["door", "till"]
    of_spring = f'href="{PAGE}?campaign={spring.public_id}"'
    assert of_spring in headquarters.get(f"/campaigns/{spring.public_id}/").content.decode()


def test_taking_a_campaign_off_says_which_audiences_ask_for_it(headquarters: Client, spring: Campaign) -> None:
    public_id, now = str(spring.public_id), clock.now()
    codes.describe(access.system("test"), "door", "Door", spring)
    by = {"type": "first_source", "by": "any", "campaigns": [public_id]}
    received = {"type": "behaviour", "event": "received", "campaigns": [public_id]}
    for name, rule in (("Came", {"any": [{"not": by}]}), ("Wrote", received)):
        document = {"version": 1, "rule": rule}
        Audience.objects.create(name=name, rule=document, org_node=spring.org_node, created_at=now, updated_at=now)
    address = f"{PAGE}/edit?state=door"
    page = headquarters.get(address).content.decode()
    assert "<li>Came</li>" in page and "Wrote" not in page
    assert headquarters.post(address, {"name": "", "campaign": ""}).status_code == 302
    assert not ChannelCode.objects.exists()
    assert headquarters.post(address, {"name": "", "campaign": ""}).status_code == 302  # says nothing new
    entries = AuditEntry.objects.filter(action="channel_code.changed").order_by("pk")
    assert [one.changes for one in entries] == [
        {"name": ["", "Door"], "campaign": ["", "Spring"]},
        {"name": ["Door", ""], "campaign": ["Spring", ""]},
    ]
    assert "<li>Came</li>" not in headquarters.get(address).content.decode()


def test_a_code_is_named_before_anybody_comes_by_it(headquarters: Client, spring: Campaign) -> None:
    assert headquarters.get(f"{PAGE}/edit?state=summer").status_code == 404
    for wrong in ("", "a\tb", "x" * 65):
        assert headquarters.post(f"{PAGE}/new", {"state": wrong, "name": "Summer"}).status_code == 422, wrong
    gone = {"state": "summer", "campaign": "00000000-0000-0000-0000-000000000000"}
    assert headquarters.post(f"{PAGE}/new", gone).status_code == 422
    assert headquarters.post(f"{PAGE}/new", {"state": "summer", "name": "<b>"}).status_code == 302
    assert listed(headquarters)[-1] == "summer"
    assert "&lt;b&gt;" in headquarters.get(PAGE).content.decode()
    assert headquarters.get(f"{PAGE}/edit?state=summer").status_code == 200
    for state in ("", "a\nb", "x" * 65):
        with pytest.raises(ValueError, match=f"^{re.escape(state)}$"):
            codes.describe(access.system("test"), state, "", spring)


def test_only_whoever_acts_for_the_whole_brand_names_codes(cast: Cast, manager: Client, spring: Campaign) -> None:
    for address in (PAGE, f"{PAGE}/new", f"{PAGE}/edit?state=door"):
        assert manager.get(address).status_code == 403
    assert f'href="{PAGE}"' not in manager.get("/campaigns/").content.decode()
    with pytest.raises(Forbidden):
        codes.describe(actor_for(cast.manager_a), "door", "Door", None)


def test_without_codes_the_page_says_what_they_are(headquarters: Client) -> None:
    Relation.objects.all().delete()
    page = headquarters.get(PAGE).content.decode()
    assert "Nobody has come by a code yet" in page and f"{PAGE}/new" in page
    assert f'href="{PAGE}"' in headquarters.get("/campaigns/").content.decode()


def test_headquarters_sees_the_page_in_chinese(cast: Cast, spring: Campaign) -> None:
    client = client_of(cast.headquarters)
    page = client.get(PAGE, headers={"accept-language": "zh-hans"}).content.decode()
    assert listed(client) and "Channel" not in re.sub(r"<[^>]*>", "", page)
