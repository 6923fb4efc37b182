"""Customer groups: list, details, versions, events, statistics, join ways, welcome templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

LIST, GET = "externalcontact/groupchat/list", "externalcontact/groupchat/get"
DAY = 86400


def details(corp: Corp, chat_id: str, **more: Any) -> dict[str, Any]:
    answer = corp.call(GET, {"chat_id": chat_id, **more})
    assert answer["errcode"] == 0, answer
    return dict(answer["group_chat"])


def made(corp: Corp, owner: str = "anna", name: str = "Tea", members: list[str] | None = None) -> str:
    return str(corp.act("chat_create", owner=owner, name=name, members=members or [])["chat_id"])


def changes(corp: Corp) -> list[dict[str, Any]]:
    return [{name: value for name, value in told.items() if name != "Event"} for told in corp.events()]


def test_a_group_and_its_members(corp: Corp) -> None:
    chat_id = made(corp, members=["bo"])
    assert (chat_id[:2], len(chat_id)) == ("wr", 32)
    corp.act("chat_join", chat_id=chat_id, userids=[corp.people[0]], how="invited", invitor="anna")
    corp.act("chat_join", chat_id=chat_id, userids=[corp.people[4]], how="code", state="door")
    found = details(corp, chat_id)
    assert (found["name"], found["owner"], found["admin_list"]) == ("Tea", "anna", [])
    assert "name" not in found["member_list"][0]
    members = {one["userid"]: one for one in details(corp, chat_id, need_name=1)["member_list"]}
    assert {userid: (one["type"], one["join_scene"]) for userid, one in members.items()} == {
        **{"anna": (1, 1), "bo": (1, 1), corp.people[0]: (2, 1), corp.people[4]: (2, 3)}
    }
    assert (members[corp.people[0]]["invitor"], members[corp.people[0]]["name"]) == ({"userid": "anna"}, "Person 0")
    assert (members[corp.people[4]]["state"], "invitor" in members[corp.people[4]]) == ("door", False)
    assert members[corp.people[0]]["unionid"]
    assert "unionid" not in members["anna"]


def test_the_name_of_a_stranger_of_another_corp_is_hidden(corp: Corp) -> None:
    rows = [{"key": key, "name": key, "kind": 2, "corp_name": "Tea Co"} for key in ("friend", "stranger")]
    friend, stranger = corp.admin.people(rows)
    corp.admin.relate("add", "bo", friend)
    chat_id = made(corp, members=[friend, stranger])
    names = {one["userid"]: one["name"] for one in details(corp, chat_id, need_name=1)["member_list"]}
    assert names == {"anna": "Anna", friend: "friend", stranger: ""}


def test_events_carry_the_version_of_the_member_list(corp: Corp) -> None:
    chat_id = made(corp)
    corp.act("chat_join", chat_id=chat_id, userids=corp.people[:2], how="link")
    corp.act("chat_leave", chat_id=chat_id, userids=[corp.people[0]])
    corp.act("chat_leave", chat_id=chat_id, userids=[corp.people[1]], removed=True)
    create, join, leave, kick = changes(corp)
    assert create == {"ChangeType": "create", "ChatId": chat_id}
    wanted = {"UpdateDetail": "add_member", "JoinScene": 2, "MemChangeCnt": 2, "MemChangeList": corp.people[:2]}
    assert join | wanted == join
    assert leave | {"UpdateDetail": "del_member", "QuitScene": 0, "MemChangeList": corp.people[:1]} == leave
    assert (kick["QuitScene"], kick["MemChangeCnt"]) == (1, 1)
    assert (leave["LastMemVer"], kick["LastMemVer"]) == (join["CurMemVer"], leave["CurMemVer"])
    assert details(corp, chat_id)["member_version"] == kick["CurMemVer"]


def test_joining_twice_changes_nothing(corp: Corp) -> None:
    chat_id = made(corp, members=[corp.people[0]])
    before = details(corp, chat_id)["member_version"]
    assert corp.act("chat_join", chat_id=chat_id, userids=[corp.people[0]])["joined"] == 0
    assert corp.act("chat_leave", chat_id=chat_id, userids=[corp.people[1]])["left"] == 0
    assert details(corp, chat_id)["member_version"] == before


def test_name_notice_owner_and_end(corp: Corp) -> None:
    chat_id = made(corp, members=["bo"])
    corp.events()
    corp.act("chat_change", chat_id=chat_id, name="Coffee", notice="hello", owner="bo", admins=["anna", "carl"])
    found = details(corp, chat_id)
    assert (found["name"], found["notice"], found["owner"]) == ("Coffee", "hello", "bo")
    assert found["admin_list"] == [{"userid": "anna"}]
    corp.act("chat_dismiss", chat_id=chat_id)
    assert [(one["ChangeType"], one.get("UpdateDetail")) for one in changes(corp)] == [
        *[("update", "change_name"), ("update", "change_notice"), ("update", "change_owner"), ("dismiss", None)]
    ]
    assert corp.code(GET, {"chat_id": chat_id}) == 86001
    assert corp.call(LIST, {"limit": 10})["group_chat_list"] == []


def test_who_may_own_and_how_many_fit(corp: Corp) -> None:
    with pytest.raises(SimulatorRefused, match="owner"):
        corp.act("chat_create", owner="carl")
    chat_id = made(corp)
    with pytest.raises(SimulatorRefused, match="new owner"):
        corp.act("chat_change", chat_id=chat_id, owner="bo")
    corp.admin.settings(chat_size=3)
    with pytest.raises(SimulatorRefused, match="full"):
        corp.act("chat_join", chat_id=chat_id, userids=corp.people[:3])


def test_list(corp: Corp) -> None:
    rows = [{"owner": owner, "name": "G", "createtime": 1_700_000_000} for owner in ("anna", "bo", "anna")]
    ids = corp.act("groups", groups=rows)["chat_ids"]
    first = corp.call(LIST, {"limit": 2})
    rest = corp.call(LIST, {"limit": 2, "cursor": first["next_cursor"]})
    assert [one["chat_id"] for one in first["group_chat_list"] + rest["group_chat_list"]] == ids
    assert rest["next_cursor"] == ""
    mine = corp.call(LIST, {"limit": 10, "owner_filter": {"userid_list": ["ANNA"]}})["group_chat_list"]
    assert [one["chat_id"] for one in mine] == [ids[0], ids[2]]
    assert corp.call(LIST, {"limit": 10, "status_filter": 1})["group_chat_list"] == []
    corp.admin.corp("Lotus", [{"agentid": 1000002, "allowed": {"users": ["bo"]}}])
    assert [one["chat_id"] for one in corp.call(LIST, {"limit": 10})["group_chat_list"]] == [ids[1]]
    assert corp.code(GET, {"chat_id": ids[0]}) == 60011


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (LIST, {}, 40058),
        (LIST, {"limit": 1001}, 40058),
        (LIST, {"limit": 1, "status_filter": 4}, 40058),
        (LIST, {"limit": 1, "owner_filter": {"userid_list": ["a"] * 101}}, 40058),
        (GET, {}, 86003),
        (GET, {"chat_id": "wrnone"}, 86001),
        ("externalcontact/opengid_to_chatid", {"opengid": "none"}, 86001),
    ],
)
def test_errors(corp: Corp, path: str, body: dict[str, Any], code: int) -> None:
    assert corp.code(path, body) == code


def test_opengid(corp: Corp) -> None:
    chat_id = made(corp)
    opengid = corp.act("opengid", chat_id=chat_id)["opengid"]
    assert corp.call("externalcontact/opengid_to_chatid", {"opengid": opengid})["chat_id"] == chat_id


def test_statistics(corp: Corp) -> None:
    start = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())
    turn(corp, start + 3600)
    tea, coffee = made(corp, members=corp.people[:2]), made(corp, "bo")
    corp.act("chat_speak", chat_id=tea, userid=corp.people[0], times=3)
    turn(corp, start + DAY + 3600)
    corp.act("chat_join", chat_id=coffee, userids=corp.people[2:4])
    corp.act("chat_leave", chat_id=tea, userids=[corp.people[0]])
    turn(corp, start + 2 * DAY + 3600)
    corp.act("chat_join", chat_id=tea, userids=[corp.people[4]])
    body: dict[str, Any] = {"day_begin_time": start, "owner_filter": {"userid_list": ["anna", "bo"]}}
    found = corp.call("externalcontact/groupchat/statistic", {**body, "order_by": 4})
    assert (found["total"], found["next_offset"]) == (2, 2)
    anna, bo = found["items"]
    assert anna == {
        "owner": "anna",
        "data": {
            **{"new_chat_cnt": 1, "chat_total": 1, "chat_has_msg": 1, "new_member_cnt": 2, "member_total": 3},
            **{"member_has_msg": 1, "msg_total": 3, "migrate_trainee_chat_cnt": 0},
        },
    }
    assert (bo["data"]["member_total"], bo["data"]["msg_total"]) == (1, 0)
    both = corp.call("externalcontact/groupchat/statistic_group_by_day", {**body, "day_end_time": start + DAY})
    assert [
        (one["stat_time"], one["data"]["new_member_cnt"], one["data"]["member_total"]) for one in both["items"]
    ] == [*[(start, 2, 4), (start + DAY, 2, 5)]]
    ascending = corp.call("externalcontact/groupchat/statistic", {**body, "order_by": 4, "order_asc": 1, "limit": 1})
    assert ([one["owner"] for one in ascending["items"]], ascending["next_offset"]) == (["bo"], 1)


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [(-1, -1, 0), (-1, None, 0), (-180, -151, 0), (0, 0, 600018), (-181, -181, 600018), (-40, -9, 600018)],
)
def test_span_of_statistics(corp: Corp, first: int, last: int | None, code: int) -> None:
    today = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())
    turn(corp, today + 7200)
    body: dict[str, Any] = {"day_begin_time": today + first * DAY}
    body |= {} if last is None else {"day_end_time": today + last * DAY}
    assert corp.code("externalcontact/groupchat/statistic_group_by_day", body) == code


def test_statistics_begin_at_midnight_and_need_owners_in_a_large_corp(corp: Corp) -> None:
    path = "externalcontact/groupchat/statistic"
    today = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp())
    turn(corp, today + 7200)
    assert corp.code(path, {"day_begin_time": today - DAY + 60}) == 600018
    corp.admin.staff({"userid": f"s{n}", "name": "S"} for n in range(1000))
    assert corp.code(path, {"day_begin_time": today - DAY}) == 81017


def turn(corp: Corp, moment: float) -> None:
    """Turn the clock to a moment and sign in anew."""
    clock = corp.admin.clock()
    corp.admin.clock(clock["offset_s"] + moment - clock["now"])
    corp.sign_in()


def way(corp: Corp, **more: Any) -> str:
    answer = corp.call("externalcontact/groupchat/add_join_way", {"scene": 2, **more})
    assert answer.keys() == {"errcode", "errmsg", "config_id"}, answer
    return str(answer["config_id"])


def test_join_way_fills_group_after_group_and_then_makes_one(corp: Corp) -> None:
    corp.admin.settings(chat_direct_size=2)
    tea, coffee = made(corp), made(corp, "bo")
    code = way(corp, chat_id_list=[tea, coffee], room_base_name="Club", room_base_id=7, state="door")
    corp.events()
    joined = [corp.act("scan", config_id=code, external_userid=one)["chat_id"] for one in corp.people[:4]]
    assert joined[:2] == [tea, coffee]
    assert joined[2] not in {tea, coffee}
    found = details(corp, joined[2])
    assert (found["name"], found["owner"], found["member_list"][-1]["state"]) == ("Club7", "anna", "door")
    assert details(corp, joined[3])["name"] == "Club8"
    assert corp.act("scan", config_id=code, external_userid=corp.people[0]) == {"chat_id": tea, "joined": 0}
    assert [(one["ChangeType"], one.get("JoinScene")) for one in changes(corp)] == [
        *[("update", 3), ("update", 3), ("create", None), ("update", 3), ("create", None), ("update", 3)]
    ]


def test_join_way_without_a_new_group(corp: Corp) -> None:
    corp.admin.settings(chat_direct_size=1)
    code = way(corp, chat_id_list=[made(corp)], auto_create_room=0)
    with pytest.raises(SimulatorRefused, match="full"):
        corp.act("scan", config_id=code, external_userid=corp.people[0])
    assert corp.code("externalcontact/groupchat/del_join_way", {"config_id": code}) == 0
    with pytest.raises(SimulatorRefused, match="does not work"):
        corp.act("scan", config_id=code, external_userid=corp.people[0])


def test_updating_a_join_way_resets_what_is_left_out(corp: Corp) -> None:
    tea = made(corp)
    code = way(corp, chat_id_list=[tea], auto_create_room=0, state="door", remark="r" * 40)
    get = "externalcontact/groupchat/get_join_way"
    before = corp.call(get, {"config_id": code})["join_way"]
    assert (before["auto_create_room"], before["state"], before["remark"]) == (0, "door", "r" * 30)
    assert before["qr_code"].endswith(f"/{code}.png")
    assert (
        corp.code("externalcontact/groupchat/update_join_way", {"config_id": code, "scene": 1, "chat_id_list": [tea]})
        == 0
    )
    after = corp.call(get, {"config_id": code})["join_way"]
    assert (after["auto_create_room"], after["state"], "qr_code" in after) == (1, "", False)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scene": None}, 41038),
        ({"scene": 3}, 41040),
        ({"chat_id_list": []}, 40058),
        ({"chat_id_list": ["wrnone"]}, 86001),
        ({"room_base_name": "n" * 41}, 40058),
        ({"state": "s" * 31}, 40058),
        ({"auto_create_room": 2}, 40058),
    ],
)
def test_errors_of_join_ways(corp: Corp, change: dict[str, Any], code: int) -> None:
    body = {"scene": 2, "chat_id_list": [made(corp)], **change}
    body = {name: value for name, value in body.items() if value is not None}
    assert corp.code("externalcontact/groupchat/add_join_way", body) == code
    assert corp.code("externalcontact/groupchat/get_join_way", {}) == 41043
    assert corp.code("externalcontact/groupchat/get_join_way", {"config_id": "none"}) == 41044


def test_group_welcome_templates(corp: Corp) -> None:
    base = "externalcontact/group_welcome_template"
    link = {"title": "t", "url": "https://x/"}
    made = corp.call(f"{base}/add", {"text": {"content": "hi %NICKNAME%"}, "link": link, "video": None})
    template = {"template_id": made["template_id"]}
    found = corp.call(f"{base}/get", template)
    assert (found["text"], found["link"]) == ({"content": "hi %NICKNAME%"}, link)
    assert corp.code(f"{base}/edit", {**template, "text": {"content": "x" * 3000}}) == 0
    assert "link" not in corp.call(f"{base}/get", template)
    assert corp.code(f"{base}/edit", {**template, "text": {"content": "x" * 3001}}) == 45002
    assert corp.code(f"{base}/edit", template) == 40058
    assert corp.code(f"{base}/add", {"link": {"title": "t"}}) == 40058
    assert corp.code(f"{base}/del", template) == 0
    assert corp.code(f"{base}/get", template) == 40037
    codes = [corp.code(f"{base}/add", {"text": {"content": "x"}}) for _ in range(101)]
    assert (codes[:100], codes[100]) == ([0] * 100, 41055)
