"""Mass messages that were not sent from here: listed, read once for each sender who confirmed, counted by month."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.db import connection

from hetang.connectors.wecom import mass_messages
from hetang.connectors.wecom.client import client_of
from hetang.connectors.wecom.mass_messages import GroupCap, Used
from hetang.connectors.wecom.models import App, MassMessage, MassReceipt, MassSender
from hetang.customers.models import Customer, Identity
from hetang.platform import clock
from hetang.touch import governor, queries
from hetang.touch.models import Cap, PlatformLimit, SendTask
from hetang.touch.rules import CapRule
from tests.simulator.world import SINCE, World
from tests.touch.world import programme, request

LONG_AGO = date(2020, 1, 1)


@pytest.fixture
def sent(app: App, world: World) -> World:
    """Anna writes to her three customers by herself; the corp's console asks Bo, who has not confirmed, for one."""
    world.admin.call("own_message", {"userid": "anna", "text": "hi"})
    world.send("bo", world.people[3:4], "from the console")
    return world


def look(app: App) -> int:
    client = client_of(app)
    mass_messages.list_new(client, app.corp)
    MassMessage.objects.update(looked_at=None)
    return mass_messages.look(client, app.corp)


def test_members_own_ones_and_the_corps_are_told_apart(app: App, sent: World) -> None:
    assert look(app) == 2
    own, corps = MassMessage.objects.get(by_member=True), MassMessage.objects.get(by_member=False)
    assert (own.creator, own.settled, corps.settled) == ("anna", True, False)
    assert mass_messages.used(sent.people, LONG_AGO) == dict.fromkeys(sent.people[:3], Used(0, 1))
    sent.admin.confirm(corps.msgid)
    assert look(app) == 1
    assert mass_messages.used(sent.people, LONG_AGO)[sent.people[3]] == Used(1, 0)
    assert look(app) == 0
    assert MassReceipt.objects.count() == 4
    assert set(MassSender.objects.values_list("userid", flat=True)) == {"anna", "bo"}


def test_reading_twice_counts_once_and_an_outage_goes_on(app: App, sent: World) -> None:
    sent.admin.fault("drop_before", "externalcontact/get_groupmsg_send_result", times=3)
    with pytest.raises(Exception, match="get_groupmsg_send_result"):
        look(app)
    look(app)
    MassSender.objects.all().delete()
    MassMessage.objects.update(settled=False)
    look(app)
    assert mass_messages.used(sent.people[:1], LONG_AGO) == {sent.people[0]: Used(0, 1)}


def test_groups_get_theirs(app: App, world: World) -> None:
    group = {"owner": "anna", "name": "Bread", "createtime": SINCE, "members": world.people[:2]}
    chat_id = str(world.admin.call("groups", {"groups": [group]})["chat_ids"][0])
    body = {"chat_type": "group", "sender": "anna", "chat_id_list": [chat_id], "text": {"content": "new"}}
    msgid = world.call("externalcontact/add_msg_template", body)["msgid"]
    world.admin.confirm(msgid)
    look(app)
    assert MassMessage.objects.get().to_groups
    assert mass_messages.used([chat_id], LONG_AGO) == {chat_id: Used(1, 0)}
    assert mass_messages.used([chat_id], clock.today().replace(year=2999)) == {}


def test_a_customer_is_all_her_accounts(app: App, sent: World) -> None:
    look(app)
    now = clock.now()
    customer = Customer.objects.create(number=1, created_at=now)
    for key in sent.people[:2]:
        Identity.objects.create(
            kind="external_userid", key=key, customer=customer, evidence_number=1, first_seen_at=now
        )
    assert mass_messages.of_customer(1, LONG_AGO) == Used(0, 2)
    assert mass_messages.of_customer(2, LONG_AGO) == Used()


def test_a_month_has_as_many_messages_as_days() -> None:
    assert mass_messages.month_of(date(2026, 2, 14)) == (date(2026, 2, 1), 28)


def test_a_group_has_the_cap_that_wecoms_administrator_chose(db: None) -> None:
    tuesday = datetime(2026, 2, 17, 4, tzinfo=UTC)
    PlatformLimit.objects.all().delete()
    assert mass_messages.cap_of_group(tuesday) == GroupCap("month", date(2026, 2, 1), 28)
    for mode, limit, since, most in (
        ("week", None, date(2026, 2, 16), 7),
        ("day", 2, date(2026, 2, 17), 2),
        ("none", None, date(2026, 2, 1), None),
    ):
        PlatformLimit.objects.update_or_create(channel="wecom", defaults={"mode": mode, "limit": limit})
        assert mass_messages.cap_of_group(tuesday) == GroupCap(mode, since, most)


def capped(limit: int = 1) -> set[int]:
    """Whom a cap of one marketing message a day, or the platform's, keeps out of a plan for now."""
    Cap.objects.all().delete()
    if limit:
        Cap.objects.create(channel="wecom", limit=limit, days=1)
    sql, params = governor.capped_sql(governor.limits("wecom", "marketing", clock.now()), "t.customer is not null")
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {customer for customer, over in cursor.fetchall() if over}


def known(people: list[str]) -> None:
    now = clock.now()
    for number, key in enumerate(people, 1):
        customer = Customer.objects.create(number=number, created_at=now)
        Identity.objects.create(
            kind="external_userid", key=key, customer=customer, evidence_number=number, first_seen_at=now
        )


def test_what_others_sent_counts_in_the_caps(app: App, sent: World) -> None:
    PlatformLimit.objects.all().delete()
    known(sent.people)
    assert capped() == set()
    look(app)
    look(app)  # reading again counts nobody twice
    assert capped() == {1, 2, 3}
    assert capped(limit=2) == set()
    sent.admin.confirm(MassMessage.objects.get(by_member=False).msgid)
    look(app)
    assert capped() == {1, 2, 3, 4}
    quota = queries.cap_use(CapRule("wecom", 1, 1), clock.now())
    assert quota == {1: 4}


def test_the_platform_s_cap_knows_the_corp_s_messages_only(app: App, sent: World) -> None:
    """A member's own ones have a limit of their own (section 10)."""
    known(sent.people)
    PlatformLimit.objects.update_or_create(channel="wecom", defaults={"mode": "day", "limit": None})
    look(app)
    sent.admin.confirm(MassMessage.objects.get(by_member=False).msgid)
    look(app)
    assert capped(limit=0) == {4}
    found = queries.quota("wecom", clock.now())
    assert found is not None
    assert found.people_by_used == {1: 1}


def test_a_task_of_ours_that_was_taken_for_another_s_is_not_counted_twice(app: App, sent: World) -> None:
    known(sent.people)
    look(app)
    own = MassMessage.objects.get(by_member=True)
    ours = programme(request())
    SendTask.objects.create(
        programme=ours, channel="wecom", variant=1, seq=0, link_id="l", slot_at=clock.now(), provider_id=own.msgid
    )
    assert capped() == set()
