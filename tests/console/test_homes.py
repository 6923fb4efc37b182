"""The homes of a store: whose is whose, what stands in them, and that nothing of another place or colleague does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hetang.audiences.models import Audience
from hetang.campaigns.models import Broadcast, Campaign
from hetang.commerce.models import CustomerMetric, Order
from hetang.console.homes import which
from hetang.customers.models import Customer, Identity, Relation
from hetang.platform import clock, jobs, organisation
from hetang.platform.access import actor_for
from hetang.platform.models import AuditEntry, Grant, JobRun, OrgNode, User
from hetang.platform.roles import ADVISER, ANALYST, HEADQUARTERS, REGION, SERVICE_DESK, STORE_MANAGER
from hetang.resources.models import Staff, Store
from hetang.touch.models import Programme, Reminder, SendTask, ShortLink, Variant
from tests.console.cast import Cast, adviser, store, user
from tests.console.conftest import client_of
from tests.touch.test_lifecycle import Provider, provider

__all__ = ["provider"]

NOW = datetime(2026, 1, 11, 4, tzinfo=UTC)  # Sunday, noon in Shanghai
START = datetime(2026, 1, 5, 3, tzinfo=UTC)
MOST = 40


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    clock.freeze(NOW)
    yield
    clock.freeze(None)


@pytest.fixture
def anna_login(cast: Cast) -> User:
    """Anna's own login, tied to her account."""
    login = user("anna_login", ADVISER, cast.store_a.org_node)
    Staff.objects.filter(pk=cast.anna.pk).update(user=login)
    return login


def broadcast(cast: Cast, name: str, node: OrgNode | None = None) -> Broadcast:
    """One that runs, without tasks yet."""
    at = node or cast.root
    values: dict[str, Any] = {"org_node": at, "created_at": NOW}
    campaign = Campaign.objects.create(
        name=f"C {name}", starts_on=NOW.date(), ends_on=NOW.date(), owner=cast.headquarters, **values
    )
    audience = Audience.objects.create(
        name=f"A {name}", rule={"version": 1, "rule": {"all": []}}, updated_at=NOW, **values
    )
    programme = Programme.objects.create(
        name=name, campaign_id=campaign.pk, org_node=at, channel="wecom", state=Programme.RUNNING, slot_at=NOW,
        planned_at=NOW, expires_at=NOW + timedelta(days=3),
    )  # fmt: skip
    Variant.objects.create(programme=programme, number=1, text="New tea is here")
    return Broadcast.objects.create(
        campaign=campaign, name=name, audience=audience, programme=programme, created_at=NOW, updated_at=NOW,
        created_by=cast.headquarters,
    )  # fmt: skip


def task(sent: Broadcast, staff: Staff, people: int, confirmed: bool = False, seq: int = 1) -> SendTask:
    link = ShortLink.objects.create(code=f"{sent.pk}x{staff.pk}x{seq}", target="https://example.cn/", created_at=NOW)
    return SendTask.objects.create(
        programme=sent.programme, channel="wecom", variant=1, staff=staff, org_node_id=staff.org_node_id, seq=seq,
        people=people, link=link, state=SendTask.DONE if confirmed else SendTask.WAITING, slot_at=NOW,
        provider_id=f"m{sent.pk}x{staff.pk}x{seq}", tasked_at=NOW - timedelta(hours=5),
        confirmed_at=NOW if confirmed else None, sent=people if confirmed else 0,
    )  # fmt: skip


def person(
    number: int, home: Store, friend: Staff | None = None, owner: Staff | None = None, orders: int = 0, day: int = 9
) -> Customer:
    """Member `m<number>`: a friend since the 5th, who buys every four days and last bought on a day of January."""
    made = Customer.objects.create(number=number, created_at=NOW, home_store=home, owner=owner)
    Identity.objects.create(kind="member", key=f"m{number}", customer=made, evidence_number=number, first_seen_at=NOW)
    if friend is not None:
        Relation.objects.create(
            customer=made, staff=friend, external_userid=f"wm{number}", state=Relation.ACTIVE,
            since=START, occurred_at=START, fact_key="test",
        )  # fmt: skip
    if orders:
        last = START.replace(day=day)
        CustomerMetric.objects.create(
            customer=made, orders=orders, gmv=100 * number, last_order_at=last,
            first_order_at=last - timedelta(days=4 * (orders - 1)),
        )  # fmt: skip
        times = [last - timedelta(days=4 * n) for n in range(orders)]
        Order.objects.bulk_create(
            Order(source="t", key=f"{number}-{at}", customer=made, placed_at=at, local_day=at.date(), net=1, lines=1)
            for at in times
        )
    return made


