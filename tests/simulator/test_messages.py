"""Mass-message tasks: rules, confirmation, cap, reminders, cancellation, the list's lag."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.world import World


def test_nothing_is_sent_before_confirmation(world: World) -> None:
    msgid = world.send("anna", world.people[:2])
    task = world.call("externalcontact/get_groupmsg_task", {"msgid": msgid})
    assert task["task_list"] == [{"userid": "anna", "status": 0}]
    assert world.statuses(msgid, "anna") == {world.people[0]: 0, world.people[1]: 0}
    assert world.admin.confirm(msgid)["confirmed"] == 1
    task = world.call("externalcontact/get_groupmsg_task", {"msgid": msgid})
    assert task["task_list"][0]["status"] == 2
    assert world.statuses(msgid, "anna") == {world.people[0]: 1, world.people[1]: 1}
    assert world.admin.confirm(msgid)["confirmed"] == 0


def test_fail_list_holds_other_peoples_customers(world: World) -> None:
    body = {"sender": "anna", "external_userid": [world.people[0], world.people[4]], "text": {"content": "x"}}
    answer = world.call("externalcontact/add_msg_template", body)
    assert answer["fail_list"] == [world.people[4]]
    body["external_userid"] = [world.people[4]]
    assert world.call("externalcontact/add_msg_template", body)["errcode"] == 41048


def test_without_sender_each_customer_goes_to_the_newest_friend(world: World) -> None:
    newest = {"userid": "bo", "external_userid": world.people[0], "createtime": 1_800_000_000}
    world.admin.relations([newest])
    msgid = world.send("", world.people)
    assert world.statuses(msgid, "bo").keys() == {world.people[0], world.people[3], world.people[4]}
    assert world.statuses(msgid, "anna").keys() == {world.people[1], world.people[2]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": {"content": "中" * 1334}}, 45002),
        ({"text": {"content": ""}}, 40058),
        ({"external_userid": [], "sender": ""}, 40058),
        ({"external_userid": [str(n) for n in range(10_001)]}, 40058),
        ({"sender": "nobody"}, 40003),
        ({"sender": "carl"}, 84074),
        ({"chat_type": "band"}, 86214),
        ({"attachments": [{"msgtype": "poem", "poem": {}}]}, 41065),
        ({"attachments": [{"msgtype": "link", "link": {"title": "t", "url": "u"}}] * 10}, 41064),
        ({"attachments": [{"msgtype": "link", "link": {"title": "t" * 129, "url": "u"}}]}, 40058),
        ({"attachments": [{"msgtype": "link", "link": {"title": "t"}}]}, 40058),
        ({"attachments": [{"msgtype": "image", "image": {"media_id": "gone"}}]}, 40007),
    ],
)
def test_rules_of_content(world: World, change: dict[str, Any], code: int) -> None:
    body = {"sender": "anna", "external_userid": world.people[:1], "text": {"content": "x"}, **change}
    assert world.call("externalcontact/add_msg_template", body)["errcode"] == code


def test_monthly_cap(world: World) -> None:
    world.admin.settings(monthly_cap=2)
    results = []
    for _ in range(3):
        msgid = world.send("anna", world.people[:1])
        world.admin.confirm(msgid)
        results.append(world.statuses(msgid, "anna")[world.people[0]])
    assert results == [1, 1, 3]
    world.admin.advance(32 * 86400)
    world.sign_in()
    msgid = world.send("anna", world.people[:1])
    world.admin.confirm(msgid)
    assert world.statuses(msgid, "anna")[world.people[0]] == 1


def test_list_omits_the_creator_and_lags(world: World) -> None:
    world.admin.settings(list_lag_s=30)
    msgid = world.send("anna", world.people[:1], "hello http://x/l/ab1")
    now = int(world.admin.clock()["now"])
    span = {"chat_type": "single", "start_time": now - 60, "end_time": now + 600}
    assert world.call("externalcontact/get_groupmsg_list_v2", span)["group_msg_list"] == []
    world.admin.clock(31)
    (listed,) = world.call("externalcontact/get_groupmsg_list_v2", span)["group_msg_list"]
    assert (listed["msgid"], listed["text"]["content"]) == (msgid, "hello http://x/l/ab1")
    assert "creator" not in listed
    span["end_time"] = now + 40 * 86400
    assert world.call("externalcontact/get_groupmsg_list_v2", span)["errcode"] == 600018


def test_list_pages_newest_first(world: World) -> None:
    made = [world.send("anna", world.people[:1]) for _ in range(3)]
    now = int(world.admin.clock()["now"])
    span: dict[str, Any] = {"chat_type": "single", "start_time": now - 60, "end_time": now + 60, "limit": 2}
    first = world.call("externalcontact/get_groupmsg_list_v2", span)
    second = world.call("externalcontact/get_groupmsg_list_v2", {**span, "cursor": first["next_cursor"]})
    listed = [one["msgid"] for one in first["group_msg_list"] + second["group_msg_list"]]
    assert (listed, second["next_cursor"]) == (made[::-1], "")


def test_three_reminders_a_day(world: World) -> None:
    world.admin.settings(confirm_rate=0, remind_rate=0)
    msgid = world.send("anna", world.people[:1])
    codes = [world.call("externalcontact/remind_groupmsg_send", {"msgid": msgid})["errcode"] for _ in range(4)]
    assert codes == [0, 0, 0, 45009]
    world.admin.advance(86400)
    world.sign_in()
    assert world.call("externalcontact/remind_groupmsg_send", {"msgid": msgid})["errcode"] == 0
    assert world.call("externalcontact/remind_groupmsg_send", {"msgid": "nothing"})["errcode"] == 41047


def test_a_reminder_moves_the_undecided(world: World) -> None:
    world.admin.settings(confirm_rate=0, remind_rate=1)
    world.send("anna", world.people[:1])
    assert world.admin.advance(86400)["confirmed"] == 0
    world.sign_in()
    msgid = world.send("anna", world.people[:1])
    world.call("externalcontact/remind_groupmsg_send", {"msgid": msgid})
    assert world.admin.advance(86400)["confirmed"] == 1


def test_cancelled_task_cannot_be_confirmed(world: World) -> None:
    msgid = world.send("anna", world.people[:1])
    assert world.call("externalcontact/cancel_groupmsg_send", {"msgid": msgid})["errcode"] == 0
    assert world.call("externalcontact/cancel_groupmsg_send", {"msgid": msgid})["errcode"] == 0
    assert world.admin.confirm(msgid)["confirmed"] == 0
    assert world.admin.advance(86400)["confirmed"] == 0
    assert world.admin.received()["received"] == {}


def test_staff_confirm_in_their_own_time(world: World) -> None:
    world.admin.settings(confirm_rate=1, confirm_delay_s=3600)
    world.send("anna", world.people[:3])
    world.send("bo", world.people[3:])
    assert world.admin.advance(7200)["confirmed"] == 2
    assert world.admin.received()["received"] == {"1": 5}


def test_ignored_tasks_stay_open(world: World) -> None:
    world.admin.settings(confirm_rate=1, confirm_delay_s=60)
    world.send("anna", world.people[:3])
    assert world.admin.ignore()["ignored"] == 1
    assert world.admin.advance(86400)["confirmed"] == 0
    assert world.admin.tasks()["open"] == 1


def test_provider_counts_doubled_messages(world: World) -> None:
    world.send("anna", world.people[:2], "see /l/ab1")
    world.send("anna", world.people[1:3], "see /l/ab1")
    world.send("anna", world.people[:3], "another")
    counted = world.admin.received("/l/ab1")
    assert counted["tasked"] == {"1": 2, "2": 1}
    assert counted["tasked_doubled"] == [world.people[1]]
    assert counted["messages"] == 2
