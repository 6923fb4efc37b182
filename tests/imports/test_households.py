from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from hetang.customers import households as customers
from hetang.customers.models import HouseholdMember
from hetang.facts.kinds import FIRST_BIRTH, LAST_BIRTH
from hetang.facts.models import Fact
from hetang.imports import households, mapping, messages, problems, rules
from hetang.imports.targets import CUSTOMERS, TARGETS
from hetang.platform import clock
from hetang.platform.sealing import unseal
from tests.customers.drive import fold_after, last_id, number_of
from tests.imports.files import csv_bytes, imported, uploaded

TODAY = date(2026, 11, 28)
HEADERS = ["会员号", "大宝生日", "大宝小名", "宝宝性别", "二宝生日", "宝宝2预产期", "家庭成员3关系", "第三胎出生日期"]


def test_headers_of_children_are_recognised_in_both_languages() -> None:
    assert rules.suggest_columns(TARGETS[CUSTOMERS], HEADERS) == {
        "member": "会员号",
        "household_1_born": "大宝生日",
        "household_1_name": "大宝小名",
        "household_1_sex": "宝宝性别",
        "household_2_born": "二宝生日",
        "household_2_due": "宝宝2预产期",
        "household_3_kind": "家庭成员3关系",
        "household_3_born": "第三胎出生日期",
    }
    plain = ["Child birthday", "Baby name", "Birthday", "child_2_dob", "Due date", "Third child birthday"]
    assert rules.suggest_columns(TARGETS[CUSTOMERS], plain) == {
        "household_1_born": "Child birthday",
        "household_1_name": "Baby name",
        "household_1_due": "Due date",
        "household_2_born": "child_2_dob",
        "household_3_born": "Third child birthday",
    }
    for numbered in ("孩子1生日", "宝宝生日", "宝宝生日1", "第一个孩子生日"):
        assert rules.suggest_columns(TARGETS[CUSTOMERS], [numbered]) == {"household_1_born": numbered}


@given(st.dates(FIRST_BIRTH, LAST_BIRTH), st.sampled_from(["{0}-{1}-{2}", "{0}/{1}/{2}", "{0}年{1}月{2}日"]))
def test_every_day_is_read_as_sheets_write_it(day: date, form: str) -> None:
    text = form.format(day.year, day.month, day.day)
    assert rules.parse_member_day(text, rules.Conventions()) == day
    assert rules.parse_member_day(f"{day:%Y%m%d}", rules.Conventions()) == day


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-02-30", "not_a_date"),
        ("202411", "not_a_date"),
        ("两岁", "not_a_date"),
        ("05-17", "day_without_year"),
        ("1024-05-17", "day_out_of_range"),
    ],
)
def test_what_is_no_day_of_a_member(text: str, code: str) -> None:
    with pytest.raises(rules.BadValue) as refused:
        rules.parse_member_day(text, rules.Conventions())
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"born": TODAY}, {"kind": "child", "born_on": TODAY}),
        ({"born": TODAY + timedelta(1)}, {"kind": "child", "due_on": TODAY + timedelta(1)}),
        ({"due": TODAY - timedelta(9)}, {"kind": "child", "due_on": TODAY - timedelta(9)}),
        ({"kind": "partner", "name": "李雷"}, {"kind": "partner"}),
        ({"kind": "child"}, None),
        ({"name": "小米"}, ("child_without_day", "born")),
        ({"sex": "female"}, ("child_without_day", "born")),
        ({"born": TODAY + timedelta(301)}, ("day_too_far", "born")),
        ({"due": TODAY + timedelta(301)}, ("day_too_far", "due")),
        ({"kind": "parent", "born": TODAY + timedelta(1)}, ("born_in_future", "born")),
        ({"born": TODAY, "due": TODAY + timedelta(121)}, ("due_of_another", "due")),
    ],
)
def test_the_columns_of_a_member_are_judged_together(said: dict[str, Any], found: Any) -> None:
    record = {f"household_2_{name}": value for name, value in said.items()}
    if isinstance(found, tuple):
        with pytest.raises(rules.BadValue) as refused:
            list(households.members_of(record, TODAY))
        assert (refused.value.code, refused.value.field) == (found[0], f"household_2_{found[1]}")
    else:
        told = list(households.members_of(record, TODAY))
        assert told == ([(2, found, said.get("name"))] if found else [])


def bring(*rows: list[str]) -> Any:
    before = last_id()
    owner = imported("customers", csv_bytes([["会员号", "宝宝生日", "宝宝姓名", "二宝生日"], *rows]), source="crm")
    fold_after(before)
    return owner


def told() -> list[tuple[int, str, date | None, str]]:
    rows = HouseholdMember.objects.order_by("customer", "member")
    return [(row.customer_id, row.member, row.day, unseal(row.name).decode() if row.name else "") for row in rows]


@pytest.mark.django_db
def test_children_come_in_once_and_a_changed_day_changes_the_same_child() -> None:
    first = bring(["900", "2024/2/29", "小米", "2026年1月3日"], ["901", "", "", ""])
    number = number_of("member", "900")
    warned = [(one["code"], one["parameters"]) for one in first.check_result["warnings"]]
    assert warned == [("children", {"count": 2})]
    both = [
        (number, "member:900.1", date(2024, 2, 29), "小米"),
        (number, "member:900.2", date(2026, 1, 3), ""),
    ]
    assert (first.result["counts"]["rows_taken"], told()) == (2, both)
    facts = Fact.objects.count()
    again = bring(["900", "2024/2/29", "小米", "2026年1月3日"], ["901", "", "", ""])
    assert (again.result["counts"]["new"], Fact.objects.count(), told()) == (0, facts, both)
    bring(["900", "2024/3/1", "小米", ""])
    assert told() == [(number, "member:900.1", date(2024, 3, 1), "小米"), both[1]]
    view = customers.members_of(number, clock.today())[0]
    assert (view.name, view.day, view.hidden) == ("***", None, True)


@pytest.mark.django_db
def test_bad_days_are_named_by_row_and_field_and_nothing_of_a_child_is_shown() -> None:
    rows = [["会员号", "宝宝生日", "宝宝姓名"], ["900", "2024-02-30", "小米"], ["901", "", "小麦"], ["902", "5-17", ""]]
    owner = uploaded("customers", csv_bytes(rows))
    assert mapping.decode(owner.mapping).columns["household_1_born"] == "宝宝生日"
    assert [column["samples"] for column in owner.columns[1:]] == [["***", "", "***"], ["***", "***", ""]]
    owner = imported("customers", csv_bytes(rows))
    found = [(one.row, one.field, one.value, one.code) for one in problems.read(owner.public_id, "run")]
    assert found == [
        (2, "household_1_born", "***", "not_a_date"),
        (4, "household_1_born", "***", "day_without_year"),
        (3, "household_1_born", "", "child_without_day"),
    ]
    with translation.override("zh-hans"):
        assert messages.field_label(TARGETS[CUSTOMERS], "household_1_born") == "家庭成员1：生日"
        assert messages.problem("child_without_day", {})[0] == "填了孩子的姓名或性别，却没有生日或预产期。"


@pytest.mark.django_db
def test_no_phone_number_is_in_a_member_s_code() -> None:
    before = last_id()
    imported("customers", csv_bytes([["手机号", "宝宝生日"], ["13812345678", "2024-02-29"]]), source="crm")
    fold_after(before)
    assert [member for _, member, _, _ in told()] == [".1"]