def kind(login: User) -> str:
    return which.of(actor_for(login)).kind


def test_who_starts_with_which_home(cast: Cast) -> None:
    region = organisation.add_node(cast.root, OrgNode.REGION, "north", "North")
    at_a = cast.store_a.org_node
    desk = user("desk", SERVICE_DESK, at_a)
    assert {
        "headquarters": kind(cast.headquarters),
        "nobody": kind(cast.nobody),
        "manager": kind(cast.manager_a),
        "manager of a region": kind(user("m1", STORE_MANAGER, region)),
        "region": kind(user("m2", REGION, region)),
        "region's role at a store": kind(user("m3", REGION, at_a)),
        "analyst": kind(user("m4", ANALYST, at_a)),
        "adviser": kind(user("m5", ADVISER, at_a)),
        "adviser of a region": kind(user("m6", ADVISER, region)),
        "headquarters' role and adviser": kind(user("m7", HEADQUARTERS, cast.root)),
        "service desk": kind(desk),
    } == {
        "headquarters": "operator",
        "nobody": "operator",
        "manager": "store",
        "manager of a region": "operator",
        "region": "operator",
        "region's role at a store": "store",
        "analyst": "operator",
        "adviser": "adviser",
        "adviser of a region": "adviser",
        "headquarters' role and adviser": "operator",
        "service desk": "operator",
    }
    Staff.objects.filter(pk=cast.anna.pk).update(user=desk)
    assert kind(desk) == "adviser"


def test_the_manager_of_two_stores_sees_both_named(cast: Cast) -> None:
    Grant.objects.create(user=cast.manager_a, role=STORE_MANAGER, org_node=cast.store_b.org_node)
    assert "Store A · Store B" in client_of(cast.manager_a).get("/").text


def test_an_empty_store_says_what_to_do_next(manager: Client, cast: Cast) -> None:
    page = manager.get("/").text
    assert "Nothing waits for you." in page
    assert "No broadcast has tasks in your store at the moment." in page
    assert 'href="/campaigns/calendar"' in page
    assert "No new friend of this week waits for a first order." in page
    Staff.objects.all().delete()
    assert "Nobody of your store is known as Adviser yet" in manager.get("/").text


def test_a_manager_sees_who_of_her_store_has_to_confirm(manager: Client, cast: Cast) -> None:
    cleo = adviser("cleo", cast.store_a)
    sent = broadcast(cast, "Spring tea")
    task(sent, cast.anna, 120)
    task(sent, cleo, 80, confirmed=True)
    task(sent, cast.bela, 777)
    other = broadcast(cast, "Elsewhere", cast.store_b.org_node)
    task(other, cast.bela, 5)
    page = manager.get("/").text
    assert "1 of 2 tasks confirmed" in page
    assert "120 customers wait, handed over" in page
    assert "All confirmed" in page
    assert page.index("Anna") < page.index("Cleo")  # who has to confirm stands first
    for foreign in ("Bela", "777 customers", "Elsewhere"):
        assert foreign not in page
    assert "Remind who has not confirmed" in page


def test_the_store_reminds_its_own_and_nobody_else(manager: Client, cast: Cast, provider: Provider) -> None:
    sent = broadcast(cast, "Spring tea")
    mine, theirs = task(sent, cast.anna, 120), task(sent, cast.bela, 7)
    address = f"/campaigns/broadcasts/{sent.public_id}/remind"
    for _ in range(3):
        answer = manager.post(address, {"back": "home"})
        assert (answer.status_code, answer["location"]) == (302, "/")
    assert provider.reminded == [mine.provider_id] * 3
    page = manager.get("/").text
    assert "Reminded three times within 24 hours" in page
    assert "Remind who has not confirmed" not in page
    Reminder.objects.filter(task=mine).update(at=NOW - timedelta(hours=25))
    assert "Remind who has not confirmed" in manager.get("/").text
    assert manager.post(address, {"node": cast.store_b.org_node_id}).status_code == 403
    SendTask.objects.filter(pk=mine.pk).update(state=SendTask.DONE, confirmed_at=NOW)
    manager.post(address)
    noted = AuditEntry.objects.filter(action="programme.remind").values_list("changes__done", flat=True)
    assert list(noted) == [1, 1, 1]  # a round that reaches nobody is none
    assert theirs.provider_id not in provider.reminded


