"""Tags, attributes, birthdays and phones of a file that the brand does not know yet."""

from __future__ import annotations

import pytest

from hetang.customers import services as customers
from hetang.customers.models import AttributeDefinition, CustomerAttribute, CustomerTag, Tag
from hetang.facts.models import Fact, HeldFact
from hetang.imports import mapping, rules, services
from hetang.imports.models import Import
from hetang.imports.targets import TARGETS
from tests.customers.drive import fold_after, last_id, number_of
from tests.imports.files import checked, csv_bytes, imported, uploaded

pytestmark = pytest.mark.django_db

TAGGED = [["会员号", "标签"], ["m1", "爱喝绿茶,送礼"], ["m2", "送礼"], ["m3", ""]]


def test_unknown_tags_are_told_and_made_when_somebody_confirms() -> None:
    before = last_id()
    owner = checked(uploaded("customers", csv_bytes(TAGGED)))
    [warning] = owner.check_result["warnings"]
    told = {"count": 2, "first": "爱喝绿茶、送礼", "names": ["爱喝绿茶", "送礼"]}
    assert (warning["code"], warning["parameters"]) == ("unknown_tags", told)
    assert not Tag.objects.exists()
    imported("customers", csv_bytes(TAGGED))
    assert sorted(Tag.objects.values_list("code", "name")) == [("爱喝绿茶", "爱喝绿茶"), ("送礼", "送礼")]
    fold_after(before)
    assert not HeldFact.objects.exists()
    on = CustomerTag.objects.filter(on=True, customer=number_of("member", "m1")).values_list("tag__code", flat=True)
    assert sorted(on) == ["爱喝绿茶", "送礼"]


def test_a_tag_may_be_called_by_its_name_where_only_one_is_called_so() -> None:
    group, other = customers.create_group("口味"), customers.create_group("用途")
    customers.create_tag(group, "送礼", "gift")
    customers.create_tag(group, "爱喝绿茶", "green")
    customers.create_tag(other, "爱喝绿茶", "tea")
    owner = checked(uploaded("customers", csv_bytes(TAGGED)))
    assert owner.check_result["warnings"][0]["parameters"]["names"] == ["爱喝绿茶"]  # two are called so: which one?
    imported("customers", csv_bytes([TAGGED[0], TAGGED[2]]))
    assert [fact.body["tag"] for fact in Fact.objects.filter(kind="tag.changed")] == ["gift"]


def test_a_column_that_holds_no_tags_makes_none() -> None:
    rows = [["会员号", "标签"], *([f"m{n}", f"备注 {n}"] for n in range(201))]
    owner = imported("customers", csv_bytes(rows))
    assert [one["code"] for one in owner.check_result["warnings"]] == ["too_many_tags"]
    assert not Tag.objects.exists()


def test_attributes_of_a_file_can_be_used_by_audiences_from_then_on() -> None:
    rows = [
        ["会员号", "性别", "生日", "备注"],
        *([f"m{n}", "男女"[n % 2], f"1990/1/{n + 1}", f"第{n}位"] for n in range(8)),
    ]
    attributes = {"gender": "性别", "birthday": "生日", "note": "备注"}
    imported("customers", csv_bytes(rows), attributes=attributes)
    found = AttributeDefinition.objects.order_by("code").values_list("code", "type", "label_zh", "choices")
    assert list(found) == [
        ("birthday", "date", "生日", []),
        ("gender", "choice", "性别", ["女", "男"]),
        ("note", "text", "备注", []),
    ]


def test_a_birthday_is_proposed_written_as_a_date_and_refused_where_it_is_none() -> None:
    before = last_id()
    rows = [["会员号", "生日"], ["m1", "1990/1/31"], ["m2", "1990/13/45"], ["m3", "05-17"]]
    owner = uploaded("customers", csv_bytes(rows))
    assert mapping.decode(owner.mapping).attributes == {"birthday": "生日"}
    owner = imported("customers", csv_bytes(rows))
    assert owner.result["problem_counts"] == {"not_a_date": 1}
    [problem] = owner.check_result["first_problems"]
    assert (problem["row"], problem["field"], problem["value"]) == (3, "attribute:birthday", "19***")
    fold_after(before)
    assert sorted(CustomerAttribute.objects.values_list("value", flat=True)) == ["05-17", "1990-01-31"]


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("1990-05-17", "1990-05-17"),
        ("1990年5月7日", "1990-05-07"),
        ("19900517", "1990-05-17"),
        ("1990-05-17 00:00:00", "1990-05-17"),
    ],
)
def test_the_usual_ways_to_write_a_birthday(written: str, day: str) -> None:
    assert rules.parse_birth_date(written) == day


def test_incomplete_phone_numbers_are_told() -> None:
    rows = [
        ["会员号", "手机号"],
        ["m1", "13812345678"],
        ["m2", "1381000"],
        ["m3", "+86 138 1234 5679"],
        ["m4", "021-6543210"],
    ]
    owner = checked(uploaded("customers", csv_bytes(rows)))
    assert [(one["code"], one["parameters"]["count"]) for one in owner.check_result["warnings"]] == [("odd_phones", 1)]
    services.confirm(owner, ["odd_phones"])
    services.start_run(owner)
    owner.refresh_from_db()
    assert owner.state == Import.RUNNING


def test_headings_of_attributes_have_usual_codes() -> None:
    assert [rules.attribute_code(one) for one in ("性别", "Date of Birth", "会员等级", "喜欢的 颜色")] == [
        "gender",
        "birthday",
        "level",
        "喜欢的_颜色",
    ]
    assert rules.suggest_attributes(TARGETS["stores"], ["生日"], set()) == {}
