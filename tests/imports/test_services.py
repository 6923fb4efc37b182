from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import translation

from hetang.customers.models import Consent, CustomerAttribute, DoNotDisturb
from hetang.facts.models import Fact
from hetang.imports import mapping, problems, queries, services
from hetang.imports.errors import BadMapping, ImportRefused, NotReady, Unreadable
from hetang.imports.mapping import LegalBasis
from hetang.imports.models import Import, Preset
from hetang.platform import files, positions
from hetang.platform.environment import home
from hetang.platform.models import StoredFile
from hetang.resources import services as resources
from hetang.resources.models import District, Product, Staff, Store
from hetang.resources.rules import StoreRow
from tests.customers.drive import customer_of, fold_after, last_id, number_of
from tests.imports.files import checked, csv_bytes, imported, uploaded

pytestmark = pytest.mark.django_db

STORES = [["门店编号", "门店名称", "区域", "国家", "纬度", "经度", "坐标系"]]
SHANGHAI = [
    ["S1", "静安店", "华东", "CN", "31.23", "121.44", "高德"],
    ["S2", "徐汇店", "华东", "CN", "31.19", "121.43", "BD-09"],
]


def test_stores_come_in_with_their_places_and_regions() -> None:
    owner = imported("stores", csv_bytes([*STORES, *SHANGHAI]))
    assert (owner.state, owner.result["counts"]["new"]) == (Import.DONE, 2)
    store = Store.objects.select_related("org_node__parent").get(code="S1")
    region = store.org_node.parent
    assert region is not None
    assert (store.name, str(store.latitude), store.datum, region.name) == ("静安店", "31.230000", "gcj02", "华东")


def test_swapped_and_foreign_coordinates_must_be_confirmed_and_are_left_out() -> None:
    rows = [
        ["S3", "浦东店", "", "CN", "121.5", "31.2", "GPS"],
        ["S4", "远方店", "", "CN", "51.5", "-0.1", "GPS"],
        ["S5", "无名店", "", "CN", "31.2", "121.5", ""],
    ]
    owner = checked(uploaded("stores", csv_bytes([*STORES, *SHANGHAI, *rows])))
    assert services.unconfirmed(owner) == ["swapped_coordinates", "outside_country", "no_datum"]
    found = owner.check_result["first_problems"]
    assert [(one["row"], one["field"], one["code"]) for one in found] == [
        (4, "latitude", "swapped_coordinates"),
        (5, "latitude", "outside_country"),
        (6, "datum", "no_datum"),
    ]
    with pytest.raises(NotReady) as refused:
        services.start_run(owner)
    assert refused.value.code == "warnings_unconfirmed"
    owner = imported("stores", csv_bytes([*STORES, *SHANGHAI, *rows]))
    assert [store.latitude for store in Store.objects.filter(code__in=["S3", "S4", "S5"])] == [None, None, None]


def test_coordinates_need_their_system() -> None:
    with pytest.raises(BadMapping) as refused:
        uploaded("stores", csv_bytes([STORES[0][:-1], SHANGHAI[0][:-1]]))
    assert refused.value.code == "datum_undeclared"


def test_renumbered_stores_are_noticed() -> None:
    resources.upsert_stores(StoreRow(f"OLD{number}", "店") for number in range(20))
    rows = [[f"NEW{number}", "店", "", "CN", "", "", ""] for number in range(20)]
    owner = checked(uploaded("stores", csv_bytes([*STORES, *rows])))
    assert [warning["code"] for warning in owner.check_result["warnings"]] == ["stores_changed"]
    assert owner.check_result["warnings"][0]["parameters"] == {"known": 20, "in_file": 20, "both": 0}


def test_header_spaces_duplicate_headers_and_duplicate_keys_are_noticed() -> None:
    rows = [[" 商品编码", "商品名称", "商品名称"], ["1", "牛奶", "x"], ["2", "面包", "x"], ["1", "鲜牛奶", "x"]]
    owner = checked(uploaded("products", csv_bytes(rows)))
    assert [warning["code"] for warning in owner.check_result["warnings"]] == [
        "header_spaces",
        "duplicate_headers",
        "duplicate_keys",
    ]
    imported("products", csv_bytes(rows))
    assert dict(Product.objects.values_list("sku", "name")) == {"1": "鲜牛奶", "2": "面包"}


def test_products_keep_cost_and_price_in_minor_units() -> None:
    rows = [["sku", "name", "cost", "price"], ["1", "Milk", "3.5", "¥1,006.00"]]
    imported("products", csv_bytes(rows))
    assert Product.objects.values_list("cost", "price").get() == (350, 100600)


def test_staff_of_unknown_stores_are_refused_row_by_row() -> None:
    resources.upsert_stores([StoreRow("S1", "静安店")])
    rows = [["工号", "姓名", "门店"], ["li", "李娜", "S1"], ["wang", "王芳", "S9"]]
    owner = imported("staff", csv_bytes(rows))
    assert list(Staff.objects.values_list("userid", flat=True)) == ["li"]
    assert owner.result["problem_counts"] == {"unknown_store": 1}
    assert owner.result["counts"]["rows_refused"] == 1