def test_a_region_counts_its_own_part_of_what_headquarters_sends(cast: Cast) -> None:
    region = organisation.add_node(cast.root, OrgNode.REGION, "north", "North")
    carla = adviser("carla", store("C", region))
    sent = broadcast(cast, "Spring tea")
    task(sent, carla, 40)
    task(sent, carla, 10, confirmed=True, seq=2)
    task(sent, cast.anna, 500)
    only_a = broadcast(cast, "Only A")
    task(only_a, cast.anna, 500)
    page = client_of(user("north", REGION, region)).get("/").text
    assert "“Spring tea”: 40 people wait for staff to confirm." in page
    assert "10 of 50 sent" in page
    assert ">Only A<" not in page


def test_who_may_not_remind_gets_no_button(cast: Cast, provider: Provider, anna_login: User) -> None:
    sent = broadcast(cast, "Spring tea")
    task(sent, cast.anna, 120)
    browser = client_of(anna_login)
    assert "Remind" not in browser.get("/").text
    assert browser.post(f"/campaigns/broadcasts/{sent.public_id}/remind").status_code == 403
    assert provider.reminded == []


def test_customers_to_look_at_are_those_of_the_store(manager: Client, cast: Cast) -> None:
    person(1, cast.store_a, friend=cast.anna, owner=cast.anna, orders=8)
    person(2, cast.store_b, friend=cast.bela, orders=1)
    person(3, cast.store_b, friend=cast.bela)
    person(4, cast.store_a, friend=cast.anna)
    page = manager.get("/").text
    assert page.count("Member m4") == 1  # a new friend without an order; the first one has bought
    assert "friend since Mon 5 Jan · Anna" in page
    assert page.count("Member m1") == 1
    assert "Fri 9 Jan, 8 orders so far · Anna" in page
    for foreign in ("Member m2", "Member m3", "Bela"):
        assert foreign not in page
    clock.freeze(NOW + timedelta(days=31))  # who buys every 4 days is late after 30 days without an order
    page = client_of(cast.manager_a).get("/").text
    assert "last bought 33 days ago, usually every 4 days · Anna" in page
    assert "Member m4" not in page  # no new friend any more


def test_a_friend_of_another_store_is_new_only_there(manager: Client, cast: Cast) -> None:
    """Her home store is A, her new friend stands in store B."""
    person(1, cast.store_a, friend=cast.bela)
    page = manager.get("/").text
    assert "Member m1" not in page
    assert "Bela" not in page


def test_the_board_comes_after_the_page(manager: Client, cast: Cast, anna_login: User) -> None:
    assert 'hx-get="/store-board"' in manager.get("/").text
    assert manager.get("/store-board").status_code == 200
    assert client_of(anna_login).get("/store-board").status_code == 403


def test_looking_at_customers_is_noted_once(manager: Client, cast: Cast) -> None:
    person(1, cast.store_a, orders=2)
    manager.get("/")
    manager.get("/")
    looks = list(AuditEntry.objects.filter(action="look.list").values_list("actor", "changes"))
    assert looks == [("manager_a", {"shown": 1, "page": "home"})]


def test_an_adviser_sees_her_own_and_nothing_of_others(cast: Cast, anna_login: User) -> None:
    cleo = adviser("cleo", cast.store_a)
    person(1, cast.store_a, friend=cast.anna, orders=2)
    person(2, cast.store_b, orders=2)
    person(5, cast.store_a, friend=cleo, owner=cleo, orders=2)
    person(6, cast.store_a, owner=cast.anna, friend=cleo)  # hers to serve, but not her new friend
    sent = broadcast(cast, "Spring tea")
    task(sent, cast.anna, 120)
    task(sent, cast.anna, 30, confirmed=True, seq=2)
    task(sent, cleo, 77)
    page = client_of(anna_login).get("/").text
    assert "Anna · 1 friend" in page
    assert "Spring tea" in page
    assert "120 customers" in page
    assert "New tea is here" in page
    assert "Member m1" in page
    for others in ("Cleo", "77 customers", "Member m5", "Member m6", "30 customers", "Bela", "Member m2", "Net sales"):
        assert others not in page, others


