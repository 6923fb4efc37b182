"""Who lies inside a part of the organisation, however PostgreSQL is asked."""

from __future__ import annotations

from random import Random

import pytest

from hetang.customers import access
from hetang.customers.access import visible
from hetang.customers.models import Customer, Relation
from hetang.platform import clock
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.platform.organisation import add_node, root
from hetang.resources.models import Staff, Store

pytestmark = pytest.mark.django_db
STATES = (Relation.ACTIVE, Relation.HALF, Relation.LOST_BY_CUSTOMER, Relation.LOST_BY_STAFF)


@pytest.fixture
def stores() -> list[Store]:
    """Six stores in two regions, each with two of the staff; a person of everything that can happen to one."""
    draw, now = Random(20260101), clock.now()
    regions = [add_node(root(), OrgNode.REGION, name, name) for name in ("east", "west")]
    made = [
        Store.objects.create(code=code, name=code, org_node=add_node(regions[place % 2], OrgNode.STORE, code, code))
        for place, code in enumerate("abcdef")
    ]
    staff = [
        Staff.objects.create(userid=f"{one.code}{n}", name="", store=one, org_node=one.org_node)
        for one in made
        for n in range(2)
    ]
    people = [
        Customer(
            number=number,
            created_at=now,
            home_store=draw.choice([None, *made]),
            merged_into_id=1 if number % 11 == 0 else None,
            erased_at=now if number % 13 == 0 else None,
        )
        for number in range(1, 121)
    ]
    Customer.objects.bulk_create(people)
    Relation.objects.bulk_create(
        Relation(
            customer_id=draw.randint(1, 120), staff=draw.choice(staff), external_userid=f"wm{n}",
            state=draw.choice(STATES), since=now, occurred_at=now, fact_key="",
        )
        for n in range(150)
    )  # fmt: skip
    return made


def inside(scope: Scope) -> set[int]:
    """The definition, person by person."""
    friends = {
        (row.customer_id, row.staff.org_node.path)
        for row in Relation.objects.filter(state=Relation.ACTIVE).select_related("staff__org_node")
    }
    found = set()
    for one in Customer.objects.filter(merged_into=None, erased_at=None).select_related("home_store__org_node"):
        places = {path for number, path in friends if number == one.number}
        places |= {one.home_store.org_node.path} if one.home_store else set()
        if any(scope.covers(path) for path in places):
            found.add(one.number)
    return found


@pytest.mark.parametrize("few", [0, 2, 1_000])
def test_collected_or_asked_the_same_people_are_visible(
    stores: list[Store], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "FEW_PLACES", few)
    east = OrgNode.objects.get(code="east").path
    paths = [one.org_node.path for one in stores]
    scopes = [(path,) for path in paths] + [(paths[0], paths[1]), (east,), (east, paths[1]), tuple(paths), ("9999.",)]
    sizes = []
    for scope in map(Scope, scopes):
        expected = inside(scope)
        sizes.append(len(expected))
        numbers = list(visible(scope).order_by("number").values_list("pk", flat=True))
        assert numbers == sorted(expected)  # and nobody twice
        assert set(visible(scope).filter(pk__in=range(1, 60)).values_list("pk", flat=True)) == {
            number for number in expected if number < 60
        }
    assert min(sizes[:-1]) > 5
    assert sizes[-1] == 0


def test_a_narrow_scope_costs_one_query_more(stores: list[Store], django_assert_num_queries: pytest.Fixture) -> None:
    with django_assert_num_queries(2):  # type: ignore[operator]
        list(visible(Scope((stores[0].org_node.path,))))
    with django_assert_num_queries(1):  # type: ignore[operator]
        list(visible(Scope((), everything=True)))
