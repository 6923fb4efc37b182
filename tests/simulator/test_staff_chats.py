"""Group chats of members among themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp

CREATE, UPDATE, GET, SEND = "appchat/create", "appchat/update", "appchat/get", "appchat/send"


def made(corp: Corp, **more: Any) -> dict[str, Any]:
    return corp.call(CREATE, {"name": "Shop", "userlist": ["anna", "BO"], "chatid": "shop1", **more})


def test_a_chat_is_made_changed_and_looked_at(corp: Corp) -> None:
    assert made(corp)["chatid"] == "shop1"
    info = {"chatid": "shop1", "name": "Shop", "owner": "anna", "userlist": ["anna", "bo"]}
    assert corp.call(GET, chatid="shop1")["chat_info"] == info
    change = {"chatid": "shop1", "name": "Store", "owner": "carl", "add_user_list": ["carl"], "del_user_list": ["ANNA"]}
    assert corp.code(UPDATE, change) == 0
    after = {"chatid": "shop1", "name": "Store", "owner": "carl", "userlist": ["bo", "carl"]}
    assert corp.call(GET, chatid="shop1")["chat_info"] == after
    assert len(made(corp, chatid="")["chatid"]) == 32


def test_members_find_what_was_sent(corp: Corp) -> None:
    made(corp)
    assert corp.code(SEND, {"chatid": "shop1", "msgtype": "text", "text": {"content": "hello"}}) == 0
    assert len(corp.act("inbox", userid="bo")["messages"]) == 1
    assert corp.act("inbox", userid="carl")["messages"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"userlist": ["anna"]}, 86216),
        ({"userlist": ["anna", "Anna"]}, 86216),
        ({"userlist": ["anna", "ghost"]}, 40031),
        ({"owner": "carl"}, 86216),
        ({"name": "x" * 51}, 40058),
        ({"chatid": "no blanks"}, 86001),
        ({"chatid": "x" * 33}, 86001),
    ],
)
def test_making_refused(corp: Corp, change: dict[str, Any], code: int) -> None:
    assert made(corp, **change)["errcode"] == code


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (UPDATE, {"chatid": ""}, 86003),
        (UPDATE, {"chatid": "other"}, 86001),
        (UPDATE, {"chatid": "shop1", "del_user_list": ["bo"]}, 86216),
        (UPDATE, {"chatid": "shop1", "add_user_list": ["carl"], "del_user_list": ["anna"]}, 86216),  # the owner
        (SEND, {"chatid": "other", "msgtype": "text", "text": {"content": "x"}}, 86001),
        (SEND, {"chatid": "shop1", "msgtype": "template_card", "template_card": {}}, 40008),
        (SEND, {"chatid": "shop1", "msgtype": "text", "text": {}}, 44004),
    ],
)
def test_refused(corp: Corp, path: str, body: dict[str, Any], code: int) -> None:
    made(corp)
    assert corp.code(path, body) == code


def test_only_its_own_app_sees_a_chat_and_only_one_that_sees_everybody_makes_it(corp: Corp) -> None:
    made(corp)
    assert made(corp)["errcode"] == 86001  # taken
    apps = [{"agentid": 7, "secret": "s7"}, {"agentid": 8, "secret": "s8", "allowed": {"users": ["anna", "bo"]}}]
    corp.admin.corp("Lotus", apps)
    token = corp.call("gettoken", corpid=corp.corpid, corpsecret="s7")["access_token"]
    corp.token = token
    assert corp.code(GET, chatid="shop1") == 86001
    corp.token = corp.call("gettoken", corpid=corp.corpid, corpsecret="s8")["access_token"]
    assert made(corp, chatid="shop2")["errcode"] == 48002
