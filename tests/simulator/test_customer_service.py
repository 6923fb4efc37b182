"""WeChat customer service: accounts, messages, sessions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32
TEXT = {"msgtype": "text", "text": {"content": "hello"}}


@pytest.fixture
def account(corp: Corp) -> str:
    params = {"access_token": corp.token, "type": "image"}
    made = corp.http.post("media/upload", params=params, files={"media": ("a.png", PNG)}).json()
    answer = corp.call("kf/account/add", {"name": "Tea help", "media_id": made["media_id"]})
    assert answer["errcode"] == 0, answer
    return str(answer["open_kfid"])


def synced(corp: Corp, **body: Any) -> list[tuple[int, str]]:
    found = corp.call("kf/sync_msg", body)
    assert found["errcode"] == 0, found
    return [(one["origin"], one["msgtype"]) for one in found["msg_list"]]


def test_accounts_and_servicers(corp: Corp, account: str) -> None:
    (listed,) = corp.call("kf/account/list", {})["account_list"]
    assert (listed["open_kfid"], listed["name"], account[:2]) == (account, "Tea help", "wk")
    corp.call("kf/account/update", {"open_kfid": account, "name": "Cup help"})
    assert corp.call("kf/account/list", {})["account_list"][0]["name"] == "Cup help"
    results = corp.call("kf/servicer/add", {"open_kfid": account, "userid_list": ["anna", "ghost"]})["result_list"]
    assert [one["errcode"] for one in results] == [0, 60111]
    assert corp.call("kf/servicer/list", open_kfid=account)["servicer_list"] == [{"userid": "anna", "status": 0}]
    corp.call("kf/servicer/del", {"open_kfid": account, "userid_list": ["anna"]})
    assert corp.call("kf/servicer/list", open_kfid=account)["servicer_list"] == []
    assert corp.call("kf/add_contact_way", {"open_kfid": account, "scene": "door_7"})["url"].endswith("door_7")
    assert corp.code("kf/add_contact_way", {"open_kfid": account, "scene": "no spaces"}) == 40058
    corp.call("kf/account/del", {"open_kfid": account})
    assert corp.code("kf/account/update", {"open_kfid": account}) == 95004
    assert corp.code("kf/account/update", {"open_kfid": "x"}) == 95000
    assert corp.code("kf/account/add", {"name": "n" * 17}) == 95006


def test_event_then_sync(corp: Corp, account: str) -> None:
    corp.act("kf_write", open_kfid=account, external_userid=corp.people[0], text="is it open?")
    (told,) = corp.events()
    assert (told["Event"], told["OpenKfId"], "ChangeType" in told) == ("kf_msg_or_event", account, False)
    first = corp.call("kf/sync_msg", {"token": told["Token"], "limit": 1})
    assert (first["has_more"], first["msg_list"][0]["text"]) == (0, {"content": "is it open?"})
    corp.act("kf_write", open_kfid=account, external_userid=corp.people[0], text="hello?")
    assert synced(corp, cursor=first["next_cursor"]) == [(3, "text")]
    assert corp.code("kf/sync_msg", {"token": "none"}) == 95007
    corp.admin.clock(601)
    assert corp.code("kf/sync_msg", {"token": told["Token"]}) == 95007
    corp.admin.clock(3 * 86400 + 60)
    corp.sign_in()
    assert synced(corp) == []


def test_five_answers_within_two_days(corp: Corp, account: str) -> None:
    body = {"touser": corp.people[0], "open_kfid": account, **TEXT}
    assert corp.code("kf/send_msg", body) == 95018
    corp.act("kf_write", open_kfid=account, external_userid=corp.people[0], text="?")
    assert [corp.code("kf/send_msg", body) for _ in range(6)] == [0] * 5 + [95001]
    corp.act("kf_write", open_kfid=account, external_userid=corp.people[0], text="?")
    assert corp.code("kf/send_msg", body) == 0
    corp.admin.clock(48 * 3600 + 60)
    corp.sign_in()
    assert corp.code("kf/send_msg", body) == 95018


def test_welcome_on_entering(corp: Corp, account: str) -> None:
    code = corp.act("kf_enter", open_kfid=account, external_userid=corp.people[0], scene="s")["welcome_code"]
    (entered,) = corp.call("kf/sync_msg", {})["msg_list"]
    assert (entered["origin"], entered["event"]["welcome_code"]) == (4, code)
    assert [corp.code("kf/send_msg_on_event", {"code": code, **TEXT}) for _ in range(2)] == [0, 40058]
    again = corp.act("kf_enter", open_kfid=account, external_userid=corp.people[0])
    assert again == {"welcome_code": ""}  # something was sent within 48 hours
    late = corp.act("kf_enter", open_kfid=account, external_userid=corp.people[1])["welcome_code"]
    corp.admin.clock(21)
    assert corp.code("kf/send_msg_on_event", {"code": late, **TEXT}) == 40058


def test_states_of_a_session(corp: Corp, account: str) -> None:
    pair = {"open_kfid": account, "external_userid": corp.people[0]}
    corp.act("kf_write", **pair, text="?")
    corp.call("kf/servicer/add", {"open_kfid": account, "userid_list": ["anna"]})
    trans = "kf/service_state/trans"
    assert corp.code(trans, {**pair, "service_state": 3, "servicer_userid": "bo"}) == 95014
    assert corp.code(trans, {**pair, "service_state": 3, "servicer_userid": "anna"}) == 0
    found = corp.call("kf/service_state/get", pair)
    assert (found["service_state"], found["servicer_userid"]) == (3, "anna")
    assert corp.code(trans, {**pair, "service_state": 1}) == 95016
    assert corp.code(trans, {**pair, "service_state": 4}) == 0
    assert corp.code("kf/send_msg", {"touser": corp.people[0], "open_kfid": account, **TEXT}) == 95018


def test_customers(corp: Corp) -> None:
    found = corp.call("kf/customer/batchget", {"external_userid_list": [corp.people[0], "wmnone"]})
    assert [one["nickname"] for one in found["customer_list"]] == ["Person 0"]
    assert found["invalid_external_userid"] == ["wmnone"]
    assert corp.code("kf/customer/batchget", {}) == 40058
