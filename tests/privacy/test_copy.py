"""A customer's copy: written for her, described for programs, and nothing told that is not named."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from django.utils.translation import override

from hetang.console.copies.fields import BODY, PARTS, TABLES
from hetang.console.copies.schema import schema
from hetang.console.copies.writing import Writer
from hetang.customers.models import AttributeDefinition
from hetang.facts.kinds import KINDS, Line
from hetang.platform import brand
from hetang.platform.models import Brand
from hetang.privacy import copies
from hetang.privacy.holdings import all_holdings
from hetang.resources.models import Product
from hetang.touch import clicks
from tests.console import cast as people
from tests.console.cast import Cast
from tests.console.people import come_in, customer, fact, record

pytestmark = pytest.mark.django_db(transaction=True)
Written = dict[str, dict[str, list[tuple[str, dict[str, str]]]]]


@pytest.fixture
def cast() -> Cast:
    made = people.make()
    come_in(made)
    Product.objects.create(sku="S1", name="Fresh milk 1 l")
    AttributeDefinition.objects.create(code="town", type="text", label_zh="城市", label_en="Town")
    record(
        [
            fact("customer.described", "d9", "m1", {"attributes": {"town": "Wuxi", "club": True, "pets": None}}),
            fact("consent.changed", "c9", "m1", {"purpose": "marketing", "channel": "sms", "given": True}),
            fact("household.member_described", "h9", "m1", {"member": "1", "kind": "child", "born_on": "2024-02-29"}),
            fact("do_not_disturb.changed", "n9", "m1", {"on": True, "until": "2026-07-01T12:00:00+00:00"}),
        ]
    )
    return made


def parts() -> list[copies.Part]:
    return copies.copy_of(customer("m1"), "test")


def written(language: str) -> Written:
    """Part -> section -> records as (title, {label: value})."""
    with override(language):
        told = parts()
        writer = Writer(told)
        return {
            part.code: {
                section.title: [(entry.title, dict(entry.lines)) for entry in section.entries]
                for section in writer.sections(part)
            }
            for part in told
        }


def test_every_part_and_field_that_is_told_is_named(cast: Cast) -> None:
    assert set(TABLES) == set(PARTS) == {one.code for one in all_holdings() if one.tell is not None}
    for part in parts():
        for table in TABLES[part.code]:
            data = part.data[table.path] if table.path else part.data
            rows = [data] if isinstance(data, dict) else data
            inner = {one.path for one in TABLES[part.code] if one.path} if not table.path else set()
            for row in rows:
                assert set(row) - inner == {one.name for one in table.fields}, (part.code, table.path)
    told = {field for kind in KINDS.values() if kind.subject != "none" for field in kind.body.__struct_fields__}
    assert told | set(Line.__struct_fields__) | set(clicks.FIELDS) == set(BODY)


def test_the_json_is_as_the_schema_says(cast: Cast) -> None:
    content = {part.code: copies.plain(part.data) for part in parts()}
    check = jsonschema_rs.validator_for(schema())
    assert [one.message for one in check.iter_errors(json.loads(json.dumps(content)))] == []
    content["commerce"]["orders"][0]["net"] = "12.90"
    assert not check.is_valid(content)
    assert check.is_valid({"commerce": None})  # a store was away


def test_she_reads_names_money_and_her_brands_time(cast: Cast) -> None:
    mine = written("en")
    assert mine["customers"]["Profile"][0][1]["Home store"] == "Store A"
    phone = dict(mine["customers"]["Numbers and addresses"])["Phone"]
    assert phone == {"Value": "13812345678", "Known since": "2026-01-05 11:00"}
    assert mine["customers"]["Attributes"] == [
        ("club", {"Value": "yes", "Said on": "2026-01-05 11:00"}),
        ("pets", {"Said on": "2026-01-05 11:00"}),
        ("Town", {"Value": "Wuxi", "Said on": "2026-01-05 11:00"}),
    ]
    sms = dict(mine["customers"]["Consents"])["marketing messages · SMS"]
    assert (sms["Given"], sms["Counts"], sms["Legal basis"]) == ("yes", "no", "Not known")
    assert mine["customers"]["Do not disturb"][0][1]["Holds until"] == "2026-07-01 20:00"
    assert mine["customers"]["Household"] == [("Child", {"Born on": "2024-02-29", "Said on": "2026-01-05 11:00"})]
    title, order = mine["commerce"]["Orders"][1]
    assert title == "2026-01-09 11:00 · Store A"
    assert order == {
        **{"Order number": "o2", "Channel": "store", "Paid": "¥25.00", "Discount": "¥0.00"},
        **{"Items": "1", "Source": "test"},
    }
    assert mine["commerce"]["Refunds"][0][1]["Given back"] == "¥5.00"
    assert mine["commerce"]["What it adds up to"][0][1]["Net sales"] == "¥32.90"


def test_what_happened_reads_as_the_timeline_with_all_it_says(cast: Cast) -> None:
    happened = dict(written("zh-hans")["facts"]["发生的事"])
    order = happened["2026-01-09 11:00 · 在Store A下单 ¥25.00，1 件商品"]
    assert order["商品"] == "Fresh milk 1 l (MILK) × 1 · ¥25.00"
    assert (order["实付"], order["门店"], order["来源系统中的编号"]) == ("¥25.00", "Store A", "o2")
    described = next(lines for lines in happened.values() if "城市" in lines)
    assert (described["城市"], described["club"], described["pets"]) == ("Wuxi", "是", "已移除")


def test_no_code_and_no_bare_cent_is_left_in_the_copy(cast: Cast) -> None:
    """Whoever adds a field sees here that it reads as the program calls it."""
    with override("zh-hans"):
        told = parts()
        writer = Writer(told)
        labels = {
            label
            for part in told
            for section in writer.sections(part)
            for entry in section.entries
            for label, _value in entry.lines
        }
    assert {label for label in labels if label.isascii()} <= {"club", "pets"}  # attributes that nobody has named


def test_what_nobody_named_is_still_told(cast: Cast) -> None:
    data: dict[str, Any] = {"orders": [{"key": "o1", "gift_wrap": "red"}], "refunds": [], "sums": [], "unit": ""}
    part = copies.Part("commerce", "Orders", data)
    with override("en"):
        (section,) = Writer([part]).sections(part)
        assert section.entries[0].lines == (("Order number", "o1"), ("gift wrap", "red"))


def test_times_are_the_brands(cast: Cast) -> None:
    Brand.objects.update(time_zone="America/New_York")
    brand.forget()
    try:
        assert written("en")["commerce"]["Orders"][0][0] == "2026-01-04 22:00 · Store A"
    finally:
        Brand.objects.update(time_zone="Asia/Shanghai")
        brand.forget()
