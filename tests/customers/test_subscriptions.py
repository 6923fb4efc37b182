from __future__ import annotations

import re
from typing import Any

import pytest

from hetang.customers.models import (
    AttributeDefinition,
    Consent,
    Customer,
    CustomerAttribute,
    CustomerTag,
    DoNotDisturb,
    Identity,
    Merge,
    NumberCounter,
    Relation,
    Tag,
    TagGroup,
)
from hetang.facts import intake
from hetang.facts.models import Fact, HeldFact
from hetang.facts.services import replay
from hetang.platform.sealing import unseal
from hetang.resources import services as resources
from hetang.resources.rules import StaffRow, StoreRow
from tests.customers.drive import apply, at, customer_of, draft, fold_after, last_id, number_of, order, partition

pytestmark = pytest.mark.django_db

ANNA = ("member", "900")
PHONE = ("phone", "13812345678")
UNION = ("unionid", "oA1")
EXTERNAL = ("external_userid", "wm1")


@pytest.fixture(autouse=True)
def _resources() -> None:
    resources.upsert_stores([StoreRow("330", "North Gate"), StoreRow("331", "South Gate")])
    resources.upsert_staff([StaffRow("li", "Li", "330"), StaffRow("wu", "Wu", "331")])
    group = TagGroup.objects.create(name="taste")
    level = TagGroup.objects.create(name="level", exclusive=True)
    Tag.objects.create(code="coffee", name="coffee", group=group)
    for code in ("gold", "silver"):
        Tag.objects.create(code=code, name=code, group=level)


def test_a_direct_identifier_is_a_hash_beside_its_sealed_value() -> None:
    apply(draft("visit.recorded", "v1", [PHONE], channel="h5"))
    identity = Identity.objects.get()
    assert identity.kind == "phone"
    assert PHONE[1] not in identity.key and re.fullmatch("[0-9a-f]{32}", identity.key)
    assert identity.sealed is not None
    assert unseal(identity.sealed) == b"13812345678"
    assert identity.first_seen_at == at(0)


def test_identities_of_one_new_fact_take_one_number() -> None:
    apply(draft("customer.described", "d1", [ANNA, PHONE, UNION]), draft("visit.recorded", "v1", [("card", "c")]))
    assert Customer.objects.count() == 2
    assert NumberCounter.objects.get().next_number == 3
    assert not Merge.objects.exists()


def test_numbers_do_not_burn() -> None:
    for _ in range(30):
        apply(draft("visit.recorded", f"v{last_id()}", [ANNA]))
    apply(draft("visit.recorded", "other", [("member", "901")]))
    assert sorted(Customer.objects.values_list("number", flat=True)) == [1, 2]


def test_evidence_merges_and_the_lowest_number_stays() -> None:
    apply(draft("visit.recorded", "v1", [ANNA]), draft("visit.recorded", "v2", [PHONE], 1))
    first, second = number_of(*ANNA), number_of(*PHONE)
    low, high = sorted((first, second))
    apply(draft("customer.identified", "i1", [PHONE, ANNA], 2))
    assert number_of(*ANNA) == number_of(*PHONE) == low
    absorbed = Customer.objects.get(number=high)
    assert absorbed.merged_into_id == low
    merge = Merge.objects.get()
    assert (merge.survivor, merge.absorbed, merge.evidence_source, merge.evidence_key) == (low, high, "pos", "i1")
    fact = Fact.objects.get(kind="customer.merged")
    assert (fact.body["survivor"], fact.body["absorbed"]) == (low, high)
    assert sorted(Identity.objects.values_list("evidence_number", flat=True)) == [1, 2]


def test_aliases_always_name_the_final_survivor() -> None:
    for number, who in enumerate([ANNA, PHONE, UNION], start=1):
        apply(draft("visit.recorded", f"v{number}", [who]))
    apply(draft("customer.identified", "i1", [PHONE, UNION]))
    apply(draft("customer.identified", "i2", [ANNA, PHONE]))
    assert dict(Customer.objects.values_list("number", "merged_into_id")) == {1: None, 2: 1, 3: 1}


