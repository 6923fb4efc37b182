from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetang.imports import rules
from hetang.imports.rules import BadValue, Conventions
from hetang.imports.targets import CUSTOMERS, ORDERS, STORES, TARGETS
from hetang.platform.money import to_major

YUAN = Conventions()


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("12.5", 1250),
        ("1,234.50", 123450),
        ("¥1,234.5", 123450),
        ("88元", 8800),
        ("\uffe5\uff11\uff12\uff0e\uff15", 1250),
        ("(3.20)", -320),
        ("-0.015", -2),
        ("1.005", 101),
        ("1.234", 123),
        ("1e2", 10000),
        ("US$ 4", 400),
    ],
)
def test_money_is_read_as_people_write_it(text: str, minor: int) -> None:
    assert rules.parse_money(text, YUAN) == minor


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity", "abc", "1.2.3", "12,34,5", "1e99", "--5", "=1+1", "½"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadValue) as refused:
        rules.parse_money(text, YUAN)
    assert refused.value.code in {"not_a_number", "too_large"}


@given(st.integers(-(10**12), 10**12))
def test_every_amount_survives_both_units_and_both_marks(minor: int) -> None:
    major = str(to_major(minor, 2))
    assert rules.parse_money(major, YUAN) == minor
    assert rules.parse_money(major.replace(".", ","), Conventions(decimal=",")) == minor
    assert rules.parse_money(str(minor), Conventions(minor=True)) == minor


@given(st.text(max_size=40))
def test_no_text_breaks_a_parser(text: str) -> None:
    for name, parse in rules.PARSERS.items():
        if text.strip():
            try:
                parse(text.strip(), Conventions(time_format="day_month_year"))
            except BadValue as fault:
                assert fault.code, name


def test_times_are_read_in_the_file_s_zone() -> None:
    shanghai = Conventions(zone=ZoneInfo("Asia/Shanghai"))
    assert rules.parse_time("2026-03-01 09:00:00", shanghai) == datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert rules.parse_time("2026-03-01T09:00:00+02:00", shanghai) == datetime(2026, 3, 1, 7, tzinfo=UTC)
    epoch = Conventions(time_format="epoch_ms")
    assert rules.parse_time("1700000000000", epoch) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-02-30", "2026-13-01", "03/04/2026", "1899-01-01", "soon", "99999999999999999"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        rules.parse_time(text, YUAN)


def test_the_shift_keeps_the_local_hour_and_moves_the_local_day() -> None:
    """22:30 in New York on 11 March 2017 is winter time; 3,241 days later it is not."""
    new_york = ZoneInfo("America/New_York")
    shifted = rules.parse_time("2017-03-12 03:30:00", Conventions(shift=timedelta(days=3241), shift_zone=new_york))
    local = shifted.astimezone(new_york)
    assert (local.date(), local.hour, local.minute) == (date(2017, 3, 11) + timedelta(days=3241), 22, 30)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (["2026-01-02 03:04:05"], "iso"),
        (["2026/1/2 3:04", "2026/10/12 13:04"], "year_month_day"),
        (["25/12/2026", "01/02/2026"], "day_month_year"),
        (["12/25/2026", "01/02/2026"], "month_day_year"),
        (["1700000000"], "epoch_s"),
        (["1700000000000"], "epoch_ms"),
        (["2026年1月2日"], "chinese"),
        (["20260102"], "compact"),
        ([], "iso"),
    ],
)
def test_the_time_format_is_guessed_from_samples(samples: list[str], expected: str) -> None:
    assert rules.guess_time_format(samples) == expected


def test_columns_are_recognised_in_both_languages() -> None:
    chinese = rules.suggest_columns(
        TARGETS[ORDERS], ["订单号", "下单时间", "会员号", "门店编号", "商品编码", "数量", "实付金额"]
    )
    assert chinese == {
        "order": "订单号",
        "placed_at": "下单时间",
        "member": "会员号",
        "store": "门店编号",
        "sku": "商品编码",
        "quantity": "数量",
        "amount": "实付金额",
    }
    retail = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    assert rules.suggest_columns(TARGETS[ORDERS], retail) == {
        "order": "InvoiceNo",
        "placed_at": "InvoiceDate",
        "member": "CustomerID",
        "sku": "StockCode",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
    }
    assert rules.suggest_columns(TARGETS[CUSTOMERS], [" Phone ", "姓名"]) == {"phone": " Phone ", "name": "姓名"}
    assert rules.suggest_columns(TARGETS[STORES], ["Store ID", "Store Name", "Lat", "Lng"])["code"] == "Store ID"


def test_a_renumbering_of_stores_is_noticed() -> None:
    assert rules.nearly_all_changed(known=100, in_file=100, in_both=3)
    assert not rules.nearly_all_changed(known=100, in_file=100, in_both=60)
    assert not rules.nearly_all_changed(known=0, in_file=100, in_both=0)
    assert not rules.nearly_all_changed(known=400, in_file=20, in_both=18)


def test_numbers_that_a_spreadsheet_made_of_codes_are_codes_again() -> None:
    assert rules.parse_code("17850.0") == "17850"
    assert rules.parse_code("A.0") == "A.0"


def test_several_codes_in_a_cell() -> None:
    assert rules.parse_codes("vip, new\uff1bcoffee\u3001tea\uff0cmilk") == ["vip", "new", "coffee", "tea", "milk"]
    assert rules.normalised_header("门店编号\uff08必填\uff09") == rules.normalised_header("门店编号 (必填)")


def test_quantities_travel_without_needless_zeros() -> None:
    assert [rules.quantity_text(Decimal(text)) for text in ("2.000", "0.355", "-10.000", "100")] == [
        "2",
        "0.355",
        "-10",
        "100",
    ]
