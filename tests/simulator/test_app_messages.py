"""Messages of apps to staff."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp

APP = 1000002
TEXT: dict[str, Any] = {"agentid": APP, "msgtype": "text", "text": {"content": "hello"}, "touser": "anna"}


def sent(corp: Corp, **more: Any) -> dict[str, Any]:
    answer = corp.call("message/send", {**TEXT, **more})
    assert answer["errcode"] == 0, answer
    return answer


def inbox(corp: Corp, userid: str) -> list[str]:
    return [one["msgid"] for one in corp.act("inbox", userid=userid)["messages"]]


def test_receivers(corp: Corp) -> None:
    first = sent(corp, touser="anna|ghost", toparty="3|99")
    assert (first["invaliduser"], first["invalidparty"], first["invalidtag"]) == ("ghost", "99", "")
    second = sent(corp, touser="@all")
    assert inbox(corp, "anna") == inbox(corp, "bo") == [second["msgid"], first["msgid"]]
    assert inbox(corp, "carl") == [second["msgid"]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"agentid": 1}, 40056),
        ({"touser": ""}, 82001),
        ({"touser": "ghost"}, 81013),
        ({"touser": "|".join(f"u{n}" for n in range(1001))}, 40058),
        ({"msgtype": "poem"}, 40008),
        ({"text": {"content": ""}}, 44004),
        ({"text": {"content": "x" * 2049}}, 45002),
        ({"msgtype": "image", "image": {"media_id": "gone"}}, 40007),
        ({"msgtype": "textcard", "textcard": {"title": "t", "description": "d"}}, 44004),
        ({"msgtype": "news", "news": {"articles": [{}] * 9}}, 40058),
        ({"msgtype": "template_card", "template_card": {"card_type": "poem"}}, 40058),
    ],
)
def test_errors(corp: Corp, change: dict[str, Any], code: int) -> None:
    assert corp.code("message/send", {**TEXT, **change}) == code


def test_the_same_again_is_held_back_for_a_while(corp: Corp) -> None:
    first = sent(corp, enable_duplicate_check=1, duplicate_check_interval=600)
    assert sent(corp, enable_duplicate_check=1, duplicate_check_interval=600)["msgid"] == first["msgid"]
    corp.admin.clock(601)
    assert sent(corp, enable_duplicate_check=1, duplicate_check_interval=600)["msgid"] != first["msgid"]


def test_what_is_too_much_is_dropped_or_refused(corp: Corp) -> None:
    corp.admin.settings(app_messages_a_minute=2)
    for _ in range(3):
        sent(corp)
    assert len(inbox(corp, "anna")) == 2
    corp.admin.settings(account_limit=0)
    assert corp.code("message/send", TEXT) == 45009


def test_recall(corp: Corp) -> None:
    msgid = sent(corp)["msgid"]
    assert corp.code("message/recall", {"msgid": msgid}) == 0
    assert inbox(corp, "anna") == []
    late = sent(corp)["msgid"]
    corp.pass_time(86400)
    assert corp.code("message/recall", {"msgid": late}) == 40058


def test_a_card_is_pressed_and_changed_once(corp: Corp) -> None:
    card = {"card_type": "button_interaction", "task_id": "t1"}
    made = sent(corp, msgtype="template_card", template_card=card)
    corp.act("press", userid="anna", msgid=made["msgid"], key="yes")
    (told,) = corp.events()
    assert told == {
        **{"Event": "template_card_event", "EventKey": "yes", "TaskId": "t1", "CardType": "button_interaction"},
        **{"ResponseCode": made["response_code"], "AgentID": APP},
    }
    body = {"agentid": APP, "response_code": made["response_code"], "button": {"replace_name": "done"}}
    assert [corp.code("message/update_template_card", body) for _ in range(2)] == [0, 40058]
