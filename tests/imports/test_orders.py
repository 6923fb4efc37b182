from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from hetang.facts.models import Fact, HeldFact
from hetang.imports import orders, queries
from hetang.imports.models import Import
from tests.imports.files import csv_bytes, imported

pytestmark = pytest.mark.django_db

HEADER = ["order", "time", "member", "store", "sku", "category", "quantity", "amount", "discount"]


def file_of(*lines: str) -> bytes:
    return csv_bytes([HEADER, *(line.split(",") for line in lines)])


def bring(*lines: str, **changes: Any) -> Import:
    return imported("orders", file_of(*lines), source="pos", time_zone="UTC", **changes)


def facts() -> dict[str, tuple[str, object]]:
    return {fact.key: (fact.kind, fact.body) for fact in Fact.objects.all()}


def test_lines_of_an_order_meet_wherever_they_stand() -> None:
    owner = bring(
        "A1,2026-03-01 10:00:00,900,S1,milk,DAIRY,2,5.00,0.50",
        "B1,2026-03-01 11:00:00,,S1,bread,,1,2.00,0",
        "A1,2026-03-01 10:00:00,900,S1,tea,,0.355,7.25,0",
    )
    assert facts() == {
        "A1": (
            "order.placed",
            {
                "lines": [
                    {"sku": "milk", "amount": 500, "quantity": "2", "category": "DAIRY", "discount": 50},
                    {"sku": "tea", "amount": 725, "quantity": "0.355", "category": None, "discount": 0},
                ],
                "net": 1225,
                "discount": 50,
                "store": "S1",
            },
        ),
        "B1": (
            "order.placed",
            {
                "lines": [{"sku": "bread", "amount": 200, "quantity": "1", "category": None, "discount": 0}],
                "net": 200,
                "store": "S1",
            },
        ),
    }
    counts = owner.result["counts"]
    assert (counts["orders"], counts["anonymous_orders"], counts["sales"], counts["rows_taken"]) == (2, 1, 1425, 3)


def test_repeated_lines_are_kept() -> None:
    line = "A1,2026-03-01 10:00:00,900,S1,milk,,1,5.00,0"
    bring(line, line)
    ((_, body),) = facts().values()
    assert isinstance(body, dict)
    assert (body["net"], len(body["lines"])) == (1000, 2)


def test_negative_lines_become_refunds_on_their_own() -> None:
    owner = bring(
        "A1,2026-03-01 10:00:00,900,S1,milk,,2,10.00,0",
        "A1,2026-03-01 10:00:00,900,S1,tea,,-1,-3.00,0",
        "C536379,2026-03-02 10:00:00,901,S1,milk,,-1,-5.00,0",
        "X9,2026-03-02 10:00:00,,S1,lost,,-4,0,0",
    )
    assert facts() == {
        "A1": (
            "order.placed",
            {
                "lines": [{"sku": "milk", "amount": 1000, "quantity": "2", "category": None, "discount": 0}],
                "net": 1000,
                "store": "S1",
            },
        ),
        "refund:A1": ("order.refunded", {"order": "A1", "amount": 300, "store": "S1"}),
        "refund:C536379": ("order.refunded", {"order": "C536379", "amount": 500, "store": "S1"}),
    }
    assert Fact.objects.get(key="refund:C536379").subject_key == "901"
    counts = owner.result["counts"]
    assert (counts["refunds"], counts["refunded"], counts["rows_ignored"]) == (2, 800, 1)


def test_a_bad_line_refuses_its_whole_order() -> None:
    owner = bring(
        "A1,2026-03-01 10:00:00,900,S1,milk,,1,5.00,0",
        "A1,2026-03-01 10:00:00,900,S1,tea,,1,five,0",
        "B1,2026-03-01 10:00:00,900,S1,tea,,1,5.00,0",
        ",2026-03-01 10:00:00,900,S1,tea,,1,5.00,0",
        "C1,2026-03-01 10:00:00,900,S1,tea,,1",
    )
    assert list(facts()) == ["B1"]
    assert owner.result["problem_counts"] == {
        "ragged_row": 1,
        "not_a_number": 1,
        "empty": 1,
        "other_line_refused": 1,
    }
    assert owner.result["counts"]["rows_refused"] == 4
    assert owner.check_result["counts"]["rows_refused"] == 4
    assert sorted(int(row[0]) for row in queries.problem_rows(owner, "run")) == [2, 3, 5, 6]


def test_an_order_of_two_people_is_refused() -> None:
    bring("A1,2026-03-01 10:00:00,900,S1,milk,,1,5,0", "A1,2026-03-01 10:00:00,901,S1,tea,,1,5,0")
    assert not facts()
    bring("A2,2026-03-01 10:00:00,,S1,milk,,1,5,0", "A2,2026-03-01 09:00:00,901,S1,tea,,1,5,0")
    fact = Fact.objects.get()
    assert (fact.subject_key, fact.occurred_at) == ("901", datetime(2026, 3, 1, 9, tzinfo=UTC))


def test_quantity_times_price_is_rounded_once_per_line() -> None:
    rows = [["InvoiceNo", "InvoiceDate", "StockCode", "Quantity", "UnitPrice"]]
    rows += [["1", "2026-03-01 10:00", "a", "3", "0.335"], ["1", "2026-03-01 10:00", "b", "-1", "0.335"]]
    imported("orders", csv_bytes(rows))
    assert Fact.objects.get(kind="order.placed").body["net"] == 101
    assert Fact.objects.get(kind="order.refunded").body["amount"] == 34


def test_what_the_door_refuses_is_foreseen_and_held() -> None:
    owner = bring("A1,2026-03-01 10:00:00,900,S1,milk,,1,5,0", "B1,2099-03-01 10:00:00,900,S1,milk,,1,5,0")
    assert owner.check_result["problem_counts"] == {"fact.time_in_future": 1}
    assert (owner.result["counts"]["new"], owner.result["counts"]["held"]) == (1, 1)
    assert owner.result["problem_counts"] == {"fact.time_in_future": 1}
    assert HeldFact.objects.get().key == "B1"
    with translation.override("en"):
        assert "held" in str(list(queries.problem_rows(owner, "run")))


def test_hostile_values_stay_values() -> None:
    lines = [
        'A"1,2026-03-01 10:00:00,900,S\\1,mi"lk\\,"CAT\n=1+1",1,5,0',
    ]
    content = "\n".join([",".join(HEADER), *lines]).encode().replace(b'"CAT', b'"CAT')
    owner = imported("orders", content, source="pos", time_zone="UTC")
    assert owner.state == Import.DONE
    ((key, (_, body)),) = facts().items()
    assert key == 'A"1'
    assert isinstance(body, dict)
    assert body["lines"][0]["sku"] == 'mi"lk\\'
    assert body["lines"][0]["category"] == "CAT =1+1"


@pytest.mark.parametrize("value", ["NaN", "inf", "1e400", "9" * 40])
def test_no_amount_beyond_reason(value: str) -> None:
    owner = bring(f"A1,2026-03-01 10:00:00,900,S1,milk,,1,{value},0")
    assert not facts()
    assert owner.result["counts"]["rows_refused"] == 1


def test_chunks_are_cut_the_same_way_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LINES_PER_CHUNK", 3)
    lines = [f"A{number % 7},2026-03-01 10:00:00,900,S1,sku{number},,1,1.00,0" for number in range(40)]
    owner = bring(*lines)
    assert sum(row.body["net"] for row in Fact.objects.all()) == 4000
    assert Fact.objects.count() == 7
    assert owner.chunks.count() == 7
