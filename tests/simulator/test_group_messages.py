"""Mass messages to groups, by tags, chosen by the member, sent by himself, and the caps that all of them share."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator import days
from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

ADD, RESULT = "externalcontact/add_msg_template", "externalcontact/get_groupmsg_send_result"
HELLO = {"text": {"content": "hello"}}


def added(corp: Corp, **body: Any) -> dict[str, Any]:
    answer = corp.call(ADD, {**HELLO, **body})
    assert answer["errcode"] == 0, answer
    return answer


def chat(corp: Corp, owner: str = "anna", *members: str) -> str:
    return str(corp.act("chat_create", owner=owner, name="G", members=list(members))["chat_id"])


def results(corp: Corp, msgid: str, userid: str = "anna", key: str = "chat_id") -> dict[str, int]:
    listed = corp.call(RESULT, {"msgid": msgid, "userid": userid})["send_list"]
    return {one[key]: one["status"] for one in listed}


def test_to_groups(corp: Corp) -> None:
    mine, other = chat(corp, "anna", corp.people[4]), chat(corp, "bo")
    answer = added(corp, chat_type="group", sender="anna", chat_id_list=[mine, other, mine])
    msgid = answer["msgid"]
    assert (answer["fail_list"], results(corp, msgid)) == ([other], {mine: 0})
    assert corp.admin.confirm(msgid)["confirmed"] == 1
    assert results(corp, msgid) == {mine: 1}
    now = int(corp.admin.clock()["now"])
    span = {"chat_type": "group", "start_time": now - 60, "end_time": now + 60}
    assert [one["msgid"] for one in corp.call("externalcontact/get_groupmsg_list_v2", span)["group_msg_list"]] == [
        msgid
    ]
    (task,) = corp.admin.tasks()["tasks"]
    assert (task["chat_type"], task["people"], task["sent"]) == ("group", 1, 1)


def test_the_groups_statistics_count_them(corp: Corp) -> None:
    mine = chat(corp, "anna", corp.people[4])
    for _ in range(2):
        corp.admin.confirm(added(corp, chat_type="group", sender="anna", chat_id_list=[mine])["msgid"])
    corp.admin.confirm(added(corp, chat_type="group", sender="bo", chat_id_list=[chat(corp, "bo")])["msgid"])
    today = days.midnight(corp.local.state.settings, corp.local.state.now())
    corp.pass_time(86400)
    body = {"day_begin_time": today, "owner_filter": {"userid_list": ["anna"]}}
    (item,) = corp.call("externalcontact/groupchat/statistic", body)["items"]
    assert (item["data"]["msg_total"], item["data"]["chat_has_msg"], item["data"]["member_has_msg"]) == (2, 1, 1)


def test_the_owner_picks_where_none_are_named(corp: Corp) -> None:
    first, second = chat(corp), chat(corp)
    msgid = added(corp, chat_type="group", sender="anna")["msgid"]
    assert results(corp, msgid) == {}
    corp.act("confirm", msgid=msgid, only=[second])
    assert results(corp, msgid) == {second: 1}
    msgid = added(corp, chat_type="group", sender="anna")["msgid"]
    corp.admin.confirm(msgid)
    assert results(corp, msgid) == {first: 1, second: 1}


def test_a_group_that_is_gone_or_somebody_elses_gets_nothing(corp: Corp) -> None:
    gone, moved = chat(corp), chat(corp, "anna", "bo")
    msgid = added(corp, chat_type="group", sender="anna", chat_id_list=[gone, moved])["msgid"]
    corp.act("chat_dismiss", chat_id=gone)
    corp.act("chat_change", chat_id=moved, owner="bo")
    corp.admin.confirm(msgid)
    assert results(corp, msgid) == {gone: 2, moved: 2}


def test_cap_per_group(corp: Corp) -> None:
    corp.admin.settings(monthly_cap=1)
    mine = chat(corp)
    found = []
    for _ in range(2):
        msgid = added(corp, chat_type="group", sender="anna", chat_id_list=[mine])["msgid"]
        corp.admin.confirm(msgid)
        found.append(results(corp, msgid)[mine])
    assert found == [1, 3]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"chat_type": "group"}, 40058),
        ({"chat_type": "group", "sender": "bo"}, 41048),
        ({"chat_type": "group", "sender": "anna", "chat_id_list": ["wrnone"]}, 41048),
        ({"chat_type": "group", "sender": "anna", "chat_id_list": [str(n) for n in range(2001)]}, 40058),
        ({"chat_type": "band", "sender": "anna"}, 86214),
        ({"sender": "anna", "tag_filter": {"group_list": [{"tag_list": ["etnone"]}]}}, 40068),
        ({"sender": "anna", "tag_filter": {"group_list": [{"tag_list": ["et"] * 101}]}}, 40058),
    ],
)
def test_errors(corp: Corp, body: dict[str, Any], code: int) -> None:
    chat(corp)
    assert corp.code(ADD, {**HELLO, **body}) == code


def test_by_tags(corp: Corp) -> None:
    a, b, c = corp.act("add_tags", group="g", tags=["a", "b", "c"])["tag_ids"]
    for person, tags in zip(corp.people[:3], ([a], [b, c], [c]), strict=True):
        corp.act("tag", userid="anna", external_userid=person, add=tags)

    def reached(*groups: list[str]) -> set[str]:
        asked = {"group_list": [{"tag_list": one} for one in groups]}
        answer = corp.call(ADD, {**HELLO, "sender": "anna", "tag_filter": asked})
        return set() if answer["errcode"] == 41048 else set(results(corp, answer["msgid"], key="external_userid"))

    assert reached([a, b]) == set(corp.people[:2])
    assert reached([a, b], [c]) == {corp.people[1]}
    assert reached([a], [c]) == set()
    assert reached() == set(corp.people[:3])


def test_the_member_leaves_customers_out_where_he_may(corp: Corp) -> None:
    msgid = added(corp, sender="anna")["msgid"]
    with pytest.raises(SimulatorRefused, match="choose"):
        corp.act("confirm", msgid=msgid, only=corp.people[:1])
    msgid = added(corp, sender="anna", allow_select=True)["msgid"]
    corp.act("confirm", msgid=msgid, only=corp.people[:1])
    assert results(corp, msgid, key="external_userid") == {corp.people[0]: 1}


def test_members_own_messages_share_the_cap(corp: Corp) -> None:
    corp.admin.settings(monthly_cap=2)
    own = corp.act("own_message", userid="anna", text="tea?")
    assert own["people"] == 3
    with pytest.raises(SimulatorRefused, match="today"):
        corp.act("own_message", userid="anna", text="coffee?")
    found = []
    for _ in range(2):
        msgid = added(corp, sender="anna", external_userid=corp.people[:1])["msgid"]
        corp.admin.confirm(msgid)
        found.append(results(corp, msgid, key="external_userid")[corp.people[0]])
    assert found == [1, 3]
    now = int(corp.admin.clock()["now"])
    span: dict[str, Any] = {"chat_type": "single", "start_time": now - 60, "end_time": now + 60}
    path = "externalcontact/get_groupmsg_list_v2"
    (mine,) = corp.call(path, {**span, "filter_type": 1})["group_msg_list"]
    assert (mine["msgid"], mine["creator"], mine["create_type"]) == (own["msgid"], "anna", 1)
    assert len(corp.call(path, {**span, "filter_type": 0})["group_msg_list"]) == 2
    assert corp.call(path, {**span, "creator": "bo"})["group_msg_list"] == []


@pytest.mark.parametrize(("period", "days", "expected"), [("day", 1, [1, 3, 1]), ("week", 7, [1, 1, 1])])
def test_other_caps_that_an_administrator_may_choose(corp: Corp, period: str, days: int, expected: list[int]) -> None:
    corp.admin.settings(cap_period=period)
    found = []
    for number in range(3):
        if number == 2:
            corp.admin.clock(days * 86400)
            corp.sign_in()
        msgid = added(corp, sender="anna", external_userid=corp.people[:1])["msgid"]
        corp.admin.confirm(msgid)
        found.append(results(corp, msgid, key="external_userid")[corp.people[0]])
    assert found == expected


def test_the_older_form_of_results_is_for_lenient_mode(corp: Corp) -> None:
    path = "externalcontact/get_group_msg_result"
    msgid = added(corp, external_userid=corp.people)["msgid"]
    assert corp.code(path, {"msgid": msgid}) == 48005
    corp.admin.settings(strict=False)
    corp.admin.confirm(msgid, "anna")
    first = corp.call(path, {"msgid": msgid, "limit": 3})
    rest = corp.call(path, {"msgid": msgid, "limit": 3, "cursor": first["next_cursor"]})
    listed = [(one["userid"], one["status"]) for one in first["detail_list"] + rest["detail_list"]]
    assert listed == [("anna", 1)] * 3 + [("bo", 0)] * 2
    assert (first["check_status"], rest["next_cursor"]) == (1, "")
