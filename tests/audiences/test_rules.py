"""What is refused, where and why: every code of `errors.MESSAGES`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hetang.audiences.errors import MESSAGES, message
from hetang.audiences.reading import parse
from hetang.audiences.rules import All, InvalidRule, SavedRule
from tests.audiences.population import CATALOGUE, CODES

TAG = {"type": "tag", "op": "any", "tags": ["gold"]}


def nest(depth: int) -> dict[str, Any]:
    return {"not": nest(depth - 1)} if depth else TAG


def life(**other: Any) -> dict[str, Any]:
    return {"type": "life_stage", "model": "child", "op": "in", "stages": [CODES[0]], **other}


def behaviour(**fields: Any) -> dict[str, Any]:
    return {"type": "behaviour", "event": "bought", "op": "at_least", "value": 1, **fields}


def metric(**fields: Any) -> dict[str, Any]:
    return {"type": "metric", "metric": "orders", "op": "=", "value": 1, **fields}


SAVED = {"type": "audience", "audience": "looped"}
LOOPED = replace(
    CATALOGUE,
    audiences={
        "looped": SavedRule(1, "Looped", {"version": 1, "rule": {"all": [SAVED]}}),
        "fine": SavedRule(4, "Fine", {"version": 1, "rule": TAG}),
        "kept": SavedRule(3, "Kept", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["baby"]}}),
        "broken": SavedRule(2, "Broken", {"version": 1, "rule": {"type": "tag", "op": "any", "tags": ["gone"]}}),
    },
    kept={"baby": "kept"},
)

CASES: list[tuple[Any, str, tuple[str | int, ...]]] = [
    ({"all": [nest(12)]}, "too_deep", ("rule", "all", 0, *["not"] * 11)),
    ({"all": [TAG] * 501}, "too_many", ("rule", "all", 500)),
    ({"all": [3]}, "not_a_condition", ("rule", "all", 0)),
    ({"any": []}, "empty_group", ("rule",)),
    ({"all": [{"any": []}]}, "empty_group", ("rule", "all", 0)),
    ({"all": [TAG], "any": [TAG]}, "unknown_field", ("rule",)),
    ({"type": "moon"}, "unknown_type", ("rule",)),
    ({"type": ["tag"]}, "unknown_type", ("rule",)),
    ({**TAG, "colour": 1}, "unknown_field", ("rule",)),
    ({**TAG, "tags": []}, "missing", ("rule", "tags")),
    ({**TAG, "tags": ["gone"]}, "unknown_tag", ("rule", "tags")),
    ({**TAG, "tags": "gold"}, "not_a_list", ("rule", "tags")),
    ({**TAG, "op": "some"}, "not_an_option", ("rule", "op")),
    ({"type": "attribute", "code": "shoe", "op": "="}, "unknown_attribute", ("rule", "code")),
    ({"type": "attribute", "code": "city", "op": "=", "value": "x" * 201}, "not_a_text", ("rule", "value")),
    ({"type": "attribute", "code": "city", "op": "<", "value": "x"}, "not_an_option", ("rule", "op")),
    ({"type": "attribute", "code": "level", "op": "=", "value": "z"}, "not_an_option", ("rule", "value")),
    ({"type": "attribute", "code": "born", "op": "=", "value": "2026-02-30"}, "not_a_date", ("rule", "value")),
    ({"type": "attribute", "code": "member", "op": "=", "value": 1}, "not_a_boolean", ("rule", "value")),
    (metric(op="between", value=[1]), "not_a_pair", ("rule", "value")),
    (metric(op="between", value=[2, 1]), "wrong_way_round", ("rule", "value")),
    ({"type": "bucket", "from": 0, "to": 10}, "not_a_number", ("rule", "from")),
    ({"type": "bucket", "from": 1, "to": 101}, "not_a_number", ("rule", "to")),
    ({"type": "bucket", "from": 5, "to": 4}, "wrong_way_round", ("rule", "to")),
    (metric(value=True), "not_a_number", ("rule", "value")),
    (metric(value=1.5), "not_a_number", ("rule", "value")),
    (metric(metric="favourite_store", op="in", value=["s9"]), "unknown_store", ("rule", "value")),
    ({"type": "date", "of": "attribute:city", "op": "within_last", "days": 3}, "not_a_date_attribute", ("rule", "of")),
    ({"type": "store", "op": "home", "stores": ["s1"], "node": "north"}, "store_or_node", ("rule",)),
    ({"type": "store", "op": "home", "node": "south"}, "unknown_node", ("rule", "node")),
    (behaviour(category="shoes"), "unknown_category", ("rule", "category")),
    (behaviour(sku="p9"), "unknown_product", ("rule", "sku")),
    (behaviour(days=0), "not_a_number", ("rule", "days")),
    (behaviour(event="visited", sku="p1"), "unknown_field", ("rule",)),
    ({"type": "relation", "staff": ["nobody"]}, "unknown_staff", ("rule", "staff")),
    ({"type": "group_chat", "groups": ["nowhere"]}, "unknown_group", ("rule", "groups")),
    (life(model="gone"), "unknown_stage_model", ("rule", "model")),
    (life(stages=["gone"]), "unknown_stage", ("rule", "stages")),
    (life(stages=[]), "missing", ("rule", "stages")),
    (life(days=3), "unknown_field", ("rule",)),
    (life(op="entered_within", days=0), "not_a_number", ("rule", "days")),
    (life(whose="own"), "stage_model_has_no_such_date", ("rule", "whose")),
    ({"type": "audience", "audience": "gone"}, "unknown_audience", ("rule", "audience")),
    ({"type": "audience", "audience": "broken"}, "broken_audience", ("rule", "audience")),
    ({"type": "audience", "audience": "looped"}, "cycle", ("rule", "audience")),
    (
        {"type": "audience_at", "audience": "fine", "date": "2026-11-11", "time": "9 o'clock"},
        "not_a_time",
        ("rule", "time"),
    ),
    ({"type": "audience_moved", "audience": "looped", "days": 3}, "cycle", ("rule", "audience")),
    ({"type": "tag", "tags": ["baby"]}, "tag_cycle", ("rule", "tags")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code", "path"), CASES)
def test_what_cannot_be_evaluated_says_where_and_why(rule: Any, code: str, path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse({"version": 1, "rule": rule}, LOOPED)
    problem = refused.value.problems[0]
    assert (problem.code, problem.path) == (code, path)
    assert "{" not in message(problem)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "not_a_rule"),
        ([], "not_a_rule"),
        ({"rule": TAG}, "unknown_version"),
        ({"version": 2, "rule": TAG}, "unknown_version"),
    ],
)
def test_documents_of_another_form_are_refused(document: Any, code: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse(document, CATALOGUE)
    assert [problem.code for problem in refused.value.problems] == [code]


def test_every_code_has_a_case() -> None:
    tested = {code for _, code, _ in CASES} | {"not_a_rule", "unknown_version"}
    assert tested == set(MESSAGES)


def test_an_empty_outermost_group_is_everybody() -> None:
    assert parse({"version": 1, "rule": {"all": []}}, CATALOGUE) == All(())


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(InvalidRule) as refused:
        parse({"version": 1, "rule": {"all": [{**TAG, "tags": ["gone"]}, {"any": []}]}}, CATALOGUE)
    assert [problem.code for problem in refused.value.problems] == ["unknown_tag", "empty_group"]
