"""Customers' pages: list, search, portrait, edits, tags, and who sees whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from hetang.customers.models import Customer, DoNotDisturb, Tag, TagGroup
from hetang.facts.models import Fact
from hetang.platform import brand, clock
from hetang.platform.models import AuditEntry
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast
from tests.console.conftest import client_of, empty_everything


@pytest.fixture(scope="module")
def folk(django_db_setup: None, django_db_blocker: Any) -> Iterator[Cast]:
    """The cast with its customers, committed once for this module: streams read only what is committed."""
    with django_db_blocker.unblock():
        brand.forget()
        made = cast_of_all.make()
        people.come_in(made)
    yield made
    with django_db_blocker.unblock():
        empty_everything()


@pytest.fixture
def headquarters(db: None, folk: Cast) -> Client:
    return client_of(folk.headquarters)


@pytest.fixture
def manager(db: None, folk: Cast) -> Client:
    return client_of(folk.manager_a)


def _address(member: str) -> str:
    return f"/customers/{people.customer(member).public_id}/"


def test_the_list_shows_masked_names_sums_and_tags(folk: Cast, headquarters: Client) -> None:
    page = headquarters.get("/customers/").content.decode()
    for part in ("王**", "B*** S***", "m3", "Likes coffee", "¥32.90", "3 customers"):
        assert part in page
    assert "王小梅" not in page


@pytest.mark.parametrize("query", ["m1", "13812345678", "+86 138 1234 5678", "wm1"])
def test_an_exact_identifier_finds_one_person(folk: Cast, headquarters: Client, query: str) -> None:
    found = headquarters.get("/customers/", {"q": query}).context["rows"]
    assert [row.customer.number for row in found] == [people.customer("m1").number]


def test_a_part_of_an_identifier_finds_nobody_and_says_why(folk: Cast, headquarters: Client) -> None:
    page = headquarters.get("/customers/", {"q": "1381234"}).content.decode()
    assert "The search looks for a whole number or address" in page


@pytest.mark.parametrize(
    ("filters", "members"),
    [
        ({"store": "A"}, ["m1", "m3"]),
        ({"owner": "bela"}, ["m2"]),
        ({"tag": "coffee"}, ["m1"]),
        ({"tag": "tea"}, []),
        ({"store": "A", "tag": "coffee"}, ["m1"]),
    ],
)
def test_filters(folk: Cast, headquarters: Client, filters: dict[str, str], members: list[str]) -> None:
    found = headquarters.get("/customers/", filters).context["rows"]
    assert sorted(row.customer.number for row in found) == sorted(people.customer(one).number for one in members)


def test_an_empty_brand_says_where_customers_come_from(folk: Cast, headquarters: Client) -> None:
    Customer.objects.update(merged_into=1)
    assert "No customers yet" in headquarters.get("/customers/").content.decode()


def test_the_portrait_says_who_she_is(folk: Cast, headquarters: Client) -> None:
    page = headquarters.get(_address("m1")).content.decode()
    for part in (
        "with 2 orders worth",
        "Buys mostly at Store A.",
        "138****5678",
        "Anna",
        "Marketing messages",
        "2026-01",
        "Likes coffee",
        "Order of ¥12.90 at Store A, 1 item",
        "Refund of ¥5.00",
    ):
        assert part in page
    assert "13812345678" not in page
    assert "王小梅" not in page


def test_the_timeline_speaks_chinese_too(folk: Cast, headquarters: Client) -> None:
    headquarters.post("/language", {"language": "zh-hans", "next": "/"})
    page = headquarters.get(_address("m1") + "?kind=orders").content.decode()
    assert "在Store A下单 ¥12.90" in page
    assert "到访Store A" not in page


def test_a_manager_never_sees_people_of_another_store(folk: Cast, manager: Client) -> None:
    found = manager.get("/customers/").context["rows"]
    assert sorted(row.customer.number for row in found) == sorted(people.customer(m).number for m in ("m1", "m3"))
    other = _address("m2")
    assert manager.get(_address("m1")).status_code == 200
    for address in (other, other + "timeline"):
        assert manager.get(address).status_code == 404
    for action in ("tags", "consents", "do-not-disturb"):
        assert manager.post(other + action, {"tag": "coffee", "on": "1"}).status_code == 404
    assert manager.get("/customers/", {"q": "m2"}).context["rows"] == []
    assert [code for code, _name in manager.get("/customers/").context["stores"]] == ["A"]
    assert not Fact.objects.filter(source="console").exists()


def _noted() -> Any:
    """The body of the one fact that the console wrote."""
    return Fact.objects.get(source="console").body


def test_tagging_writes_a_fact_and_an_audit_row(folk: Cast, manager: Client) -> None:
    answer = manager.post(_address("m3") + "tags", {"tag": "tea", "on": "1"})
    assert answer["Location"].endswith("?fresh=1")
    assert _noted() == {"tag": "tea", "on": True, "expires_at": None}
    row = AuditEntry.objects.get(action="customer.tagged")
    assert (row.actor, row.changes, row.org_node_id) == ("manager_a", {"tag": "tea"}, folk.store_a.org_node_id)


def test_taking_a_tag_off(folk: Cast, headquarters: Client) -> None:
    headquarters.post(_address("m1") + "tags", {"tag": "coffee"})
    assert _noted()["on"] is False
    assert AuditEntry.objects.get().action == "customer.untagged"


def test_do_not_disturb_until_the_end_of_a_day_of_the_brand(folk: Cast, headquarters: Client) -> None:
    headquarters.post(_address("m1") + "do-not-disturb", {"on": "1", "until": "2999-01-01"})
    noted = _noted()
    assert (noted["on"], datetime.fromisoformat(noted["until"])) == (True, datetime(2999, 1, 1, 16, tzinfo=UTC))


def test_do_not_disturb_is_shown_while_it_holds(folk: Cast, headquarters: Client) -> None:
    row = DoNotDisturb(customer=people.customer("m1"), on=True, occurred_at=clock.now(), fact_key="x", source="x")
    row.save()
    assert "Do not disturb, for ever." in headquarters.get(_address("m1")).content.decode()
    DoNotDisturb.objects.update(until=datetime(2001, 1, 1, tzinfo=UTC))
    assert "Do not disturb…" in headquarters.get(_address("m1")).content.decode()


def test_lifting_do_not_disturb(folk: Cast, headquarters: Client) -> None:
    headquarters.post(_address("m1") + "do-not-disturb", {})
    assert _noted() == {"on": False, "until": None}


def test_a_day_that_has_passed_is_refused_with_a_reason(folk: Cast, headquarters: Client) -> None:
    values = {"on": "1", "until": "2001-01-01"}
    page = headquarters.post(_address("m1") + "do-not-disturb", values, follow=True).content.decode()
    assert "This day has passed" in page
    assert not DoNotDisturb.objects.exists()


def test_consent_is_noted_with_its_legal_basis(folk: Cast, headquarters: Client) -> None:
    values = {"purpose": "marketing", "channel": "sms", "given": "0", "basis": "consent", "text_version": "v2"}
    headquarters.post(_address("m1") + "consents", values)
    assert (_noted()["channel"], _noted()["given"], _noted()["basis"]) == ("sms", False, "consent")
    assert AuditEntry.objects.get(action="customer.consent").changes["given"] is False


def test_a_merged_customer_leads_to_her_survivor(folk: Cast, headquarters: Client) -> None:
    survivor, absorbed = people.customer("m1"), people.customer("m3")
    Customer.objects.filter(pk=absorbed.pk).update(merged_into=survivor)
    answer = headquarters.get(f"/customers/{absorbed.public_id}/")
    assert answer["Location"] == f"/customers/{survivor.public_id}/"
    assert headquarters.get(f"/customers/{uuid4()}/").status_code == 404


def test_the_catalogue_of_tags(folk: Cast, headquarters: Client, manager: Client) -> None:
    headquarters.post("/customers/tags/groups/new", {"name": "Family", "exclusive": "on"})
    group = TagGroup.objects.get(name="Family")
    assert group.exclusive
    headquarters.post("/customers/tags/new", {"group": group.pk, "name": "Baby"})
    tag = Tag.objects.get(name="Baby")
    again = headquarters.post("/customers/tags/new", {"group": group.pk, "name": "Baby"}, follow=True)
    assert "already" in again.content.decode()
    headquarters.post(f"/customers/tags/{tag.pk}/rename", {"name": "Toddler"})
    headquarters.post(f"/customers/tags/{tag.pk}/archive")
    tag.refresh_from_db()
    assert (tag.name, tag.archived_at is not None) == ("Toddler", True)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"tag_group.created", "tag.created", "tag.renamed", "tag.archived"}
    assert manager.post(f"/customers/tags/{tag.pk}/archive").status_code == 403
    page = manager.get("/customers/tags/").content.decode()
    assert ("Likes coffee" in page, "Archive" in page) == (True, False)


def test_the_list_costs_the_same_few_queries_for_any_number_of_people(
    folk: Cast, headquarters: Client, django_assert_max_num_queries: object
) -> None:
    headquarters.get("/customers/")  # the look is noted once in five minutes, pictures are asked for once
    # The clock, the brand and the base of rhythms may be read again where the machine is slow.
    with django_assert_max_num_queries(24):  # type: ignore[operator]
        headquarters.get("/customers/")


def test_the_timeline_names_each_day_once_and_what_is_simulated(folk: Cast, headquarters: Client) -> None:
    lines = headquarters.get(_address("m1")).context["lines"]
    headings = [line.heading for line in lines if line.heading]
    assert len(headings) == len({clock.local_day(line.at) for line in lines})
    later = headquarters.get(f"{_address('m1')}timeline", {"day": clock.local_day(lines[0].at).isoformat()})
    assert later.context["lines"][0].heading == ""
    assert not any(line.simulated for line in lines)