def test_districts_of_the_brand_s_own_list_keep_their_centre_until_a_file_leaves_it_out() -> None:
    head = ["行政区划代码", "区县", "所属城市", "纬度", "经度", "坐标系"]
    good = [
        ["310106", "静安区", "上海市", "31.229", "121.448", "高德"],
        ["310104", "徐汇区", "上海市", "31.18", "121.43", "高德"],
    ]
    owner = imported("districts", csv_bytes([head, *good]))
    assert (owner.result["counts"]["new"], owner.check_result["warnings"]) == (2, [])
    wrong, gone = ["310106", "静安区", "", "121.4", "31.2", "高德"], ["310104", "徐汇区", "", "", "", ""]
    owner = imported("districts", csv_bytes([head, wrong, gone]))
    counts = owner.result["counts"]
    assert (counts["changed"], counts["rows_refused"]) == (1, 1)
    assert owner.result["problem_counts"] == {"swapped_coordinates": 1}
    found = District.objects.order_by("code").values_list("name", "parent", "latitude", "datum")
    assert list(found) == [("徐汇区", "上海市", None, ""), ("静安区", "上海市", Decimal("31.229"), "gcj02")]


CUSTOMERS = [
    ["会员号", "手机号", "姓名", "是否同意", "免打扰", "城市"],
    ["900", "13812345678", "王小明", "是", "", "上海"],
    ["901", "139-1234-5678", "李雷", "否", "是", "北京"],
    ["902", "13700000000", "韩梅", "", "", ""],
]


def people(**changes: Any) -> Import:
    before = last_id()
    owner = imported("customers", csv_bytes(CUSTOMERS), source="crm", attributes={"city": "城市"}, **changes)
    fold_after(before)
    return owner


def test_customers_bring_their_positions() -> None:
    rows = [
        ["会员号", "纬度", "经度"],
        ["900", "31.230416", "121.473701"],
        ["901", "121.473701", "31.230416"],
        ["902", "31.23", ""],
        ["903", "", ""],
    ]
    before = last_id()
    owner = imported("customers", csv_bytes(rows), source="crm", constants={"datum": "高德"})
    fold_after(before)
    assert owner.result["counts"]["rows_taken"] == 2
    bad = [(one.row, one.field, one.value, one.code) for one in problems.read(owner.public_id, "run")]
    assert bad == [(3, "latitude", "", "swapped_coordinates"), (4, "latitude", "", "half_a_place")]
    kept = CustomerAttribute.objects.get()
    assert (kept.customer_id, kept.value) == (
        number_of("member", "900"),
        positions.written(31.230416, 121.473701, "gcj02"),
    )


def test_without_a_legal_basis_no_yes_is_recorded() -> None:
    people()
    assert list(Consent.objects.values_list("customer", "given")) == [(number_of("member", "901"), False)]
    assert DoNotDisturb.objects.get().customer_id == number_of("phone", "13912345678")
    assert CustomerAttribute.objects.get(customer=number_of("member", "900")).value == "上海"


def test_with_a_legal_basis_consent_carries_it() -> None:
    people(legal_basis=LegalBasis("marketing", "wecom", "consent", "2026-01"))
    given = Consent.objects.get(given=True)
    assert given.customer_id == customer_of("member", "900").number
    assert (given.purpose, given.channel, given.basis, given.text_version, given.source) == (
        *("marketing", "wecom", "consent", "2026-01", "crm"),
    )


def test_consent_needs_the_version_of_its_text() -> None:
    with pytest.raises(BadMapping) as refused:
        uploaded("customers", csv_bytes(CUSTOMERS), legal_basis=LegalBasis(basis="consent"))
    assert refused.value.code == "text_version_missing"


def test_the_same_file_again_changes_nothing() -> None:
    first, again = people(), people()
    assert (first.result["counts"]["new"], first.result["counts"]["known"]) == (5, 0)
    assert (again.result["counts"]["new"], again.result["counts"]["known"]) == (0, 5)


def test_no_direct_identifier_is_stored_in_the_clear() -> None:
    owner = people()
    with connection.cursor() as cursor:
        cursor.execute("select f::text from facts_fact f")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert "13812345678" not in stored and "王小明" not in stored
    shown = str(owner.columns)
    assert "138****5678" in shown and "13812345678" not in shown and "王小明" not in shown
    sealed = (home() / "files" / StoredFile.objects.get().path).read_bytes()
    assert b"13812345678" not in sealed
    assert not list((home() / "files" / "scratch").glob("*"))


def test_a_stored_file_reads_back_and_notices_damage() -> None:
    stored = files.store("f.bin", [b"x" * (3 << 20), b"tail"])
    assert b"".join(files.read(stored)) == b"x" * (3 << 20) + b"tail"
    path = home() / "files" / stored.path
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Exception):  # noqa: B017 - whichever check finds it first
        list(files.read(stored))


