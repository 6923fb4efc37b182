"""Shared contacts and decisions, case by case; that any order ends the same is in `test_people`."""

from __future__ import annotations

import pytest

from hetang.commerce.models import CustomerMetric, Order
from hetang.customers.models import (
    Customer,
    CustomerAttribute,
    Decision,
    EvidencePolicy,
    Identity,
    IdentityLink,
    Merge,
    Relation,
    Unmerge,
)
from hetang.facts.models import Fact
from hetang.resources import services as resources
from hetang.resources.rules import StaffRow, StoreRow
from tests.customers.drive import apply, draft, number_of, order, partition

pytestmark = pytest.mark.django_db

ANNA, BEA, CIL, DORA = (("member", name) for name in ("900", "901", "902", "903"))
PHONE = ("phone", "13812345678")
TILL = ("phone", "13800000000")
UNION = ("unionid", "oA1")


def shared() -> list[tuple[str, bool]]:
    return sorted(Identity.objects.values_list("kind", "shared"))


def test_a_phone_joins_as_many_members_as_the_brand_allows() -> None:
    EvidencePolicy.objects.create(contact_limit=2)
    for key, who in zip("abc", (ANNA, BEA, CIL), strict=True):
        apply(order(key, [who, PHONE], 100))
    assert {len(person) for person in partition()} == {1}
    assert number_of(*PHONE) not in {number_of(*who) for who in (ANNA, BEA, CIL)}
    row = Identity.objects.get(kind="phone")
    assert (row.shared, row.shared_at is not None) == (True, True)


def test_people_whom_a_phone_had_joined_are_restored_when_it_proves_to_be_shared() -> None:
    EvidencePolicy.objects.create(contact_limit=2)
    apply(order("a", [ANNA], 100), draft("customer.described", "d1", [ANNA], 1, attributes={"town": "Wuxi"}))
    apply(order("b", [BEA], 20), draft("customer.described", "d2", [BEA], 2, attributes={"town": "Suzhou"}))
    before = [number_of(*ANNA), number_of(*BEA)]
    apply(draft("customer.identified", "i1", [ANNA, PHONE]), draft("customer.identified", "i2", [BEA, PHONE]))
    assert number_of(*ANNA) == number_of(*BEA) == min(before)
    assert CustomerAttribute.objects.get(customer=min(before)).value == "Suzhou"
    apply(order("c", [CIL, PHONE], 3), draft("visit.recorded", "v", [ANNA]))
    assert [number_of(*ANNA), number_of(*BEA)] == before
    assert sorted(CustomerAttribute.objects.values_list("customer", "value")) == sorted(
        zip(before, ["Wuxi", "Suzhou"], strict=True)
    )
    assert {
        metric.customer_id: (metric.orders, metric.gmv, metric.visits) for metric in CustomerMetric.objects.all()
    } == {
        before[0]: (1, 100, 1),
        before[1]: (1, 20, 0),
        number_of(*CIL): (1, 3, 0),
    }
    assert dict(Order.objects.values_list("key", "customer_id")) == {
        "a": before[0],
        "b": before[1],
        "c": number_of(*CIL),
    }
    assert not Merge.objects.filter(undone_at=None).exists()
    division = Unmerge.objects.get()
    assert (division.survivor, max(before) in division.restored) == (min(before), True)
    assert Fact.objects.filter(kind="customer.unmerged").count() == 1


def test_one_person_with_a_number_of_each_kind_is_not_shared() -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    kinds = ("member", "card", "unionid", "external_userid", "email")
    for index, kind in enumerate(kinds):
        apply(draft("customer.identified", f"i{index}", [(kind, "x@y.cn"), PHONE]))
    assert {len(person) for person in partition()} == {6}


def test_an_app_gives_a_person_an_account_of_its_own() -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    for index in range(3):
        apply(draft("customer.identified", f"i{index}", [("openid", str(index)), PHONE]))
    assert len(partition()) == 1
    apply(draft("customer.identified", "i4", [("openid", "4"), PHONE]))
    assert len(partition()) == 5


def test_a_number_that_people_type_to_get_past_a_field_joins_nobody() -> None:
    apply(order("a", [TILL, ANNA], 100))
    assert number_of(*TILL) != number_of(*ANNA)
    assert Order.objects.get().customer_id == number_of(*ANNA)  # not the till's
    assert shared() == [("member", False), ("phone", True)]


def test_what_only_names_a_shared_phone_is_that_phones() -> None:
    apply(order("a", [TILL, ANNA], 100), order("b", [TILL], 5))
    assert dict(Order.objects.values_list("key", "customer_id")) == {"a": number_of(*ANNA), "b": number_of(*TILL)}


def test_a_members_dummy_number_joins_nobody_either() -> None:
    for index in range(21):
        apply(draft("customer.identified", f"i{index}", [("member", "0"), ("phone", f"139123400{index:02}")]))
    assert len(partition()) == 22


