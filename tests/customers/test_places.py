"""Positions of customers: one datum, sensitive, as any attribute."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from hetang.audiences import catalogues
from hetang.audiences.queries import nearest_store
from hetang.customers import queries
from hetang.customers.models import AttributeDefinition, Customer, CustomerAttribute
from hetang.facts import intake
from hetang.facts.models import Fact, HeldFact
from hetang.platform import clock, positions
from hetang.resources import services as resources
from hetang.resources.rules import StoreRow
from tests.customers.drive import apply, draft, fold_after, last_id

pytestmark = pytest.mark.django_db

ANNA = ("member", "900")
GIVEN = {"latitude": 31.230416, "longitude": 121.473701, "datum": "gcj02"}
KEPT = positions.written(31.230416, 121.473701, "gcj02")


def test_a_position_is_kept_in_one_datum_and_hidden() -> None:
    apply(draft("customer.described", "d1", [ANNA], attributes={"city": "上海"}, places={"place": GIVEN}))
    assert Fact.objects.get().body == {"attributes": {"city": "上海", "place": KEPT}}
    assert KEPT.startswith("geo:31.232") or KEPT.startswith("geo:31.23")
    definition = AttributeDefinition.objects.get()
    assert (definition.code, definition.type, definition.label_zh, definition.sensitive) == (
        "place",
        "place",
        "位置",
        True,
    )
    shown = {one.code: one for one in queries.portrait(Customer.objects.get().public_id, clock.now()).attributes}
    assert (shown["place"].hidden, "31." in str(shown["place"].value), shown["city"].value) == (True, False, "上海")
    apply(draft("customer.described", "d2", [ANNA], days=1, places={"place": None}))
    assert CustomerAttribute.objects.get(code="place").value is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"places": {"place": {**GIVEN, "latitude": 121.5, "longitude": 31.2}}}, "swapped_coordinates"),
        ({"places": {"place": {**GIVEN, "latitude": 331.2}}}, "bad_body"),
        ({"places": {"place": {"latitude": 31.2, "longitude": 121.5}}}, "bad_body"),
        ({"places": {"place": {**GIVEN, "datum": "cgcs2000"}}}, "bad_body"),
        ({"attributes": {"place": "geo:31.2,121.5"}}, "bad_body"),
    ],
)
def test_what_is_no_position_is_refused_without_repeating_it(body: dict[str, object], code: str) -> None:
    outcome = intake.record("crm", [draft("customer.described", "d1", [ANNA], **body)])
    assert [one.code for one in outcome.rejected] == [code]
    assert "121" not in str(outcome.rejected[0].detail)


def test_her_nearest_store_follows_the_stores() -> None:
    def stands(code: str, latitude: str, longitude: str, closed_on: date | None = None) -> None:
        degrees = Decimal(latitude), Decimal(longitude)
        resources.upsert_stores([StoreRow(code, code, None, None, None, None, *degrees, "gcj02", closed_on=closed_on)])
        catalogues.forget()

    apply(draft("customer.described", "d1", [ANNA], places={"place": GIVEN}))
    number = Customer.objects.get().number
    assert nearest_store(number) is None
    stands("A", "31.230416", "121.483701")
    stands("B", "31.330416", "121.473701")
    found = nearest_store(number)
    assert found and (found[0], 940 < found[1] < 965) == ("A", True)
    stands("B", "31.230516", "121.473701")
    assert (nearest_store(number) or ("",))[0] == "B"
    stands("B", "31.230516", "121.473701", date(2020, 1, 1))
    assert (nearest_store(number) or ("",))[0] == "A"


def test_another_text_under_a_position_is_held() -> None:
    apply(draft("customer.described", "d1", [ANNA], places={"place": GIVEN}))
    before = last_id()
    intake.record("crm", [draft("customer.described", "d2", [ANNA], days=1, attributes={"place": "near the park"})])
    fold_after(before)
    assert HeldFact.objects.get().reason == "attribute_type"
    assert CustomerAttribute.objects.get().value == KEPT
