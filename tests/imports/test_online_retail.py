"""The dirty file: lines without customer, cancellation invoices, repeated lines, stock write-offs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from django.db import connection

from hetang.commerce.models import CustomerMetric, Order, Refund
from hetang.customers.models import Customer
from hetang.imports import services
from tests.customers.drive import fold_after, last_id
from tests.imports.files import checked

PROJECT = Path(__file__).resolve().parents[2]
FILE = "online_retail/online_retail_2010-12_to_2011-08.parquet"
pytestmark = [pytest.mark.django_db, pytest.mark.data]


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(os.environ.get("HETANG_TEST_DATA") or PROJECT / "../shared/data").resolve()
    if not (folder / FILE).exists():
        warnings.warn(f"SKIPPED LOUDLY: {folder / FILE} is absent; set HETANG_TEST_DATA", UserWarning, stacklevel=1)
        pytest.skip(f"{folder / FILE} is absent; set HETANG_TEST_DATA")
    monkeypatch.setenv("HETANG_IMPORT_PATHS", str(folder))
    return folder / FILE


def test_net_is_exact_and_anonymous_orders_are_in_gmv_but_never_people(path: Path) -> None:
    """5,761,931.382 before rounding (file's sum of quantity times price); each line rounded half away from zero:
    5,761,931.38, of which 4,919,107.73 with a customer."""
    owner = checked(services.from_path("orders", str(path)))
    assert owner.check_result["problem_counts"] == {}
    assert [w["code"] for w in owner.check_result["warnings"]] == []
    services.start_run(owner)
    from hetang.platform import jobs

    jobs.run_waiting()
    owner.refresh_from_db()
    counts = owner.result["counts"]
    assert counts["rows"] == 320_705
    assert counts["anonymous_lines"] == 88_652
    assert counts["sales"] - counts["refunded"] == 576_193_138
    assert (counts["rows_taken"], counts["rows_ignored"], counts["rows_refused"]) == (319_780, 925, 0)
    _fold()
    assert _sum(Order, "net") - _sum(Refund, "amount") == 576_193_138
    assert sum(CustomerMetric.objects.values_list("gmv", flat=True)) == 491_910_773
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from commerce_order where customer_id is null")
        assert cursor.fetchone()[0] == counts["anonymous_orders"]
    assert Customer.objects.count() == counts_of_people(path)
    assert counts["refunded"] > 0


def counts_of_people(path: Path) -> int:
    import pyarrow.compute as pc
    from pyarrow import parquet

    return int(pc.count_distinct(parquet.read_table(path, columns=["CustomerID"])["CustomerID"]).as_py())


def _sum(model: type[Order] | type[Refund], column: str) -> int:
    return sum(model.objects.values_list(column, flat=True))


def _fold() -> None:
    before, end = 0, last_id()
    with connection.cursor() as cursor:
        cursor.execute("select min(id) from facts_fact")
        before = int(cursor.fetchone()[0]) - 1
    assert before < end
    fold_after(before)