def test_a_merge_keeps_the_newer_word_of_both() -> None:
    apply(
        draft("customer.described", "d1", [ANNA], 1, attributes={"size": 2, "town": "Wuxi"}, home_store="330"),
        draft("customer.described", "d2", [PHONE], 2, attributes={"size": 3}, home_store="331", owner="wu"),
        draft("tag.changed", "t1", [PHONE], 1, tag="coffee", on=True),
        draft("consent.changed", "c1", [ANNA], 3, purpose="marketing", channel="wecom", given=True, basis="consent"),
        draft("consent.changed", "c2", [PHONE], 4, purpose="marketing", channel="wecom", given=False),
        draft("do_not_disturb.changed", "n1", [PHONE], 4, on=True),
        draft("relation.changed", "r1", [PHONE, EXTERNAL], 4, staff="li", state="active"),
    )
    apply(draft("customer.identified", "i1", [PHONE, ANNA], 5))
    number = number_of(*ANNA)
    attributes = dict(CustomerAttribute.objects.filter(customer=number).values_list("code", "value"))
    assert attributes == {"size": 3, "town": "Wuxi"}
    assert not CustomerAttribute.objects.exclude(customer=number).exists()
    customer = customer_of(*ANNA)
    assert customer.home_store is not None and customer.home_store.code == "331"
    assert customer.owner is not None and customer.owner.userid == "wu"
    consent = Consent.objects.get()
    assert (consent.customer_id, consent.given, consent.basis) == (number, False, "unknown")
    assert DoNotDisturb.objects.get().customer_id == number
    assert CustomerTag.objects.get(on=True).customer_id == number
    assert Relation.objects.get().customer_id == number
    alias = Customer.objects.get(merged_into__isnull=False)
    assert (alias.home_store_id, alias.owner_id, alias.home_store_at) == (None, None, None)


def test_the_newest_word_counts_whatever_came_last() -> None:
    apply(draft("customer.described", "d2", [ANNA], 2, attributes={"size": 3}, home_store="331"))
    apply(draft("customer.described", "d1", [ANNA], 1, attributes={"size": 2, "town": "Wuxi"}, home_store="330"))
    assert dict(CustomerAttribute.objects.values_list("code", "value")) == {"size": 3, "town": "Wuxi"}
    store = customer_of(*ANNA).home_store
    assert store is not None and store.code == "331"


def test_a_null_attribute_is_the_newest_word_too() -> None:
    apply(draft("customer.described", "d1", [ANNA], 1, attributes={"size": 2}))
    apply(draft("customer.described", "d2", [ANNA], 2, attributes={"size": None}))
    assert CustomerAttribute.objects.get().value is None


def test_the_name_is_sealed_for_the_customer() -> None:
    from hetang.facts.intake import Draft

    apply(Draft("customer.described", "d1", at(1), [ANNA], {}, name="王小明"))
    apply(Draft("customer.described", "d0", at(0), [ANNA], {}, name="older"))
    name = customer_of(*ANNA).name
    assert name is not None and unseal(name).decode() == "王小明"


def test_an_exclusive_group_holds_one_tag() -> None:
    apply(draft("tag.changed", "t2", [ANNA], 2, tag="silver", on=True))
    apply(draft("tag.changed", "t1", [ANNA], 1, tag="gold", on=True))
    assert list(CustomerTag.objects.filter(on=True).values_list("tag__code", flat=True)) == ["silver"]
    apply(draft("tag.changed", "t3", [ANNA], 3, tag="gold", on=True))
    assert list(CustomerTag.objects.filter(on=True).values_list("tag__code", flat=True)) == ["gold"]


def test_a_friendship_of_each_account() -> None:
    apply(
        draft("relation.changed", "r1", [EXTERNAL], 1, staff="li", state="active", add_way=1),
        draft("relation.changed", "r2", [EXTERNAL], 2, staff="li", state="lost_by_customer"),
        draft("relation.changed", "r3", [("external_userid", "wm2"), PHONE], 1, staff="li", state="active"),
    )
    states = set(Relation.objects.values_list("external_userid", "state"))
    assert states == {("wm1", "lost_by_customer"), ("wm2", "active")}


def test_a_friendship_keeps_how_it_first_began() -> None:
    def begun() -> tuple[Any, ...]:
        fields = ("begun_at", "begun_way", "begun_state", "channel_state")
        found: tuple[Any, ...] = Relation.objects.values_list(*fields).get()
        return found

    apply(draft("relation.changed", "r2", [EXTERNAL], 2, staff="li", state="lost_by_customer"))
    assert begun() == (None, 0, "", "")
    apply(draft("relation.changed", "r3", [EXTERNAL], 3, staff="li", state="active", add_way=2, channel_state="web"))
    apply(draft("relation.changed", "r1", [EXTERNAL], 1, staff="li", state="active", channel_state="till"))
    assert begun() == (at(1), 0, "till", "web")
    known = {"staff": "li", "state": "active", "since": at(1).isoformat(), "add_way": 1}  # a listing, later
    apply(draft("relation.changed", "r4", [EXTERNAL], 4, **known))
    apply(draft("relation.changed", "r5", [EXTERNAL], 5, staff="li", state="lost_by_staff"))
    assert begun() == (at(1), 1, "till", "")


