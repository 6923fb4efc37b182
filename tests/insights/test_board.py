"""The board over the columnar history: exact figures of a small brand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from hetang.commerce.history import ensure_schema
from hetang.insights.periods import Comparison, Period
from hetang.insights.queries import Board, board
from hetang.insights.rules import ANONYMOUS, CONVERSION, FREQUENCY, ORDER_VALUE, REFUNDS_ONLY, VISITORS, Figures
from hetang.platform import clickhouse as store
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.platform.organisation import add_node, root
from hetang.resources.models import Store

pytestmark = [pytest.mark.engine, pytest.mark.django_db]

MAY = Comparison(Period(date(2026, 5, 1), date(2026, 5, 3)), Period(date(2026, 5, 4), date(2026, 5, 6)))


def _orders(*rows: tuple[int, int, str, str, int]) -> None:
    at = [datetime(2026, 5, day, 4, tzinfo=UTC) for _, day, *_ in rows]
    data = [
        (customer, when, when.date(), "pos", f"o{n}", shop, channel, net, 0, 1)
        for n, ((customer, _, shop, channel, net), when) in enumerate(zip(rows, at, strict=True))
    ]
    columns = ("customer", "placed_at", "day", "source", "order_key", "store", "channel", "net", "discount", "lines")
    store.insert("orders", columns, data, f"orders-{rows}")


def _refund(customer: int, day: int, shop: str, channel: str, amount: int) -> None:
    at = datetime(2026, 5, day, 4, tzinfo=UTC)
    columns = ("customer", "refunded_at", "day", "source", "refund_key", "order_key", "store", "channel", "amount")
    store.insert("refunds", columns, [(customer, at, at.date(), "pos", "r", "o", shop, channel, amount)], f"r{at}")


def _visits(*rows: tuple[int, int, str, str]) -> None:
    data = [
        (customer, datetime(2026, 5, day, 3, tzinfo=UTC), date(2026, 5, day), shop, channel)
        for customer, day, shop, channel in rows
    ]
    store.insert("visits", ("customer", "at", "day", "store", "channel"), data, f"visits-{rows}")


@pytest.fixture
def shops(clickhouse: str) -> Iterator[dict[str, Store]]:
    ensure_schema()
    region = add_node(root(), OrgNode.REGION, "east", "East")
    yield {
        code: Store.objects.create(code=code, name=name, org_node=add_node(region, OrgNode.STORE, code, name))
        for code, name in (("s1", "One"), ("s2", "Two"))
    }


@pytest.fixture
def brand_with_visits(shops: dict[str, Store]) -> Board:
    _orders(
        (1, 1, "s1", "store", 1_000),
        (1, 2, "s1", "store", 500),
        (2, 3, "s2", "store", 700),
        (0, 3, "s2", "store", 90),
        (1, 4, "s1", "store", 2_000),
        (3, 5, "", "mini_program", 800),
        (3, 6, "s2", "store", 401),
        (0, 6, "s1", "store", 60),
        (9, 7, "s1", "store", 9_999),  # after both periods
    )
    _refund(1, 4, "s1", "store", 300)
    _refund(0, 6, "s1", "store", 10)
    _visits((1, 1, "s1", "store"), (2, 1, "s2", "store"), (4, 2, "s2", "store"), (0, 2, "s2", "store"))
    _visits((1, 4, "s1", "store"), (3, 5, "", "mini_program"), (3, 6, "s2", "store"), (3, 6, "s2", "store"))
    return board(MAY)


def test_the_totals_are_those_of_the_orders(brand_with_visits: Board) -> None:
    total = brand_with_visits.total

    assert total.before == Figures(3, 2, 3, 2_200, 1, 90)
    assert total.after == Figures(2, 2, 3, 2_901, 1, 50)
    assert total.change.total == 661
    assert sum(total.change.parts.values()) == 661
    assert set(total.change.parts) == {VISITORS, CONVERSION, FREQUENCY, ORDER_VALUE, ANONYMOUS, REFUNDS_ONLY}
    assert total.change.parts[ANONYMOUS] == -40
    assert total.change.parts[FREQUENCY] == 0
    assert brand_with_visits.visits_recorded
    assert not brand_with_visits.empty


def test_lines_add_up_to_the_whole_and_each_to_its_own_change(brand_with_visits: Board) -> None:
    for lines in (brand_with_visits.stores, brand_with_visits.channels):
        assert sum(line.change.total for line in lines) == 661
        assert sum(line.before.gmv for line in lines) == 2_290
        assert sum(line.after.orders for line in lines) == 3
        assert all(sum(line.change.parts.values()) == line.change.total for line in lines)
    assert [(line.code, line.name, line.after.gmv) for line in brand_with_visits.stores] == [
        ("s1", "One", 1_750),
        ("", "", 800),
        ("s2", "Two", 401),
    ]
    assert [line.code for line in brand_with_visits.channels] == ["store", "mini_program"]


def test_every_day_has_its_money(brand_with_visits: Board) -> None:
    assert [gmv for _, gmv in brand_with_visits.days[0]] == [1_000, 500, 790]
    assert [gmv for _, gmv in brand_with_visits.days[1]] == [1_700, 800, 451]


def test_a_store_manager_sees_her_store(brand_with_visits: Board, shops: dict[str, Store]) -> None:
    hers = board(MAY, Scope(paths=(shops["s2"].org_node.path,)))

    assert [line.code for line in hers.stores] == ["s2"]
    assert hers.total.before == Figures(2, 1, 1, 700, 1, 90)
    assert hers.total.after == Figures(1, 1, 1, 401, 0, 0)
    assert board(MAY, Scope(paths=())).empty


def test_overlapping_periods_count_in_both(brand_with_visits: Board) -> None:
    same = board(Comparison(MAY.after, MAY.after))

    assert same.total.before == same.total.after == brand_with_visits.total.after
    assert same.total.change.total == 0


def test_without_visits_the_tree_begins_with_the_buyers(shops: dict[str, Store]) -> None:
    _orders((1, 1, "s1", "store", 1_000), (1, 4, "s1", "store", 1_500))
    found = board(MAY)

    assert not found.visits_recorded
    assert found.total.after.visitors == 0
    assert found.total.change.parts == {"buyers": 0, "frequency": 0, "order_value": 500, ANONYMOUS: 0, REFUNDS_ONLY: 0}


def test_an_empty_brand_is_empty(shops: dict[str, Store]) -> None:
    found = board(MAY)

    assert found.empty
    assert found.stores == found.channels == []
    assert found.total.moved is None