def test_what_somebody_said_of_a_phone_holds_against_the_rule_until_she_takes_it_back() -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    apply(draft("customer.identified", "i1", [ANNA, PHONE]), draft("customer.identified", "i2", [BEA, PHONE]))
    assert len(partition()) == 3
    apply(draft("identity.judged", "j1", [PHONE], 1, verdict="own", by="lin", reason="one household, one card"))
    assert len(partition()) == 1
    apply(draft("identity.judged", "j2", [PHONE], 2, verdict="rule", by="lin"))
    assert len(partition()) == 3
    apply(draft("identity.judged", "j0", [PHONE], 0, verdict="own", by="lin"))  # an older word
    assert len(partition()) == 3


def test_people_kept_apart_stay_so_whatever_joins_them_later() -> None:
    apply(draft("customer.identified", "i1", [ANNA, PHONE]), order("b", [BEA], 20))
    apply(draft("customer.kept_apart", "k1", [ANNA, PHONE, BEA], 1, left=2, by="lin", reason="mother and daughter"))
    apply(
        draft("customer.identified", "i2", [BEA, PHONE], 2),  # the very same evidence
        draft("customer.identified", "i3", [BEA, UNION], 3),
        draft("customer.identified", "i4", [ANNA, UNION], 4),  # a detour: the older evidence counts
    )
    assert number_of(*ANNA) == number_of(*PHONE) != number_of(*BEA) == number_of(*UNION)
    decision = Decision.objects.get()
    assert (decision.verdict, decision.made_by, decision.reason) == ("apart", "lin", "mother and daughter")
    apply(draft("customer.decision_lifted", "l1", [ANNA], 5, decision="pos\x1fk1", by="wu"))
    assert len(partition()) == 1
    decision.refresh_from_db()
    assert decision.lifted_by == "wu"


def test_what_is_forbidden_does_not_make_a_phone_a_shared_one() -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    apply(draft("customer.kept_apart", "k1", [ANNA, PHONE], 0, left=1, by="lin"))
    apply(draft("customer.identified", "i1", [ANNA, PHONE], 1), draft("customer.identified", "i2", [BEA, PHONE], 2))
    assert IdentityLink.objects.filter(void=True).count() == 1
    assert number_of(*PHONE) == number_of(*BEA) != number_of(*ANNA)


def test_people_joined_by_hand_are_one_until_that_is_lifted() -> None:
    apply(order("a", [ANNA], 100), order("b", [BEA], 20))
    before = [number_of(*ANNA), number_of(*BEA)]
    apply(draft("customer.joined", "j1", [BEA, ANNA], 1, by="lin", reason="called in"))
    assert number_of(*ANNA) == number_of(*BEA) == min(before)
    metric = CustomerMetric.objects.get()
    assert (metric.customer_id, metric.orders, metric.gmv) == (min(before), 2, 120)
    assert Customer.objects.get(number=max(before)).merged_into_id == min(before)
    apply(draft("customer.decision_lifted", "l1", [ANNA], 2, decision="pos\x1fj1", by="lin"))
    assert [number_of(*ANNA), number_of(*BEA)] == before
    assert dict(CustomerMetric.objects.values_list("customer", "gmv")) == {number_of(*ANNA): 100, number_of(*BEA): 20}


def test_a_shared_phone_alone_can_be_given_to_one_person_by_hand() -> None:
    apply(order("a", [TILL, ANNA], 100), order("b", [TILL], 5))
    apply(draft("customer.joined", "j1", [TILL, ANNA], 1, by="lin"))
    assert number_of(*TILL) == number_of(*ANNA)
    apply(order("c", [TILL, BEA], 1))
    assert number_of(*BEA) != number_of(*ANNA)


def test_a_friendship_is_that_of_the_account_it_names() -> None:
    resources.upsert_stores([StoreRow("330", "North Gate")])
    resources.upsert_staff([StaffRow("li", "Li", "330")])
    account = ("external_userid", "wm1")
    apply(draft("relation.changed", "r1", [ANNA, account], 0, staff="li", state="active"))
    apply(draft("customer.kept_apart", "k1", [ANNA, account], 1, left=1, by="lin"))
    assert Relation.objects.get().customer_id == number_of(*account) != number_of(*ANNA)
    apply(draft("relation.changed", "r2", [ANNA, account], 2, staff="li", state="lost_by_customer"))
    row = Relation.objects.get()
    assert (row.customer_id, row.state) == (number_of(*account), "lost_by_customer")


def test_numbers_are_never_used_again() -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    apply(draft("customer.identified", "i1", [ANNA, PHONE]))
    apply(draft("customer.identified", "i2", [BEA, PHONE]))  # the phone leaves Anna and becomes a customer of its own
    assert sorted(Customer.objects.values_list("number", flat=True)) == [1, 2, 3]
    assert number_of(*ANNA) == 1
    apply(draft("identity.judged", "j1", [PHONE], 1, verdict="own", by="lin"))
    assert dict(Customer.objects.values_list("number", "merged_into")) == {1: None, 2: 1, 3: 1}
    apply(draft("identity.judged", "j2", [PHONE], 2, verdict="shared", by="lin"))
    assert dict(Customer.objects.values_list("number", "merged_into")) == {1: None, 2: None, 3: None}
    assert number_of(*ANNA) == 1