def test_what_is_unknown_is_held_and_replayed_and_the_rest_applies() -> None:
    apply(draft("customer.described", "d1", [ANNA], 1, attributes={"size": 2}, home_store="999", owner="li"))
    assert CustomerAttribute.objects.get().value == 2
    customer = customer_of(*ANNA)
    assert (customer.home_store_id, customer.owner is not None) == (None, True)
    held = HeldFact.objects.get()
    assert (held.stage, held.reason, held.detail["code"], held.key) == ("customers", "unknown_store", "999", "d1")
    assert replay(held.pk).rejected != []
    resources.upsert_stores([StoreRow("999")])
    assert replay(held.pk).accepted == 1
    assert not HeldFact.objects.filter(state="open").exists()
    store = customer_of(*ANNA).home_store
    assert store is not None and store.code == "999"


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("customer.described", {"owner": "nobody"}, "unknown_staff"),
        ("relation.changed", {"staff": "nobody", "state": "active"}, "unknown_staff"),
        ("relation.changed", {"staff": "li", "state": "active"}, "no_external_userid"),
        ("tag.changed", {"tag": "nothing", "on": True}, "unknown_tag"),
        ("customer.described", {"attributes": {"size": "two"}}, "attribute_type"),
    ],
)
def test_reasons_for_holding(kind: str, body: dict[str, object], reason: str) -> None:
    AttributeDefinition.objects.create(code="size", type="number", label_zh="人数", label_en="Size")
    apply(draft(kind, "x1", [ANNA], 0, **body))
    assert list(HeldFact.objects.values_list("reason", flat=True)) == [reason]
    assert not CustomerAttribute.objects.exists()


def test_the_same_window_twice_changes_nothing() -> None:
    before = last_id()
    apply(
        draft("customer.described", "d1", [ANNA, PHONE], 1, attributes={"size": 2}),
        draft("tag.changed", "t1", [UNION], 1, tag="coffee", on=True),
        order("o1", [ANNA], 500, 2),
    )
    people = partition()
    fold_after(before)
    assert partition() == people
    assert Customer.objects.count() == 2


def test_the_longest_values_that_the_door_takes_can_be_folded() -> None:
    """What passes validation must not stop the stream."""
    long_id = "w" * 120
    apply(
        draft(
            *("consent.changed", "k" * 200, [("member", "m" * 120)], 0),
            **{"purpose": "marketing", "channel": "c" * 40, "given": True, "text_version": "t" * 60},
        ),
        draft(
            *("relation.changed", "r", [("external_userid", long_id)], 0),
            **{"staff": "li", "state": "active", "channel_state": "s" * 64, "add_way": 2**31 - 1},
        ),
        draft("customer.described", "d", [ANNA], 0, attributes={"a" * 60: "v" * 500, "b": 1.5, "c": True}),
        draft(
            *("order.placed", "o", [ANNA], 0),
            **{
                "lines": [{"sku": "s" * 64, "category": "k" * 120, "amount": 10**15, "quantity": "-99999999999.999"}],
                "net": 10**15,
                "discount": -(10**15),
                "store": "330",
                "channel": "c" * 40,
                "staff": "li",
            },
        ),
        draft("order.refunded", "f", [], 0, order="o" * 200, amount=10**15, channel="c" * 40),
        source="s" * 60,
    )
    assert not HeldFact.objects.exists()
    assert Relation.objects.get().external_userid == long_id


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("relation.changed", {"staff": "li", "state": "active", "add_way": 2**31}),
        ("customer.described", {"attributes": {"town": "Wu\x00xi"}}),
    ],
)
def test_what_the_database_cannot_hold_is_refused_at_the_door(kind: str, body: dict[str, object]) -> None:
    outcome = intake.record("pos", [draft(kind, "x", [EXTERNAL], 0, **body), draft("visit.recorded", "v", [ANNA])])
    assert (outcome.accepted, [one.code for one in outcome.rejected]) == (1, ["bad_body"])
