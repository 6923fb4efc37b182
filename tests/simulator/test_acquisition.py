"""Acquisition links: adding, quota, events, statistics."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

BASE = "externalcontact/customer_acquisition"
DAY = 86400


@pytest.fixture(autouse=True)
def quota(corp: Corp) -> None:
    corp.act("buy_quota", count=100)


def link(corp: Corp, **more: Any) -> dict[str, Any]:
    answer = corp.call(f"{BASE}/create_link", {"link_name": "door", "range": {"user_list": ["anna", "bo"]}, **more})
    assert answer["errcode"] == 0, answer
    return dict(answer["link"])


def newcomer(corp: Corp, key: str = "new") -> str:
    return corp.admin.people([{"key": key, "name": key}])[0]


def opened(corp: Corp, url: str, person: str) -> dict[str, Any]:
    return corp.act("open_link", url=url, external_userid=person)


def told(corp: Corp) -> list[dict[str, Any]]:
    found = [one for one in corp.events() if one["Event"] == "customer_acquisition"]
    return [{name: value for name, value in one.items() if name != "Event"} for one in found]


def test_links_of_an_app(corp: Corp) -> None:
    made = link(corp, priority_option={"priority_type": 2, "priority_userid_list": ["bo"]})
    link_id = made["link_id"]
    assert (link_id[:2], made["url"]) == ("ca", f"https://work.weixin.qq.com/ca/{link_id}")
    found = corp.call(f"{BASE}/get", {"link_id": link_id})
    assert found["link"] == {
        **{"link_name": "door", "url": made["url"], "create_time": made["create_time"]},
        **{"skip_verify": True, "mark_source": True},
    }
    assert found["range"] == {"user_list": ["anna", "bo"], "department_list": []}
    assert found["priority_option"] == {"priority_type": 2, "priority_userid_list": ["bo"]}
    second = link(corp)["link_id"]
    page = corp.call(f"{BASE}/list_link", {"limit": 1})
    rest = corp.call(f"{BASE}/list_link", {"limit": 1, "cursor": page["next_cursor"]})
    assert (page["link_id_list"], rest["link_id_list"], rest["next_cursor"]) == ([link_id], [second], "")
    change = {"link_id": link_id, "link_name": "shop", "range": {"department_list": [3]}}
    assert corp.code(f"{BASE}/update_link", change) == 0
    assert corp.call(f"{BASE}/get", {"link_id": link_id})["range"]["department_list"] == [3]
    assert corp.code(f"{BASE}/delete_link", {"link_id": link_id}) == 0
    assert corp.code(f"{BASE}/get", {"link_id": link_id}) == 40058
    assert told(corp) == []  # the API is not told of itself


def test_a_customer_through_a_link(corp: Corp) -> None:
    made, person = link(corp), newcomer(corp)
    answer = opened(corp, f"{made['url']}?customer_channel=poster%2D7", person)
    assert (answer["userid"], answer["state"]) == ("anna", "full")
    request, added = corp.events()
    assert request == {
        **{"Event": "customer_acquisition", "ChangeType": "friend_request"},
        **{"LinkId": made["link_id"], "State": "poster-7"},
    }
    assert (added["ChangeType"], added["State"]) == ("add_external_contact", "poster-7")
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert (follower["add_way"], follower["state"]) == (16, "poster-7")
    assert opened(corp, made["url"], person)["state"] == "friends"
    assert opened(corp, made["url"], newcomer(corp, "b"))["userid"] == "bo"
    listed = corp.call(f"{BASE}/customer", {"link_id": made["link_id"], "limit": 1})
    rest = corp.call(f"{BASE}/customer", {"link_id": made["link_id"], "cursor": listed["next_cursor"]})
    assert listed["customer_list"] == [
        {"external_userid": person, "userid": "anna", "chat_status": 0, "state": "poster-7"}
    ]
    assert [one["userid"] for one in rest["customer_list"]] == ["bo"]
    now = int(corp.admin.clock()["now"])
    body = {"link_id": made["link_id"], "start_time": now - 60, "end_time": now + 60}
    answer = corp.call(f"{BASE}/statistic", body)
    assert (answer["click_link_customer_cnt"], answer["new_customer_cnt"]) == (2, 2)
    assert corp.code(f"{BASE}/statistic", {**body, "end_time": now + 31 * DAY}) == 600018


def test_a_friend_in_the_range_gets_her_back(corp: Corp) -> None:
    made = link(corp)
    assert opened(corp, made["url"], corp.people[4]) == {"userid": "bo", "state": "friends", "welcome_code": ""}


def test_a_long_channel_is_cut(corp: Corp) -> None:
    made, person = link(corp), newcomer(corp)
    opened(corp, f"{made['url']}?customer_channel={'x' * 70}", person)
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert follower["state"] == "x" * 64


def test_writing_uses_quota_and_is_told(corp: Corp) -> None:
    made, person = link(corp), newcomer(corp)
    opened(corp, f"{made['url']}?customer_channel=c", person)
    told(corp)
    pair = {"userid": "anna", "external_userid": person}
    corp.act("write", **pair, by="customer", times=2)
    assert told(corp) == [
        {
            **{"ChangeType": "customer_start_chat", "LinkId": made["link_id"]},
            **{"UserID": "anna", "ExternalUserID": person},
        }
    ]
    corp.act("write", **pair, by="customer")
    ((third),) = told(corp)
    assert (third["ChangeType"], third["LinkId"]) == ("message_from_customer", made["link_id"])
    info = corp.call(f"{BASE}/get_chat_info", {"chat_key": third["ChatKey"]})
    assert (info["userid"], info["external_userid"]) == ("anna", person)
    assert info["chat_info"] == {"recv_msg_cnt": 3, "link_id": made["link_id"], "state": "c"}
    corp.admin.clock(1801)
    assert corp.code(f"{BASE}/get_chat_info", {"chat_key": third["ChatKey"]}) == 40058
    corp.act("write", **pair, by="customer", times=7)
    assert [one["ChangeType"] for one in told(corp)] == ["message_from_customer"] * 2  # the fifth and the tenth
    quota = corp.call("externalcontact/customer_acquisition_quota")
    assert (quota["total"], quota["balance"]) == (100, 99)
    assert [one["balance"] for one in quota["quota_list"]] == [99]
    assert corp.call(f"{BASE}/customer", {"link_id": made["link_id"]})["customer_list"][0]["chat_status"] == 1


def test_quota_runs_out(corp: Corp) -> None:
    made = link(corp)
    with corp.local.state.transaction() as db:
        db.execute("update quota set balance = 20")
    for number in range(20):
        person = newcomer(corp, f"n{number}")
        userid = opened(corp, made["url"], person)["userid"]
        corp.act("write", userid=userid, external_userid=person)
    assert [one["ChangeType"] for one in told(corp) if one["ChangeType"].startswith("balance")] == [
        *("balance_low", "balance_exhausted")
    ]
    with pytest.raises(SimulatorRefused, match="no quota"):
        opened(corp, made["url"], newcomer(corp, "late"))
    assert corp.act("buy_quota", count=5) == {"balance": 5}
    assert [one["ChangeType"] for one in told(corp)] == ["balance_increased"]


def test_quota_that_ends_soon_is_told(corp: Corp) -> None:
    corp.act("buy_quota", count=7, days=3.5)
    corp.pass_time(3.2 * DAY)
    soon = [one for one in told(corp) if one["ChangeType"] == "quota_expire_soon"]
    assert [one["ExpireQuotaNum"] for one in soon] == [7, 7, 7]  # three, two and one day before


def test_nobody_behind_the_link(corp: Corp) -> None:
    made = link(corp, range={"user_list": ["anna"]})
    corp.act("staff_leaves", userid="anna")
    assert opened(corp, made["url"], newcomer(corp))["state"] == "unavailable"
    assert told(corp) == [{"ChangeType": "link_unavailable", "LinkId": made["link_id"]}]


def test_deleted_in_the_client(corp: Corp) -> None:
    made = link(corp)
    corp.act("delete_link", link_id=made["link_id"])
    assert told(corp) == [{"ChangeType": "delete_link", "LinkId": made["link_id"]}]
    with pytest.raises(SimulatorRefused, match="does not work"):
        opened(corp, made["url"], newcomer(corp))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"link_name": ""}, 40058),
        ({"range": {}}, 40058),
        ({"range": {"user_list": ["nobody"]}}, 40003),
        ({"range": {"user_list": ["carl"]}}, 84074),
        ({"range": {"department_list": [99]}}, 60123),
        ({"priority_option": {"priority_type": 3}}, 40058),
    ],
)
def test_errors(corp: Corp, change: dict[str, Any], code: int) -> None:
    body = {"link_name": "door", "range": {"user_list": ["anna"]}, **change}
    assert corp.code(f"{BASE}/create_link", body) == code


def test_a_wrapped_body_is_taken_in_lenient_mode_only(corp: Corp) -> None:
    body = {"link": {"link_name": "door", "range": {"user_list": ["anna"]}}}
    assert corp.code(f"{BASE}/create_link", body) == 40058
    corp.admin.settings(strict=False)
    made = corp.call(f"{BASE}/create_link", body)["link"]
    assert made["link_name"] == "door"
    body["link"]["link_name"] = "shop"
    assert corp.code(f"{BASE}/update_link", {"link_id": made["link_id"], **body}) == 0
    assert corp.call(f"{BASE}/get", {"link_id": made["link_id"]})["link"]["link_name"] == "shop"


def test_only_for_who_bought_it(corp: Corp) -> None:
    assert corp.call("externalcontact/customer_acquisition_app/get_permit")["department_list"] == [1]
    corp.admin.settings(acquisition=False)
    assert corp.code("externalcontact/customer_acquisition_quota") == 48002
