from __future__ import annotations

import pytest
from django.utils import translation

from hetang.customers import queries, services
from hetang.customers.access import visible
from hetang.customers.errors import DuplicateName
from hetang.customers.models import Customer, Tag, TagGroup
from hetang.facts.errors import Refusal
from hetang.facts.intake import Draft
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.resources import services as resources
from hetang.resources.rules import StaffRow, StoreRow
from tests.customers.drive import apply, at, customer_of, draft, fold_after, last_id, number_of, order

pytestmark = pytest.mark.django_db

ANNA = ("member", "900")
PHONE = ("phone", "13812345678")


@pytest.fixture(autouse=True)
def _resources() -> None:
    resources.upsert_stores([StoreRow("330", "North Gate", "East"), StoreRow("331", "South Gate", "West")])
    resources.upsert_staff([StaffRow("li", "Li", "330"), StaffRow("wu", "Wu", "331")])
    services.create_tag(services.create_group("taste"), "Coffee", "coffee")


def test_a_portrait_masks_what_names_a_person() -> None:
    apply(
        Draft("customer.described", "d1", at(1), [ANNA, PHONE], {"home_store": "330", "owner": "li"}, name="王小明"),
        draft("customer.described", "d2", [ANNA], 2, attributes={"size": 2}),
        draft("tag.changed", "t1", [ANNA], 1, tag="coffee", on=True),
        draft("consent.changed", "c1", [ANNA], 3, purpose="marketing", channel="wecom", given=True, basis="consent"),
        draft("do_not_disturb.changed", "n1", [ANNA], 4, on=True),
        draft("relation.changed", "r1", [ANNA, ("external_userid", "wm1")], 4, staff="li", state="active"),
        draft("visit.recorded", "v1", [("unionid", "u")], 1),
        draft("customer.identified", "i1", [("unionid", "u"), ANNA], 6),
    )
    seen = queries.portrait(customer_of(*ANNA).public_id, at(10))
    assert (seen.name, seen.home_store, seen.owner) == ("王**", "North Gate", "Li")
    shown = {(one.kind, one.shown) for one in seen.identities}
    assert shown == {
        ("member", "900"), ("phone", "138****5678"), ("external_userid", "wm1"), ("unionid", "u"),
    }  # fmt: skip
    assert [(one.code, one.value, one.source) for one in seen.attributes] == [("size", 2, "pos")]
    assert [one.tag.name for one in seen.tags] == ["Coffee"]
    assert [(one.name, one.on, one.source) for one in seen.tag_history] == [("Coffee", True, "pos")]
    assert [(one.channel, one.basis) for one in seen.consents] == [("wecom", "consent")]
    assert seen.do_not_disturb is not None and seen.do_not_disturb.on
    assert [one.staff.userid for one in seen.relations] == ["li"]


def test_the_public_id_of_an_absorbed_customer_shows_the_survivor() -> None:
    apply(draft("visit.recorded", "v1", [ANNA]))
    apply(draft("visit.recorded", "v2", [PHONE]))
    absorbed = customer_of(*PHONE).public_id
    apply(draft("customer.identified", "i1", [ANNA, PHONE], 6))
    seen = queries.portrait(absorbed, at(10))
    assert seen.number == number_of(*ANNA)
    assert [(one.survivor, one.absorbed) for one in seen.merges] == [(1, 2)]


def test_the_timeline_goes_back_page_by_page_in_both_languages() -> None:
    apply(
        order("o1", [ANNA], 12345, 1, store="330"),
        draft("visit.recorded", "v1", [PHONE], 2, store="331"),
        draft("tag.changed", "t1", [ANNA], 3, tag="coffee", on=True),
        draft("customer.identified", "i1", [ANNA, PHONE], 4),
    )
    with translation.override("en"):
        first = queries.timeline(number_of(*ANNA), limit=3)
        rest = queries.timeline(number_of(*ANNA), before=first.before, limit=3)
        orders = queries.timeline(number_of(*ANNA), kinds={"order.placed"})
    assert [entry.text for entry in first.entries] == [
        *("Identities recognised as one person", "Tag Coffee: put on", "Visited South Gate (store)"),
    ]
    assert [entry.text for entry in rest.entries] == ["Order of 123.45 CNY at North Gate, 1 item"]
    assert rest.before is None
    assert [entry.key for entry in orders.entries] == ["o1"]
    with translation.override("zh-hans"):
        texts = [entry.text for entry in queries.timeline(number_of(*ANNA), limit=3).entries]
    assert texts == ["确认为同一人", "标签 Coffee：已打上", "到访South Gate（门店）"]