def test_bad_rows_are_reported_masked_with_reason_and_remedy() -> None:
    rows = [["会员号", "手机号", "更新时间"], ["900", "13812345678", "=now()"], ["", "", ""], ["x" * 121, "1", ""]]
    owner = checked(uploaded("customers", csv_bytes(rows)))
    with translation.override("zh-hans"):
        lines = list(queries.problem_rows(owner, "check"))
    assert lines[0] == [
        *(
            "2",
            "更新时间",
            "=now()",
            "不符合所选的时间格式。",
        ),  # made harmless for spreadsheets where files are written
        "请修改该单元格，或选择文件所用的时间格式。",
    ]
    assert len(lines) == 3
    assert owner.check_result["problem_counts"] == {"not_a_time": 1, "nobody_named": 1, "too_long": 1}
    assert owner.check_result["counts"]["rows_taken"] == 0
    assert "nothing_usable" in services.unconfirmed(owner)


def test_a_required_column_must_be_mapped() -> None:
    owner = services.upload("orders", "f.csv", [b"a,b\n1,2\n"])
    with pytest.raises(BadMapping) as refused:
        services.start_check(owner)
    assert (refused.value.code, refused.value.parameters) == ("field_unmapped", {"field": "order"})


def test_an_unreadable_upload_leaves_nothing() -> None:
    with pytest.raises(Unreadable):
        services.upload("orders", "f.xlsx", [b"PK\x03\x04garbage"])
    assert not StoredFile.objects.exists()
    assert not Import.objects.exists()


def test_the_brand_s_currency_is_not_mixed() -> None:
    with pytest.raises(BadMapping) as refused:
        uploaded("products", csv_bytes([["sku", "name"], ["1", "x"]]), money=mapping.Money(currency="USD"))
    assert refused.value.parameters == {"file": "USD", "brand": "CNY"}


def test_only_allowed_folders_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "f.csv"
    outside.write_bytes(csv_bytes([["sku", "name"], ["1", "x"]]))
    with pytest.raises(ImportRefused) as refused:
        services.from_path("products", str(outside))
    assert refused.value.code == "path_not_allowed"
    inside = tmp_path / "drop"
    inside.mkdir()
    (inside / "link.csv").symlink_to(outside)
    monkeypatch.setenv("HETANG_IMPORT_PATHS", str(inside))
    with pytest.raises(ImportRefused):
        services.from_path("products", str(inside / "link.csv"))
    (inside / "own.csv").write_bytes(outside.read_bytes())
    assert services.from_path("products", str(inside / "own.csv")).title == "own.csv"


def test_a_server_file_that_changed_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETANG_IMPORT_PATHS", str(tmp_path))
    path = tmp_path / "f.csv"
    path.write_bytes(csv_bytes([["sku", "name"], ["1", "x"]]))
    owner = services.from_path("products", str(path))
    path.write_bytes(csv_bytes([["sku", "name"], ["1", "longer"]]))
    assert checked(owner).failure == {"code": "file_changed", "parameters": {}}


def test_presets_are_saved_and_applied() -> None:
    first = uploaded("products", csv_bytes([["货", "名"], ["1", "x"]]), columns={"sku": "货", "name": "名"})
    preset = services.save_preset("ERP 商品", first)
    second = services.upload("products", "b.csv", [csv_bytes([["货", "名"], ["2", "y"]], delimiter=";")])
    assert queries.fitting_presets(second) == [preset]
    services.apply_preset(second, preset)
    taken = mapping.decode(second.mapping)
    assert (taken.columns, taken.delimiter) == ({"sku": "货", "name": "名"}, ";")
    other = services.upload("products", "c.csv", [csv_bytes([["a", "b"], ["2", "y"]])])
    assert queries.fitting_presets(other) == []
    with pytest.raises(BadMapping):
        services.apply_preset(other, preset)
    services.delete_preset(preset)
    assert not Preset.objects.exists()


def test_a_changed_mapping_must_be_checked_again() -> None:
    owner = checked(uploaded("products", csv_bytes([["sku", "name"], ["1", "x"]])))
    services.save_mapping(owner, msgspec.structs.replace(mapping.decode(owner.mapping), source="erp"))
    with pytest.raises(NotReady) as refused:
        services.start_run(owner)
    assert refused.value.code == "not_checked"


def test_a_waiting_run_is_cancelled_and_can_be_started_again() -> None:
    owner = checked(uploaded("products", csv_bytes([["sku", "name"], ["1", "x"]])))
    services.start_run(owner)
    services.cancel(owner)
    assert owner.state == Import.CANCELLED
    services.start_run(owner)
    assert owner.state == Import.RUNNING
    with pytest.raises(NotReady):
        services.start_run(owner)


def test_visits_and_refunds_become_facts() -> None:
    visits = [["会员号", "到访时间", "模拟"], ["900", "2026-03-01 10:00:00", "是"]]
    refunds = [["退款单号", "订单号", "退款时间", "退款金额"], ["R1", "A1", "2026-03-02", "-12.5"]]
    imported("visits", csv_bytes(visits), source="door")
    imported("refunds", csv_bytes(refunds), source="pos")
    visit, refund = Fact.objects.order_by("id")
    assert visit.body == {"simulated": True}
    assert (refund.key, refund.body) == ("refund:R1", {"order": "A1", "amount": 1250})