def test_a_manager_who_serves_customers_has_tasks_of_her_own(cast: Cast) -> None:
    Staff.objects.filter(pk=cast.anna.pk).update(user=cast.manager_a)
    sent = broadcast(cast, "Spring tea")
    task(sent, cast.anna, 120)
    assert "You have 1 task to confirm in WeCom, for 120 customers." in client_of(cast.manager_a).get("/").text


def test_an_adviser_without_an_account_is_told_whom_to_ask(cast: Cast) -> None:
    person(1, cast.store_a, friend=cast.anna, orders=2)
    page = client_of(user("new", ADVISER, cast.store_a.org_node)).get("/").text
    assert "Your login is not tied to your WeCom account yet" in page
    assert "Member" not in page


def test_what_failed_is_told_to_who_started_it(manager: Client, cast: Cast) -> None:
    mine, old = (jobs.enqueue("test.none", title, {}, created_by=cast.manager_a) for title in ("Mine", "Old"))
    other = jobs.enqueue("test.none", "Other", {}, created_by=cast.headquarters)
    for run, days in ((mine, 1), (old, 4), (other, 1)):
        JobRun.objects.filter(pk=run.pk).update(state=JobRun.FAILED, finished_at=NOW - timedelta(days=days))
    page = manager.get("/").text
    assert "“Mine” failed." in page
    assert "“Old” failed." not in page
    assert "“Other” failed." not in page


def test_all_of_a_list_is_a_page_of_the_same_people(manager: Client, cast: Cast, anna_login: User) -> None:
    person(1, cast.store_a, friend=cast.anna, orders=2)
    person(2, cast.store_b, orders=2)
    for number in range(11, 18):
        person(number, cast.store_a, orders=1)
    home = manager.get("/").text
    assert 'href="/look-at/bought"' in home
    page = manager.get("/look-at/bought").text
    assert "8 customers" in page
    assert page.count("Member m1") == 8
    assert "Member m2" not in page
    hers = client_of(anna_login).get("/look-at/bought").text
    assert "1 customer<" in hers
    assert hers.count("Member m1") == 1
    assert manager.get("/look-at/nothing").status_code == 404
    assert client_of(cast.nobody).get("/look-at/bought").status_code == 403


def grow(cast: Cast, round_: int) -> None:
    """More advisers, broadcasts, friends and buyers of store A."""
    for n in range(4):
        userid = f"s{round_}{n}"
        staff = adviser(userid, cast.store_a)
        sent = broadcast(cast, f"B{userid}")
        task(sent, staff, 5)
        task(sent, cast.anna, 5)
        person(100 * round_ + n, cast.store_a, owner=cast.anna, orders=2)
        person(1000 * round_ + n, cast.store_a, friend=cast.anna)


def queries(browser: Client, address: str) -> int:
    browser.get(address)  # notes the look, and reads the clock and the brand, which are kept for seconds
    with CaptureQueriesContext(connection) as taken:
        assert browser.get(address).status_code == 200
    return len(taken)


def test_a_home_takes_no_more_queries_for_more_to_show(cast: Cast, anna_login: User) -> None:
    browsers = [client_of(cast.manager_a), client_of(anna_login)]
    grow(cast, 1)
    few = [queries(browser, address) for browser in browsers for address in ("/", "/look-at/bought")]
    grow(cast, 2)
    many = [queries(browser, address) for browser in browsers for address in ("/", "/look-at/bought")]
    assert [b - a for a, b in zip(few, many, strict=True) if b > a + 2] == []
    assert max(few) <= MOST, few


def test_stores_of_a_franchisee_stay_its_own(cast: Cast) -> None:
    """A manager of store A who also looks at a franchisee's store sees none of its people and staff."""
    franchise = store("F", cast.root)
    OrgNode.objects.filter(pk=franchise.org_node_id).update(legal_entity="Acme")
    fred = adviser("fred", franchise)
    region_manager = user("both", STORE_MANAGER, cast.store_a.org_node)
    Grant.objects.create(user=region_manager, role=ANALYST, org_node=cast.root)
    sent = broadcast(cast, "Spring tea")
    task(sent, fred, 9)
    person(7, franchise, friend=fred, orders=1)
    page = client_of(region_manager).get("/").text
    assert "Fred" not in page
    assert "Member m7" not in page
