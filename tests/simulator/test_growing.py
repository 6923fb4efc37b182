"""Worlds of a size, crowds, and the limits and senders that come with load."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp


def test_growing(corp: Corp) -> None:
    numbers = {"members": 30, "people": 1_000, "groups": 7, "group_size": 40, "tags": 60}
    assert corp.act("grow", **numbers) == {"members": 30, "people": 1_000, "groups": 7, "tags": 60}
    members = [
        one for one in corp.call("externalcontact/get_follow_user_list")["follow_user"] if one.startswith("grown")
    ]
    seen: set[str] = set()
    body: dict[str, Any] = {"userid_list": members, "limit": 100}
    while True:
        page = corp.call("externalcontact/batch/get_by_user", body)
        seen |= {one["external_contact"]["external_userid"] for one in page["external_contact_list"]}
        assert all(len(one["follow_info"]["tag_id"]) == 1 for one in page["external_contact_list"])
        if not page["next_cursor"]:
            break
        body["cursor"] = page["next_cursor"]
    assert (len(members), len(seen)) == (30, 1_000)
    chats = corp.call("externalcontact/groupchat/list", {"limit": 100})["group_chat_list"]
    sizes = [
        len(corp.call("externalcontact/groupchat/get", {"chat_id": one["chat_id"]})["group_chat"]["member_list"])
        for one in chats
    ]
    assert sizes == [41] * 7
    groups = corp.call("externalcontact/get_corp_tag_list", {})["tag_group"]
    assert [len(group["tag"]) for group in groups] == [50, 10]
    assert corp.events() == []


def test_growing_again_changes_nothing(corp: Corp) -> None:
    corp.act("grow", members=3, people=10)
    before = corp.admin.status()["counts"]
    corp.act("grow", members=3, people=10)
    assert corp.admin.status()["counts"] == before


def test_what_cannot_grow(corp: Corp) -> None:
    with pytest.raises(SimulatorRefused, match="size must be"):
        corp.act("grow", size="huge")
    with pytest.raises(SimulatorRefused, match="need members"):
        corp.act("grow", people=5)


def test_a_crowd_scans_a_code(corp: Corp) -> None:
    body = {"type": 2, "scene": 2, "user": ["anna", "bo"], "state": "door"}
    way = corp.call("externalcontact/add_contact_way", body)["config_id"]
    came = corp.act("crowd", config_id=way, count=20)["external_userids"]
    told = corp.events()
    assert [one["ExternalUserID"] for one in told] == came
    assert [one["UserID"] for one in told] == ["anna", "bo"] * 10
    assert len({one["WelcomeCode"] for one in told}) == 20


def test_limit_of_an_address(corp: Corp) -> None:
    corp.local.running.limiter.forget()
    corp.admin.settings(calls_per_hour_of_address=2)
    codes = [corp.code(path) for path in ("department/list", "get_jsapi_ticket", "getcallbackip")]
    assert codes == [0, 0, 45009]


def test_numbers_sent_as_text_get_a_warning_where_it_is_on(corp: Corp) -> None:
    body = {"userid_list": ["anna"], "limit": "2"}
    corp.admin.settings(json_warning=True)
    assert corp.call("externalcontact/batch/get_by_user", body)["errmsg"] == "Warning: wrong json format. ok"
    assert corp.call("externalcontact/batch/get_by_user", {**body, "limit": 2})["errmsg"] == "ok"
