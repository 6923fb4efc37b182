from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from hetang.platform.models import OrgNode
from hetang.resources import queries, services
from hetang.resources.errors import UnknownStores
from hetang.resources.models import Product, Staff, Store
from hetang.resources.rules import CategoryRow, ProductRow, StaffRow, StoreRow
from hetang.resources.services import Upserted

pytestmark = pytest.mark.django_db


def test_stores_get_regions_and_nodes() -> None:
    rows = [
        StoreRow("330", "North Gate", "East", latitude=Decimal("31.5"), longitude=Decimal("121.25")),
        StoreRow("331", region="East", opened_on=date(2017, 1, 2)),
        StoreRow("400", "Lone"),
    ]
    assert services.upsert_stores(rows) == Upserted(3, 0)
    east = OrgNode.objects.get(code="region:East")
    store = Store.objects.get(code="330")
    assert store.org_node.path == f"{east.path}{store.org_node_id}."
    assert store.latitude == Decimal("31.5")
    assert Store.objects.get(code="331").name == "331"
    lone = Store.objects.get(code="400").org_node
    assert lone.parent is not None and lone.parent.kind == OrgNode.BRAND


def test_upserting_again_changes_nothing_and_keeps_what_is_not_said() -> None:
    services.upsert_stores([StoreRow("330", "North Gate", "East", city="Shanghai")])
    assert services.upsert_stores([StoreRow("330", "North Gate", "East", city="Shanghai")]) == Upserted(0, 0)
    assert services.upsert_stores([StoreRow("330", address="1 Road")]) == Upserted(0, 1)
    store = Store.objects.get(code="330")
    assert (store.name, store.city, store.address) == ("North Gate", "Shanghai", "1 Road")


def test_a_store_that_changes_its_region_moves() -> None:
    services.upsert_stores([StoreRow("330", "North Gate", "East")])
    services.upsert_stores([StoreRow("330", "North Gate", "West")])
    node = Store.objects.get(code="330").org_node
    west = OrgNode.objects.get(code="region:West")
    assert (node.parent_id, node.path) == (west.pk, f"{west.path}{node.pk}.")


def test_staff_stand_at_their_store() -> None:
    services.upsert_stores([StoreRow("330", "North Gate")])
    rows = [StaffRow("anna", "Anna", "330", simulated=True), StaffRow("boss", "Boss")]
    assert services.upsert_staff(rows) == Upserted(2, 0)
    assert services.upsert_staff(rows) == Upserted(0, 0)
    assert services.upsert_staff([StaffRow("anna", active=False)]) == Upserted(0, 1)
    anna = Staff.objects.get(userid="anna")
    assert (anna.name, anna.active, anna.simulated) == ("Anna", False, True)
    assert anna.org_node_id == Store.objects.get(code="330").org_node_id
    assert Staff.objects.get(userid="boss").org_node.kind == OrgNode.BRAND


def test_staff_of_an_unknown_store_are_refused_as_a_whole() -> None:
    with pytest.raises(UnknownStores) as refused:
        services.upsert_staff([StaffRow("anna", "Anna", "999"), StaffRow("bea", "Bea")])
    assert refused.value.codes == ("999",)
    assert not Staff.objects.exists()


def test_products_and_the_last_row_of_a_key_counts() -> None:
    rows = [ProductRow("1", "Old", cost=5), ProductRow("1", "Bread", "BREAD", cost=90), ProductRow("2")]
    assert services.upsert_products(rows) == Upserted(2, 0)
    assert services.upsert_products([ProductRow("1", price=120)]) == Upserted(0, 1)
    bread = Product.objects.get(sku="1")
    assert (bread.name, bread.category, bread.cost, bread.price) == ("Bread", "BREAD", 90, 120)
    assert Product.objects.get(sku="2").name == "2"


def test_category_labels_by_language() -> None:
    services.label_categories([CategoryRow("BREAD", zh_hans="面包"), CategoryRow("MILK", en="Milk")])
    assert queries.category_labels("zh-hans") == {"BREAD": "面包"}
    assert queries.category_labels("en") == {"MILK": "Milk"}
