"""Live codes and the welcome after a scan."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

ADD, GET, LIST, UPDATE, DELETE = (
    f"externalcontact/{verb}_contact_way" for verb in ("add", "get", "list", "update", "del")
)
WELCOME = "externalcontact/send_welcome_msg"
HELLO = {"text": {"content": "hello"}}


def way(corp: Corp, **more: Any) -> str:
    answer = corp.call(ADD, {"type": 2, "scene": 2, "user": ["anna", "bo"], **more})
    assert answer["errcode"] == 0, answer
    return str(answer["config_id"])


def newcomer(corp: Corp, key: str = "new") -> str:
    return corp.admin.people([{"key": key, "name": key, "unionid": f"o{key}"}])[0]


def scan(corp: Corp, config_id: str, person: str) -> dict[str, Any]:
    return corp.act("scan", config_id=config_id, external_userid=person)


def test_add_get_update_delete(corp: Corp) -> None:
    config_id = way(corp, remark="door", state="s1")
    assert len(config_id) == 32
    found = corp.call(GET, {"config_id": config_id})["contact_way"]
    assert found == {
        **{"config_id": config_id, "type": 2, "scene": 2, "style": 1, "remark": "door", "skip_verify": True},
        **{"state": "s1", "user": ["anna", "bo"], "party": [], "is_temp": False, "mark_source": True},
        "qr_code": f"{corp.local.url}/pictures/contact/{config_id}.png",
    }
    assert corp.code(UPDATE, {"config_id": config_id, "user": ["bo"]}) == 0
    changed = corp.call(GET, {"config_id": config_id})["contact_way"]
    assert changed == {**found, "user": ["bo"]}
    assert corp.code(DELETE, {"config_id": config_id}) == 0
    assert corp.code(GET, {"config_id": config_id}) == 41044
    with pytest.raises(SimulatorRefused, match="does not work"):
        scan(corp, config_id, corp.people[0])


def test_a_widget_has_no_picture(corp: Corp) -> None:
    answer = corp.call(ADD, {"type": 1, "scene": 1, "style": 2, "user": ["anna"]})
    assert "qr_code" not in answer


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": None}, 41037),
        ({"scene": None}, 41038),
        ({"type": 3}, 41039),
        ({"scene": 3}, 41040),
        ({"scene": 1, "style": 4}, 41042),
        ({"type": 1}, 40058),
        ({"user": []}, 40058),
        ({"user": ["nobody"]}, 40003),
        ({"user": ["carl"]}, 84074),
        ({"user": ["idle"]}, 41054),
        ({"user": ["shy"]}, 40098),
        ({"party": [99]}, 60123),
        ({"remark": "r" * 31}, 40058),
        ({"state": "s" * 31}, 40058),
        ({"is_temp": True}, 41039),
        ({"type": 1, "user": ["anna"], "is_temp": True, "expires_in": 15 * 86400}, 40058),
        ({"party": [5]}, 41041),
    ],
)
def test_errors(corp: Corp, change: dict[str, Any], code: int) -> None:
    corp.admin.staff([{"userid": "idle", "name": "I", "status": 4}, {"userid": "shy", "name": "S", "verified": False}])
    corp.admin.departments([{"id": 5, "name": "Large"}])
    corp.admin.staff({"userid": f"s{n}", "name": "S", "departments": [5]} for n in range(99))
    body = {"type": 2, "scene": 2, "user": ["anna", "bo"], **change}
    assert corp.code(ADD, {name: value for name, value in body.items() if value is not None}) == code


def test_quota_is_shared_with_join_ways(corp: Corp) -> None:
    chat = corp.act("chat_create", owner="anna", name="x")["chat_id"]
    corp.admin.settings(ways=2, temporary_ways_a_day=1)
    join = {"scene": 2, "chat_id_list": [chat]}
    assert corp.code("externalcontact/groupchat/add_join_way", join) == 0
    assert corp.code(ADD, {"type": 1, "scene": 2, "user": ["anna"]}) == 0
    assert corp.code(ADD, {"type": 1, "scene": 2, "user": ["anna"]}) == 41045
    assert corp.code("externalcontact/groupchat/add_join_way", join) == 41045
    temporary = {"type": 1, "scene": 2, "user": ["anna"], "is_temp": True}
    assert [corp.code(ADD, temporary) for _ in range(2)] == [0, 41045]
    corp.pass_time(86400)
    assert corp.code(ADD, temporary) == 0


def test_list_holds_the_last_ninety_days_without_temporary_ones(corp: Corp) -> None:
    first = way(corp)
    way(corp, type=1, user=["anna"], is_temp=True)
    corp.pass_time(80 * 86400)
    second = way(corp)
    page = corp.call(LIST, {"limit": 1})
    rest = corp.call(LIST, {"limit": 1, "cursor": page["next_cursor"]})
    assert [one["config_id"] for one in page["contact_way"] + rest["contact_way"]] == [first, second]
    assert rest["next_cursor"] == ""
    corp.pass_time(11 * 86400)
    assert corp.call(LIST, {})["contact_way"] == [{"config_id": second}]
    assert len(corp.call(LIST, {"start_time": 0})["contact_way"]) == 2


def test_scanning_goes_round_and_keeps_the_state(corp: Corp) -> None:
    config_id = way(corp, state="door-7", user=["anna"], party=[3])
    people = [newcomer(corp, f"n{n}") for n in range(3)]
    answers = [scan(corp, config_id, person) for person in people]
    assert [one["userid"] for one in answers] == ["anna", "bo", "anna"]
    told = corp.events()
    assert [(one["ChangeType"], one["State"], one["WelcomeCode"]) for one in told] == [
        ("add_external_contact", "door-7", one["welcome_code"]) for one in answers
    ]
    (follower,) = corp.call("externalcontact/get", external_userid=people[0])["follow_user"]
    assert (follower["add_way"], follower["state"], follower["oper_userid"]) == (1, "door-7", people[0])


def test_scanning_again_is_no_event(corp: Corp) -> None:
    config_id = way(corp, user=["bo"], type=1)
    assert scan(corp, config_id, corp.people[4]) == {"userid": "bo", "state": "friends", "welcome_code": ""}
    assert corp.events() == []


def test_members_who_cannot_be_added_are_passed_over(corp: Corp) -> None:
    config_id = way(corp)
    corp.act("staff_leaves", userid="anna")
    assert [scan(corp, config_id, newcomer(corp, f"n{n}"))["userid"] for n in range(2)] == ["bo", "bo"]
    corp.act("staff_leaves", userid="bo")
    with pytest.raises(SimulatorRefused, match="nobody behind"):
        scan(corp, config_id, newcomer(corp, "n9"))


def test_verification(corp: Corp) -> None:
    person = newcomer(corp)
    config_id = way(corp, type=1, user=["bo"], skip_verify=False, state="door")
    assert scan(corp, config_id, person)["state"] == "asked"
    assert corp.events() == []
    corp.act("accept", userid="bo", external_userid=person)
    (told,) = corp.events()
    assert (told["ChangeType"], told["State"]) == ("add_external_contact", "door")


def test_half_first(corp: Corp) -> None:
    corp.admin.settings(half_first=True)
    person = newcomer(corp)
    code = scan(corp, way(corp, type=1, user=["bo"]), person)["welcome_code"]
    assert corp.code(WELCOME, {"welcome_code": code, **HELLO}) == 0
    corp.act("accept", userid="bo", external_userid=person)
    half, full = corp.events()
    assert (half["ChangeType"], half["WelcomeCode"]) == ("add_half_external_contact", code)
    assert (full["ChangeType"], "WelcomeCode" in full) == ("add_external_contact", False)


def test_exclusive_ways_bind_to_one_member(corp: Corp) -> None:
    person = newcomer(corp)
    first = way(corp, type=1, user=["anna"], is_exclusive=True)
    second = way(corp, type=1, user=["bo"], is_exclusive=True)
    assert scan(corp, first, person)["userid"] == "anna"
    assert scan(corp, second, person) == {"userid": "anna", "state": "friends", "welcome_code": ""}
    assert scan(corp, way(corp, type=1, user=["bo"]), person)["userid"] == "bo"


def test_temporary_chats(corp: Corp) -> None:
    person, other = newcomer(corp, "a"), newcomer(corp, "b")
    config_id = way(corp, type=1, user=["anna"], is_temp=True, unionid="oa", conclusions=HELLO)
    found = corp.call(GET, {"config_id": config_id})["contact_way"]
    assert (found["unionid"], found["expires_in"], found["conclusions"]) == ("oa", 7 * 86400, HELLO)
    with pytest.raises(SimulatorRefused, match="somebody else"):
        scan(corp, config_id, other)
    assert scan(corp, config_id, person)["state"] == "temporary"
    pair = {"userid": "anna", "external_userid": person}
    close = "externalcontact/close_temp_chat"
    assert [corp.code(close, pair) for _ in range(2)] == [0, 84061]
    scan(corp, config_id, person)
    corp.pass_time(86400)
    assert corp.code(close, pair) == 84061  # the chat has ended by itself
    corp.pass_time(6 * 86400)
    with pytest.raises(SimulatorRefused, match="expired"):
        scan(corp, config_id, person)


def welcome_code(corp: Corp, **more: Any) -> str:
    return str(scan(corp, way(corp, type=1, user=["bo"]), newcomer(corp))["welcome_code"])


def test_a_welcome_is_sent_once(corp: Corp) -> None:
    body = {"welcome_code": welcome_code(corp), **HELLO}
    assert [corp.code(WELCOME, body) for _ in range(2)] == [0, 41051]


@pytest.mark.parametrize(("seconds", "code"), [(5, 0), (21, 41050)])
def test_a_welcome_code_lives_for_twenty_seconds(corp: Corp, seconds: float, code: int) -> None:
    body = {"welcome_code": welcome_code(corp), **HELLO}
    corp.admin.clock(seconds)
    assert corp.code(WELCOME, body) == code


def test_no_welcome_once_the_chat_has_begun(corp: Corp) -> None:
    person = newcomer(corp)
    code = scan(corp, way(corp, type=1, user=["bo"]), person)["welcome_code"]
    corp.act("write", userid="bo", external_userid=person, by="customer")
    assert corp.code(WELCOME, {"welcome_code": code, **HELLO}) == 41051


def test_no_code_where_the_member_has_a_welcome_of_his_own(corp: Corp) -> None:
    corp.act("staff_changes", userid="bo", own_welcome=True)
    assert welcome_code(corp) == ""


def test_a_new_code_after_the_archive_was_agreed_to(corp: Corp) -> None:
    code = corp.act("agree_to_archive", userid="anna", external_userid=corp.people[0])["welcome_code"]
    (told,) = corp.events()
    assert (told["ChangeType"], told["WelcomeCode"]) == ("msg_audit_approved", code)
    assert corp.code(WELCOME, {"welcome_code": code, **HELLO}) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**HELLO}, 41049),
        ({"welcome_code": "none", **HELLO}, 41050),
        ({"welcome_code": "none"}, 40058),
        ({"welcome_code": "none", "text": {"content": "x" * 4001}}, 45002),
        ({"welcome_code": "none", "attachments": [{"msgtype": "image", "image": {"media_id": "gone"}}]}, 40007),
    ],
)
def test_errors_of_welcome(corp: Corp, body: dict[str, Any], code: int) -> None:
    assert corp.code(WELCOME, body) == code
