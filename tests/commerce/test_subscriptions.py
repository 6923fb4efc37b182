from __future__ import annotations

from datetime import date

import pytest
from django.db import connection

from hetang.commerce.models import CustomerCategory, CustomerMetric, CustomerStore, Order, Refund
from hetang.commerce.services import recompute_metrics
from hetang.customers.models import Customer
from hetang.facts.models import HeldFact
from hetang.facts.services import replay
from hetang.platform import brand
from hetang.platform.models import Brand
from hetang.resources import services as resources
from hetang.resources.rules import ProductRow, StaffRow, StoreRow
from tests.customers.drive import apply, at, draft, fold_after, last_id, number_of, order

pytestmark = pytest.mark.django_db

ANNA = ("member", "900")
BEA = ("member", "901")


@pytest.fixture(autouse=True)
def _resources() -> None:
    resources.upsert_stores([StoreRow("330", "North Gate"), StoreRow("777", "Far", time_zone="America/New_York")])
    resources.upsert_staff([StaffRow("li", "Li", "330")])
    resources.upsert_products([ProductRow("sku-9", "Milk", "MILK")])


def metric(who: tuple[str, str]) -> CustomerMetric:
    return CustomerMetric.objects.get(customer=number_of(*who))


def sums() -> list[tuple[object, ...]]:
    """Everything that is added up, by number."""
    return [
        *CustomerMetric.objects.order_by("customer").values_list(),
        *CustomerStore.objects.order_by("customer", "store").values_list("customer", "store", "orders", "gmv"),
        *CustomerCategory.objects.order_by("customer", "category").values_list(
            "customer", "category", "lines", "amount"
        ),
    ]


def test_orders_add_up() -> None:
    apply(
        order("o1", [ANNA], 500, 1, store="330", staff="li"),
        order("o2", [ANNA], 300, 3, "MILK", store="330"),
        order("o3", [ANNA], 200, 2, "MILK", channel="mini_program"),
        draft("visit.recorded", "v1", [ANNA], 4),
        draft("order.refunded", "r1", [ANNA], 5, order="o1", amount=120),
    )
    mine = metric(ANNA)
    assert (mine.orders, mine.gmv, mine.refunded, mine.visits) == (3, 880, 120, 1)
    assert (mine.first_order_at, mine.last_order_at, mine.last_visit_at) == (at(1), at(3), at(4))
    assert list(CustomerStore.objects.values_list("store__code", "orders", "gmv")) == [("330", 2, 800)]
    assert set(CustomerCategory.objects.values_list("category", "lines", "amount")) == {
        ("BREAD", 1, 500),
        ("MILK", 2, 500),
    }
    first = Order.objects.get(key="o1")
    assert first.staff is not None and first.staff.userid == "li"
    assert (first.lines, first.discount, first.channel) == (1, 0, "store")


def test_an_anonymous_order_is_in_the_sales_and_never_in_the_people() -> None:
    apply(order("o1", [], 500, 1, store="330"), draft("order.refunded", "r1", [], 2, order="o1", amount=100))
    assert Order.objects.get().net == 500
    assert Refund.objects.get().customer_id is None
    assert not Customer.objects.exists()
    assert not CustomerMetric.objects.exists()


def test_a_refund_that_came_first_finds_its_order() -> None:
    apply(draft("order.refunded", "r1", [], 5, order="o1", amount=120))
    refund = Refund.objects.get()
    assert (refund.order_id, refund.customer_id, refund.store_id) == (None, None, None)
    apply(order("o1", [ANNA], 500, 1, store="330"))
    refund.refresh_from_db()
    assert refund.order is not None and refund.order.key == "o1"
    assert refund.customer_id == number_of(*ANNA)
    assert refund.store is not None and refund.store.code == "330"
    assert (metric(ANNA).gmv, metric(ANNA).refunded) == (380, 120)


def test_a_refund_counts_for_the_person_of_its_order() -> None:
    apply(draft("order.refunded", "r1", [BEA], 5, order="o1", amount=120))
    assert (metric(BEA).gmv, metric(BEA).refunded) == (-120, 120)
    apply(order("o1", [ANNA], 500, 1))
    assert (metric(BEA).gmv, metric(BEA).refunded) == (0, 0)
    assert (metric(ANNA).gmv, metric(ANNA).refunded) == (380, 120)


