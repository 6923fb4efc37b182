"""A franchisee's customers, seen from headquarters, and the other way round: counts yes, identity no."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from hetang.console.audiences import people as sample
from hetang.customers.models import Customer, Relation
from hetang.platform import brand, clock
from hetang.platform.access import actor_for, foreign_among, own_customers, visible_customers
from hetang.platform.models import OrgNode
from hetang.platform.roles import ANALYST, STORE_MANAGER
from tests.console import cast as cast_of_all
from tests.console import people
from tests.console.cast import Cast, user
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
def franchise(db: None, folk: Cast) -> Cast:
    """Store B belongs to Acme Ltd. Mei is store A's, Bo store B's."""
    OrgNode.objects.filter(pk=folk.store_b.org_node_id).update(legal_entity="Acme Ltd")
    return folk


@pytest.fixture
def headquarters(franchise: Cast) -> Client:
    return client_of(franchise.headquarters)


@pytest.fixture
def franchisee(franchise: Cast) -> Client:
    return client_of(user("manager_b", STORE_MANAGER, franchise.store_b.org_node))


def tells(page: str, word: str, about: Customer) -> bool:
    """Whether the page has the word; her address and the tokens of forms, which are random, may contain its letters."""
    return re.search(rf"\b{word}\b", page.replace(str(about.public_id), "")) is not None


def test_headquarters_sees_the_franchisees_customers_without_identity(franchise: Cast, headquarters: Client) -> None:
    bo = people.customer("m2")
    page = headquarters.get("/customers/").content.decode()
    assert "王**" in page
    assert f">No. {bo.number}</a>" in page
    assert "Other company" in page
    assert "B***" not in page
    assert not tells(page, "m2", bo)
    portrait = headquarters.get(f"/customers/{bo.public_id}/").content.decode()
    assert "She is a customer of Acme Ltd." in portrait
    assert "9.90" in portrait
    for secret in ("B***", "Consent", "Timeline"):
        assert secret not in portrait
    assert not tells(portrait, "m2", bo)
    assert not tells(portrait, "bela", bo)


def test_she_is_not_found_by_an_identifier(franchise: Cast, headquarters: Client, franchisee: Client) -> None:
    assert "Nobody fits" in headquarters.get("/customers/?q=m2").content.decode()
    assert "Nobody fits" not in headquarters.get("/customers/?q=m1").content.decode()
    assert "Nobody fits" not in franchisee.get("/customers/?q=m2").content.decode()
    assert "Nobody fits" in franchisee.get("/customers/?q=m1").content.decode()


@pytest.mark.parametrize("part", ["timeline", "audiences"])
def test_her_history_is_not_read(franchise: Cast, headquarters: Client, part: str) -> None:
    assert headquarters.get(f"/customers/{people.customer('m2').public_id}/{part}").status_code == 404
    assert headquarters.get(f"/customers/{people.customer('m1').public_id}/timeline").status_code == 200


@pytest.mark.parametrize("part", ["tags", "consents", "do-not-disturb"])
def test_she_is_not_changed(franchise: Cast, headquarters: Client, part: str) -> None:
    assert headquarters.post(f"/customers/{people.customer('m2').public_id}/{part}").status_code == 404


def test_the_franchisee_sees_her_own_customers_as_anybody(franchise: Cast, franchisee: Client) -> None:
    page = franchisee.get("/customers/").content.decode()
    assert "B*** S***" in page
    assert "王**" not in page
    assert "Other company" not in page
    assert franchisee.get(f"/customers/{people.customer('m2').public_id}/timeline").status_code == 200
    assert franchisee.get(f"/customers/{people.customer('m1').public_id}/").status_code == 404


def test_a_friend_on_either_side_makes_her_both_companies_customer(franchise: Cast, headquarters: Client) -> None:
    bo = people.customer("m2")
    Relation.objects.create(
        customer=bo,
        staff=franchise.anna,
        external_userid="wm2",
        state=Relation.ACTIVE,
        since=clock.now(),
        occurred_at=clock.now(),
        fact_key="test\x1f2",
    )
    assert "B*** S***" in headquarters.get("/customers/").content.decode()
    Relation.objects.filter(external_userid="wm2").update(state=Relation.LOST_BY_CUSTOMER)
    assert "B*** S***" not in headquarters.get("/customers/").content.decode()


def test_the_one_access_function_says_who_is_whose(franchise: Cast) -> None:
    actor = actor_for(franchise.headquarters)
    mei, bo = people.customer("m1").pk, people.customer("m2").pk
    assert {mei, bo} <= set(visible_customers(actor, "customers:view").values_list("pk", flat=True))
    assert bo not in set(own_customers(actor, "customers:view").values_list("pk", flat=True))
    nobodys = Customer.objects.create(number=4_000_000_000, created_at=clock.now()).pk
    assert foreign_among(actor, "customers:view", [mei, bo, nobodys]) == {bo}


def test_without_a_second_company_no_query_asks_for_it(
    db: None, folk: Cast, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    actor = actor_for(folk.headquarters)
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert foreign_among(actor, "customers:view", [1, 2, 3]) == set()


def test_samples_of_audiences_follow_the_same_rule(franchise: Cast) -> None:
    numbers = [people.customer("m1").pk, people.customer("m2").pk]
    with translation.override("en"):
        shown = sample.rows(numbers, actor_for(franchise.headquarters))
    assert [one.name for one in shown] == ["王**", f"No. {numbers[1]}"]
    manager = sample.rows(numbers, actor_for(franchise.manager_a))
    assert [one.number for one in manager] == [numbers[0]]
    assert sample.rows(numbers, actor_for(user("analyst", ANALYST, franchise.root))) == []


def test_when_the_company_takes_the_place_back_everything_shows_at_once(franchise: Cast, headquarters: Client) -> None:
    place = f"/settings/organisation/{franchise.store_b.org_node_id}/"
    headquarters.post(place, {"name": "Store B", "legal_entity": ""})
    assert "B*** S***" in headquarters.get("/customers/").content.decode()
