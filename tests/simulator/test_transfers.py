"""Customers and groups that are handed over: the day it takes, refusal, limits, events."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

ON_JOB, RESIGNED = "externalcontact/transfer_customer", "externalcontact/resigned/transfer_customer"
UNASSIGNED = "externalcontact/get_unassigned_list"
DAY = 86400


def pair(handover: str = "anna", takeover: str = "bo") -> dict[str, Any]:
    return {"handover_userid": handover, "takeover_userid": takeover}


def start(corp: Corp, path: str, people: list[str], **who: str) -> list[int]:
    answer = corp.call(path, {**pair(**who), "external_userid": people})
    assert answer["errcode"] == 0, answer
    return [one["errcode"] for one in answer["customer"]]


def results(corp: Corp, path: str = "externalcontact/transfer_result", **who: str) -> dict[str, int]:
    return {one["external_userid"]: one["status"] for one in corp.call(path, pair(**who))["customer"]}


def told(corp: Corp) -> list[dict[str, Any]]:
    return [{name: value for name, value in one.items() if name != "Event"} for one in corp.events()]


def test_it_takes_a_day(corp: Corp) -> None:
    person = corp.people[0]
    corp.admin.relations(
        [{"userid": "anna", "external_userid": person, "createtime": 1_700_000_000, "channel_state": "door"}]
    )
    assert start(corp, ON_JOB, [person]) == [0]
    corp.pass_time(DAY - 60)
    assert (results(corp), told(corp)) == ({person: 2}, [])
    corp.pass_time(60)
    assert results(corp) == {person: 1}
    assert told(corp) == [
        {
            **{"ChangeType": "del_external_contact", "UserID": "anna", "ExternalUserID": person},
            "Source": "DELETE_BY_TRANSFER",
        },
        {"ChangeType": "add_external_contact", "UserID": "bo", "ExternalUserID": person, "State": "door"},
    ]
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert (follower["userid"], follower["add_way"], follower["state"], "oper_userid" in follower) == (
        *("bo", 202, "door", False),
    )


def test_a_turned_clock_is_enough(corp: Corp) -> None:
    start(corp, ON_JOB, corp.people[:1])
    corp.admin.clock(DAY)
    corp.sign_in()
    assert results(corp) == {corp.people[0]: 1}


def test_the_customer_refuses(corp: Corp) -> None:
    person = corp.people[0]
    start(corp, ON_JOB, [person])
    corp.act("refuse_transfer", external_userid=person, takeover="bo")
    assert told(corp) == [
        {
            **{"ChangeType": "transfer_fail", "FailReason": "customer_refused"},
            **{"UserID": "bo", "ExternalUserID": person},
        }
    ]
    corp.pass_time(DAY)
    assert results(corp) == {person: 3}
    assert person in corp.call("externalcontact/list", userid="anna")["external_userid"]
    with pytest.raises(SimulatorRefused, match="no transfer waits"):
        corp.act("refuse_transfer", external_userid=person, takeover="bo")


def test_a_friend_of_the_taker_is_not_added_again(corp: Corp) -> None:
    person = corp.people[0]
    corp.admin.relations([{"userid": "bo", "external_userid": person, "createtime": 1_700_000_000}])
    start(corp, ON_JOB, [person])
    corp.pass_time(DAY)
    assert [one["ChangeType"] for one in told(corp)] == ["del_external_contact"]


def test_the_taker_is_full_by_then(corp: Corp) -> None:
    start(corp, ON_JOB, corp.people[:1])
    corp.admin.settings(customers_per_member=2)
    corp.pass_time(DAY)
    assert results(corp) == {corp.people[0]: 4}
    assert [one["FailReason"] for one in told(corp)] == ["customer_limit_exceed"]


def test_refusals_of_single_customers(corp: Corp) -> None:
    people = [corp.people[0], "wmother", corp.people[4]]
    assert start(corp, ON_JOB, people) == [0, 40096, 40131]
    assert start(corp, ON_JOB, [corp.people[0]]) == [40129]
    corp.admin.settings(customers_per_member=2)
    assert start(corp, ON_JOB, [corp.people[1]]) == [40099]


def test_twice_in_ninety_days(corp: Corp) -> None:
    person = [corp.people[0]]
    assert start(corp, ON_JOB, person) == [0]
    corp.pass_time(DAY)
    assert start(corp, ON_JOB, person, handover="bo", takeover="anna") == [0]
    corp.pass_time(DAY)
    assert start(corp, ON_JOB, person) == [40128]
    corp.admin.clock(92 * DAY)
    corp.sign_in()
    assert start(corp, ON_JOB, person) == [0]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (ON_JOB, {**pair(), "external_userid": []}, 40058),
        (ON_JOB, {**pair(), "external_userid": ["x"] * 101}, 40058),
        (ON_JOB, {**pair(), "external_userid": ["x"], "transfer_success_msg": "m" * 201}, 40058),
        (ON_JOB, {**pair("nobody"), "external_userid": ["x"]}, 40003),
        (ON_JOB, {**pair("anna", "carl"), "external_userid": ["x"]}, 84074),
        (ON_JOB, {**pair("anna", "ANNA"), "external_userid": ["x"]}, 40130),
        (RESIGNED, {**pair(), "external_userid": ["x"]}, 40097),
        (RESIGNED, {**pair(""), "external_userid": ["x"]}, 41009),
        ("externalcontact/transfer_result", {}, 41009),
        ("externalcontact/transfer", {**pair(), "external_userid": "x"}, 48005),
    ],
)
def test_errors(corp: Corp, path: str, body: dict[str, Any], code: int) -> None:
    assert corp.code(path, body) == code


def test_customers_of_who_left(corp: Corp) -> None:
    assert corp.call(UNASSIGNED, {}) == {"errcode": 0, "errmsg": "ok", "info": [], "is_last": True, "next_cursor": ""}
    corp.act("staff_leaves", userid="anna")
    corp.events()
    first = corp.call(UNASSIGNED, {"page_size": 2})
    rest = corp.call(UNASSIGNED, {"page_size": 2, "cursor": first["next_cursor"]})
    assert [one["external_userid"] for one in first["info"] + rest["info"]] == sorted(corp.people[:3])
    assert (first["is_last"], rest["is_last"], first["info"][0]["handover_userid"]) == (False, True, "anna")
    assert corp.call(UNASSIGNED, {"page_size": 2, "page_id": 1})["info"] == rest["info"]
    assert start(corp, RESIGNED, corp.people[:1]) == [0]
    assert start(corp, RESIGNED, corp.people[:1]) == [40100]
    assert len(corp.call(UNASSIGNED, {})["info"]) == 2
    corp.pass_time(DAY)
    assert results(corp, "externalcontact/resigned/transfer_result") == {corp.people[0]: 1}
    assert [one["ChangeType"] for one in told(corp)] == ["del_external_contact", "add_external_contact"]
    corp.admin.clock(367 * DAY)
    corp.sign_in()
    body = {**pair(), "external_userid": corp.people[1:2]}
    assert corp.code(RESIGNED, body) == 40097  # a year later it is too late


def test_the_old_form_is_for_lenient_mode(corp: Corp) -> None:
    corp.admin.settings(strict=False)
    corp.act("staff_leaves", userid="anna")
    body = {**pair(), "external_userid": corp.people[0]}
    assert [corp.code("externalcontact/transfer", body) for _ in range(2)] == [0, 40100]


def groups(corp: Corp, *owners: str) -> list[str]:
    return [str(corp.act("chat_create", owner=owner, name="G")["chat_id"]) for owner in owners]


def failed(corp: Corp, path: str, chats: list[str], owner: str = "bo") -> dict[str, int]:
    answer = corp.call(f"externalcontact/groupchat/{path}", {"chat_id_list": chats, "new_owner": owner})
    assert answer["errcode"] == 0, answer
    return {one["chat_id"]: one["errcode"] for one in answer["failed_chat_list"]}


def test_groups_of_who_left(corp: Corp) -> None:
    annas, bos = groups(corp, "anna", "bo")
    assert failed(corp, "transfer", [annas, bos, "wrnone"]) == {annas: 90500, bos: 90504, "wrnone": 90501}
    corp.act("staff_leaves", userid="anna")
    listing = {"limit": 10, "status_filter": 1}
    assert corp.call("externalcontact/groupchat/list", listing)["group_chat_list"] == [{"chat_id": annas, "status": 1}]
    assert failed(corp, "onjob_transfer", [annas]) == {annas: 90502}
    corp.events()
    assert failed(corp, "transfer", [annas]) == {}
    found = corp.call("externalcontact/groupchat/get", {"chat_id": annas})["group_chat"]
    assert (found["owner"], [one["userid"] for one in found["member_list"]]) == ("bo", ["anna", "bo"])
    assert [one.get("UpdateDetail") for one in told(corp)] == ["add_member", "change_owner"]
    statuses = corp.call("externalcontact/groupchat/list", {"limit": 10, "status_filter": 3})["group_chat_list"]
    assert statuses == [{"chat_id": annas, "status": 3}]


def test_groups_on_the_job(corp: Corp) -> None:
    (chat,) = groups(corp, "anna")
    corp.admin.settings(group_transfer_s=DAY)
    assert failed(corp, "onjob_transfer", [chat]) == {}
    assert failed(corp, "onjob_transfer", [chat]) == {chat: 90507}
    corp.pass_time(DAY)
    corp.admin.settings(group_transfer_s=0, groups_per_new_owner_a_day=1)
    assert failed(corp, "onjob_transfer", [chat], "anna") == {}
    assert failed(corp, "onjob_transfer", [chat]) == {chat: 40128}
    (another,) = groups(corp, "bo")
    assert failed(corp, "onjob_transfer", [another], "anna") == {another: 45009}