def test_a_search_needs_the_exact_identifier() -> None:
    apply(draft("visit.recorded", "v1", [ANNA, PHONE]), draft("visit.recorded", "v2", [("email", "Anna@Example.org")]))
    everybody = visible(Scope((), everything=True))
    assert queries.find("138-1234-5678", everybody).get().pk == number_of(*ANNA)
    assert queries.find(" 900 ", everybody).get().pk == number_of(*ANNA)
    assert queries.find("anna@example.org", everybody).get().pk == number_of("email", "anna@example.org")
    assert queries.find(str(customer_of(*ANNA).public_id), everybody).get().pk == number_of(*ANNA)
    assert not queries.find("1381234567", everybody).exists()


def test_a_customer_is_visible_where_her_home_store_or_a_friend_is() -> None:
    apply(
        draft("customer.described", "d1", [ANNA], 1, home_store="330"),
        draft("relation.changed", "r1", [("external_userid", "wm1"), PHONE], 1, staff="wu", state="active"),
        draft("relation.changed", "r2", [("external_userid", "wm2")], 1, staff="wu", state="lost_by_customer"),
        draft("visit.recorded", "v1", [("card", "c")]),
    )
    east, west = (OrgNode.objects.get(code=f"region:{name}").path for name in ("East", "West"))
    anna, bea = number_of(*ANNA), number_of(*PHONE)
    for paths, expected in (((east,), {anna}), ((west,), {bea}), ((east, west), {anna, bea}), ((), set())):
        assert set(visible(Scope(paths)).values_list("pk", flat=True)) == expected
    assert visible(Scope((), everything=True)).count() == 4


def test_lists_by_store_owner_and_tag() -> None:
    apply(
        draft("customer.described", "d1", [ANNA], 1, home_store="330", owner="li"),
        draft("tag.changed", "t1", [PHONE], 1, tag="coffee", on=True, expires_at=at(5).isoformat()),
    )
    everybody = visible(Scope((), everything=True))
    assert [one.pk for one in queries.listed(everybody, store="330")] == [number_of(*ANNA)]
    assert [one.pk for one in queries.listed(everybody, owner="li")] == [number_of(*ANNA)]
    assert [one.pk for one in queries.listed(everybody, tag="coffee", now=at(4))] == [number_of(*PHONE)]
    assert not queries.listed(everybody, tag="coffee", now=at(5)).exists()


def test_verbs_of_the_console_are_facts() -> None:
    apply(draft("visit.recorded", "v1", [PHONE]))
    number = number_of(*PHONE)
    before = last_id()
    services.change_tag(number, "coffee", True)
    services.set_do_not_disturb(number, True, at(30))
    services.change_consent(number, "marketing", "wecom", given=True, text_version="2026-01")
    fold_after(before)
    seen = queries.portrait(customer_of(*PHONE).public_id, at(10))
    assert [one.source for one in seen.tags] == ["console"]
    assert seen.do_not_disturb is not None and seen.do_not_disturb.until == at(30)
    assert [(one.given, one.text_version, one.source) for one in seen.consents] == [(True, "2026-01", "console")]
    assert Customer.objects.count() == 1


def test_verbs_refuse_what_does_not_exist() -> None:
    apply(draft("visit.recorded", "v1", [PHONE]))
    with pytest.raises(Tag.DoesNotExist):
        services.change_tag(number_of(*PHONE), "nothing", True)
    with pytest.raises(Refusal):
        services.change_consent(number_of(*PHONE), "fun", "wecom", given=True)
    with pytest.raises(DuplicateName):
        services.create_group("taste")
    with pytest.raises(DuplicateName):
        services.create_tag(TagGroup.objects.get(name="taste"), "Coffee")
