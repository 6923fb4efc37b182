"""Rules of sensitive words (reference section 15)."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator.apis import kept
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

RULE = "rule"
MOST_RULES, MOST_WORDS, MOST_RANGE = 100, 300, 1000
BLOCK, WARN = 1, 2


class Range(msgspec.Struct):
    user_list: list[str] = msgspec.field(default_factory=list)
    department_list: list[int] = msgspec.field(default_factory=list)


class ExtraRule(msgspec.Struct):
    semantics_list: list[int] = msgspec.field(default_factory=list)


class NewRule(msgspec.Struct):
    rule_name: str = ""
    word_list: list[str] = msgspec.field(default_factory=list)
    semantics_list: list[int] = msgspec.field(default_factory=list)
    intercept_type: int = 0
    applicable_range: Range | None = None


class Update(msgspec.Struct):
    rule_id: str = ""
    rule_name: str | None = None
    word_list: list[str] | None = None
    extra_rule: ExtraRule | None = None
    intercept_type: int | None = None
    add_applicable_range: Range | None = None
    remove_applicable_range: Range | None = None


class RuleId(msgspec.Struct):
    rule_id: str = ""


@api("externalcontact/add_intercept_rule", "POST", NewRule)
def add_intercept_rule(call: Call, request: NewRule) -> dict[str, Any]:
    _check(request)
    if kept.count(call, RULE) >= MOST_RULES:
        raise WeComError(40058, f"more than {MOST_RULES} rules")
    return {"rule_id": kept.store(call, RULE, "rule", msgspec.to_builtins(request))}


@api("externalcontact/get_intercept_rule_list", "GET POST")
def get_intercept_rule_list(call: Call, _request: Any) -> dict[str, Any]:
    rows, _ = kept.page(call, RULE, 0, MOST_RULES)
    return {
        "rule_list": [
            {
                "rule_id": row["id"],
                "rule_name": msgspec.json.decode(row["body"])["rule_name"],
                "create_time": int(row["created_at"]),
            }
            for row in rows
        ]
    }


@api("externalcontact/get_intercept_rule", "POST", RuleId)
def get_intercept_rule(call: Call, request: RuleId) -> dict[str, Any]:
    row, body = kept.load(call, RULE, request.rule_id)
    body["extra_rule"] = {"semantics_list": body.pop("semantics_list")}
    return {"rule": {"rule_id": row["id"], **body}}


@api("externalcontact/update_intercept_rule", "POST", Update)
def update_intercept_rule(call: Call, request: Update) -> dict[str, Any]:
    _, body = kept.load(call, RULE, request.rule_id)
    for name in ("rule_name", "word_list", "intercept_type"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.extra_rule is not None:
        body["semantics_list"] = request.extra_rule.semantics_list
    for name in ("user_list", "department_list"):
        added = getattr(request.add_applicable_range or Range(), name)
        removed = getattr(request.remove_applicable_range or Range(), name)
        now = [one for one in body["applicable_range"][name] if one not in removed]
        body["applicable_range"][name] = list(dict.fromkeys([*now, *added]))
    _check(msgspec.convert(body, NewRule))
    kept.change(call, request.rule_id, body)
    return {}


@api("externalcontact/del_intercept_rule", "POST", RuleId)
def del_intercept_rule(call: Call, request: RuleId) -> dict[str, Any]:
    kept.delete(call, RULE, request.rule_id)
    return {}


def _check(rule: NewRule) -> None:
    if not 1 <= len(rule.rule_name) <= 20:
        raise WeComError(40058, "rule_name must have 1 to 20 characters")
    if not rule.word_list or len(rule.word_list) > MOST_WORDS:
        raise WeComError(40058, f"word_list must have 1 to {MOST_WORDS} words")
    if any(not 1 <= len(word) <= 32 for word in rule.word_list):
        raise WeComError(40058, "a word must have 1 to 32 characters")
    if rule.intercept_type not in {BLOCK, WARN} or set(rule.semantics_list) - {1, 2, 3}:
        raise WeComError(40058, "intercept_type or semantics_list")
    covered = rule.applicable_range or Range()
    if not covered.user_list and not covered.department_list:
        raise WeComError(40063, "applicable_range")
    if len(covered.user_list) > MOST_RANGE or len(covered.department_list) > MOST_RANGE:
        raise WeComError(40058, f"more than {MOST_RANGE} in applicable_range")
