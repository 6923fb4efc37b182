"""Rules of sensitive words and the product album."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp

RULE: dict[str, Any] = {
    **{"rule_name": "no promises", "word_list": ["guaranteed"], "semantics_list": [1], "intercept_type": 1},
    "applicable_range": {"user_list": ["anna"], "department_list": []},
}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


def rule_path(verb: str) -> str:
    return f"externalcontact/{verb}_intercept_rule"


def test_rules(corp: Corp) -> None:
    rule_id = corp.call(rule_path("add"), RULE)["rule_id"]
    found = corp.call(rule_path("get"), {"rule_id": rule_id})["rule"]
    assert found == {
        **{"rule_id": rule_id, "rule_name": "no promises", "word_list": ["guaranteed"], "intercept_type": 1},
        **{"extra_rule": {"semantics_list": [1]}, "applicable_range": RULE["applicable_range"]},
    }
    change = {
        **{"rule_id": rule_id, "rule_name": "none", "extra_rule": {"semantics_list": []}},
        **{"add_applicable_range": {"department_list": [3]}, "remove_applicable_range": {"user_list": ["anna"]}},
    }
    assert corp.code(rule_path("update"), change) == 0
    changed = corp.call(rule_path("get"), {"rule_id": rule_id})["rule"]
    assert changed["applicable_range"] == {"user_list": [], "department_list": [3]}
    assert (changed["rule_name"], changed["word_list"]) == ("none", ["guaranteed"])
    for body in (None, {}):  # GET, and POST as some SDKs do
        (listed,) = corp.call("externalcontact/get_intercept_rule_list", body)["rule_list"]
        assert (listed["rule_id"], listed["rule_name"]) == (rule_id, "none")
    assert corp.code(rule_path("del"), {"rule_id": rule_id}) == 0
    assert corp.code(rule_path("get"), {"rule_id": rule_id}) == 40058


def test_rules_meet_what_members_write(corp: Corp) -> None:
    corp.call(rule_path("add"), RULE)
    warn = {"rule_name": "mail", "word_list": ["x"], "semantics_list": [2], "intercept_type": 2}
    corp.call(rule_path("add"), {**warn, "applicable_range": {"department_list": [1]}})
    pair = {"userid": "anna", "external_userid": corp.people[0], "by": "staff"}
    blocked = {"met": [{"rule": "no promises", "blocked": True}]}
    assert corp.act("write", **pair, text="guaranteed!") == blocked
    assert corp.act("write", **pair, text="call 13800000000") == blocked
    assert corp.act("write", **pair, text="to a@b.cn") == {"met": [{"rule": "mail", "blocked": False}]}
    other = {"userid": "bo", "external_userid": corp.people[4], "by": "staff"}
    assert corp.act("write", **other, text="guaranteed!") == {"met": []}
    with corp.local.state.transaction() as db:
        assert db.execute("select sum(written) from relation").fetchone()[0] == 2  # what was blocked did not arrive


@pytest.mark.parametrize(
    "change",
    [
        {"rule_name": ""},
        {"rule_name": "n" * 21},
        {"word_list": []},
        {"word_list": ["w"] * 301},
        {"word_list": ["w" * 33]},
        {"intercept_type": 3},
        {"semantics_list": [4]},
        {"applicable_range": {"user_list": ["u"] * 1001}},
    ],
)
def test_errors_of_rules(corp: Corp, change: dict[str, Any]) -> None:
    assert corp.code(rule_path("add"), {**RULE, **change}) == 40058


def test_a_hundred_rules(corp: Corp) -> None:
    with corp.local.state.transaction() as db:
        db.executemany(
            "insert into kept (kind, id, agentid, body, created_at) values ('rule', ?, 1000002, '{}', 0)",
            ((f"r{n}",) for n in range(100)),
        )
    assert corp.code(rule_path("add"), RULE) == 40058


def picture(corp: Corp, purpose: int = 2) -> dict[str, Any]:
    params = {"access_token": corp.token, "media_type": "image", "attachment_type": purpose}
    made = corp.http.post("media/upload_attachment", params=params, files={"media": ("a.png", PNG)}).json()
    return {"type": "image", "image": {"media_id": made["media_id"]}}


def test_album(corp: Corp) -> None:
    base = "externalcontact"
    body = {"description": "tea", "price": 4900, "product_sn": "T1", "attachments": [picture(corp)]}
    product_id = corp.call(f"{base}/add_product_album", body)["product_id"]
    found = corp.call(f"{base}/get_product_album", {"product_id": product_id})["product"]
    assert {**body, "product_id": product_id, "create_time": found["create_time"]} == found
    assert corp.code(f"{base}/update_product_album", {"product_id": product_id, "price": 3900}) == 0
    (listed,) = corp.call(f"{base}/get_product_album_list", {"limit": 10})["product_list"]
    assert (listed["price"], listed["description"]) == (3900, "tea")
    assert corp.code(f"{base}/delete_product_album", {"product_id": product_id}) == 0
    assert corp.call(f"{base}/get_product_album_list", {})["product_list"] == []


def test_errors_of_the_album(corp: Corp) -> None:
    good = {"description": "tea", "price": 1, "attachments": [picture(corp)]}
    cases: list[tuple[dict[str, Any], int]] = [
        ({"description": ""}, 40058),
        ({"description": "d" * 301}, 40058),
        ({"price": 0}, 40058),
        ({"price": 5_000_001}, 40058),
        ({"product_sn": "a-b"}, 40058),
        ({"attachments": []}, 41064),
        ({"attachments": [{"type": "video"}]}, 41065),
        ({"attachments": [picture(corp, 1)]}, 40007),
        ({}, 0),
    ]
    found = [corp.code("externalcontact/add_product_album", {**good, **change}) for change, _ in cases]
    assert found == [code for _, code in cases]