def test_a_refund_of_an_anonymous_order_is_nobodys() -> None:
    apply(draft("order.refunded", "r1", [BEA], 5, order="o1", amount=120))
    apply(order("o1", [], 500, 1))
    assert Refund.objects.get().customer_id is None
    assert (metric(BEA).gmv, metric(BEA).refunded) == (0, 0)


def test_the_local_day_is_the_stores_or_the_brands() -> None:
    Brand.objects.create(id=1, name="x", time_zone="Asia/Shanghai")
    brand.forget()
    apply(order("o1", [ANNA], 1, 0.4, store="330"), order("o2", [ANNA], 1, 0.4, store="777"), order("o3", [], 1, 0.6))
    days = dict(Order.objects.values_list("key", "local_day"))
    brand.forget()
    assert days == {"o1": date(2026, 3, 2), "o2": date(2026, 3, 1), "o3": date(2026, 3, 2)}


def test_a_line_without_category_has_that_of_its_product() -> None:
    apply(draft("order.placed", "o1", [ANNA], lines=[{"sku": "sku-9", "amount": 5}, {"sku": "x", "amount": 1}], net=6))
    assert list(CustomerCategory.objects.values_list("category", "lines", "amount")) == [("MILK", 1, 5)]


def test_an_unknown_store_is_held_while_its_money_counts() -> None:
    apply(order("o1", [ANNA], 500, 1, store="999"))
    assert metric(ANNA).gmv == 500
    held = HeldFact.objects.get()
    assert (held.stage, held.reason, held.detail["code"]) == ("commerce", "unknown_store", "999")
    resources.upsert_stores([StoreRow("999")])
    assert replay(held.pk).accepted == 1
    assert list(CustomerStore.objects.values_list("store__code", "orders", "gmv")) == [("999", 1, 500)]
    assert (metric(ANNA).orders, metric(ANNA).gmv) == (1, 500)


def test_a_merge_moves_orders_and_sums() -> None:
    apply(
        order("o1", [ANNA], 500, 1, store="330"),
        order("o2", [BEA], 300, 2, store="330"),
        order("o3", [BEA], 200, 3, "MILK", store="777"),
        draft("visit.recorded", "v1", [BEA], 4),
        draft("order.refunded", "r1", [BEA], 5, order="o2", amount=50),
    )
    apply(draft("customer.identified", "i1", [ANNA, BEA], 6))
    mine = CustomerMetric.objects.get()
    assert (mine.orders, mine.gmv, mine.refunded, mine.visits) == (3, 950, 50, 1)
    assert (mine.first_order_at, mine.last_order_at) == (at(1), at(3))
    assert set(CustomerStore.objects.values_list("store__code", "orders", "gmv")) == {("330", 2, 800), ("777", 1, 200)}
    assert set(Order.objects.values_list("customer", flat=True)) == {number_of(*ANNA)}
    assert Refund.objects.get().customer_id == number_of(*ANNA)


def test_recomputing_ends_where_adding_ended() -> None:
    apply(
        order("o1", [ANNA], 500, 1, store="330"),
        order("o2", [BEA], 300, 2, "MILK", store="777"),
        draft("visit.recorded", "v1", [BEA], 4),
        draft("order.refunded", "r1", [], 5, order="o2", amount=50),
        draft("customer.identified", "i1", [ANNA, ("unionid", "u")], 6),
    )
    added = sums()
    with connection.cursor() as cursor:
        cursor.execute("update commerce_customermetric set gmv = 1, orders = 9")
        cursor.execute("update commerce_customercategory set lines = 9")
    recompute_metrics([number_of(*ANNA), number_of(*BEA)])
    assert sums() == added


def test_the_same_orders_again_add_nothing() -> None:
    before = last_id()
    apply(order("o1", [ANNA], 500, 1, store="330"), draft("order.refunded", "r1", [], 5, order="o1", amount=50))
    added = sums()
    fold_after(before)
    assert sums() == added
