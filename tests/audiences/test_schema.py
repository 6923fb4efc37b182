"""The published schema says of a document what reading says, and hostile documents are refused quickly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator, FormatChecker

from hetang.audiences import reading
from hetang.audiences.errors import message
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule, SavedRule
from hetang.audiences.schema import schema
from tests.audiences.population import CATALOGUE
from tests.audiences.test_evaluators import trees
from tests.audiences.test_rules import CASES, TAG, nest

VALIDATOR = Draft202012Validator(schema(), format_checker=FormatChecker())
# What a shape alone can tell; the rest depends on what exists, or compares two values.
OF_SHAPE = {
    *("not_a_condition", "empty_group", "unknown_type", "unknown_field", "missing", "not_a_list", "not_a_text"),
    *("not_a_date", "not_a_boolean", "not_a_pair", "not_a_number", "not_a_time", "two_periods", "not_a_deed"),
    *("store_or_node", "not_a_distance", "segments_or_scores"),
}
NAMED = (
    "tag",
    "store",
    "node",
    "staff",
    "group",
    "product",
    "audience",
    "stage",
    "pond",
    "campaign",
    "broadcast",
    "district",
)
OF_NAMES = {f"unknown_{one}" for one in NAMED}
BY_TYPE = {
    "city",
    "level",
    "born",
    "member",
    "spot",
}  # attributes: what they may be compared with depends on their type


def test_the_schema_is_one_and_knows_every_condition() -> None:
    Draft202012Validator.check_schema(schema())
    assert set(schema()["$defs"]) == {*reading.TYPES, "node"}


@settings(max_examples=40, deadline=None)
@given(rule=trees)
def test_what_can_be_evaluated_fits(rule: dict[str, Any]) -> None:
    assert parse({"version": 1, "rule": rule}, CATALOGUE)
    assert VALIDATOR.is_valid({"version": 1, "rule": rule}), rule


@pytest.mark.parametrize(("rule", "code", "path"), CASES)
def test_what_is_refused_for_its_shape_does_not_fit(rule: Any, code: str, path: Any) -> None:
    if code in OF_SHAPE and (not isinstance(rule, dict) or rule.get("code") not in BY_TYPE):
        assert not VALIDATOR.is_valid({"version": 1, "rule": rule})
    elif code in OF_NAMES:
        assert VALIDATOR.is_valid({"version": 1, "rule": rule})


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"all": [TAG] * 200_000}, "too_many"),
        (nest(900), "too_deep"),
        ({"any": [{"any": [nest(20)] * 400}] * 400}, "too_deep"),
        ({**TAG, "tags": ["x" * 1_000_000]}, "not_a_text"),
        ({**TAG, "tags": ["x"] * 1_000_000}, "not_a_list"),
        ({"type": "x" * 1_000_000}, "unknown_type"),
        ({**TAG, "x" * 100_000: 1}, "unknown_field"),
        ({"type": "metric", "metric": "orders", "op": "=", "value": 10**4000}, "not_a_number"),
        ({"type": "metric", "metric": "orders", "op": "=", "value": float("nan")}, "not_a_number"),
        ({"type": "attribute", "code": "score", "op": "=", "value": float("inf")}, "not_a_number"),
        ({"type": "attribute", "code": "score", "op": "=", "value": float("nan")}, "not_a_number"),
        ({"type": "attribute", "code": "city", "op": "=", "value": "\0"}, "not_a_text"),
    ],
)
def test_hostile_documents_get_a_short_answer(rule: Any, code: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse({"version": 1, "rule": rule}, CATALOGUE)
    problems = refused.value.problems
    assert problems[0].code == code
    assert len(problems) <= 1000
    assert sum(len(message(one)) for one in problems) < 200_000


def test_audiences_within_audiences_are_read_once_each() -> None:
    """Ten audiences, each of which names the next one five hundred times: 500 to the power of ten without a memory."""
    chain = {}
    for n in range(10):
        named = {"all": [{"type": "audience", "audience": f"a{n + 1}"}] * 500}
        chain[f"a{n}"] = SavedRule(n, f"A{n}", {"version": 1, "rule": named})
    chain["a10"] = SavedRule(10, "A10", {"version": 1, "rule": TAG})
    known = Catalogue(tags=CATALOGUE.tags, audiences=chain)
    assert parse({"version": 1, "rule": {"type": "audience", "audience": "a0"}}, known)


def test_five_hundred_conditions_are_read() -> None:
    parse(json.loads(json.dumps({"version": 1, "rule": {"all": [TAG] * 500}})), CATALOGUE)
