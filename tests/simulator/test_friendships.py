"""Relations in all their states: what people do, what the app is told, what calls answer."""

from __future__ import annotations

from typing import Any

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp

ADD, HALF = "add_external_contact", "add_half_external_contact"


def told(corp: Corp) -> list[dict[str, Any]]:
    """The events since the last look, without the codes of chance."""
    return [{name: value for name, value in one.items() if name != "WelcomeCode"} for one in corp.events()]


def event(change: str, userid: str, person: str, **more: Any) -> dict[str, Any]:
    return {
        **{"Event": "change_external_contact", "ChangeType": change, "UserID": userid, "ExternalUserID": person},
        **more,
    }


def test_half_then_full(corp: Corp) -> None:
    person = corp.people[0]
    corp.admin.relate("add_half", "bo", person, state="door")
    assert told(corp) == [event(HALF, "bo", person, State="door")]
    body = {"userid": "bo", "external_userid": person, "remark": "x"}
    assert corp.code("externalcontact/remark", body) == 84061
    followers = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert [one["userid"] for one in followers] == ["anna"]
    corp.act("accept", userid="bo", external_userid=person)
    assert told(corp) == [event(ADD, "bo", person, State="door")]
    assert corp.code("externalcontact/remark", body) == 0


def test_a_half_friend_of_nobody_else_is_84061(corp: Corp) -> None:
    (person,) = corp.admin.people([{"key": "new", "name": "New"}])
    corp.admin.relate("add_half", "bo", person)
    assert corp.code("externalcontact/get", external_userid=person) == 84061


def test_deleted_by_the_customer_then_by_the_member(corp: Corp) -> None:
    person = corp.people[0]
    corp.admin.relate("delete_by_customer", "anna", person)
    assert told(corp) == [event("del_follow_user", "anna", person)]
    assert person in corp.call("externalcontact/list", userid="anna")["external_userid"]
    body = {"userid": "anna", "external_userid": person, "remark": "left us"}
    assert corp.code("externalcontact/remark", body) == 0
    corp.admin.relate("delete_by_staff", "anna", person)
    assert told(corp) == [event("del_external_contact", "anna", person)]
    assert corp.code("externalcontact/remark", body) == 84061
    assert person not in corp.call("externalcontact/list", userid="anna")["external_userid"]


def test_added_again_after_a_deletion_is_a_new_friendship(corp: Corp) -> None:
    person = corp.people[0]
    body = {"userid": "anna", "external_userid": person, "remark": "old"}
    corp.call("externalcontact/remark", body)
    corp.admin.relate("delete_by_staff", "anna", person)
    corp.admin.clock(5000)
    corp.admin.relate("add", "anna", person, state="again")
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert (follower["remark"], follower["state"]) == ("", "again")
    assert follower["createtime"] == pytest.approx(corp.admin.clock()["now"], abs=60)


def test_by_phone_number(corp: Corp) -> None:
    (person,) = corp.admin.people([{"key": "new", "name": "New"}])
    corp.act("add_by_phone", userid="bo", external_userid=person, accept=False)
    assert told(corp) == []
    assert corp.code("externalcontact/get", external_userid=person) == 84061
    corp.act("accept", userid="bo", external_userid=person)
    assert told(corp) == [event(ADD, "bo", person)]
    (follower,) = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert (follower["add_way"], follower["oper_userid"]) == (2, "bo")
    corp.act("add_by_phone", userid="anna", external_userid=person, by="customer")
    followers = corp.call("externalcontact/get", external_userid=person)["follow_user"]
    assert [one["oper_userid"] for one in followers if one["userid"] == "anna"] == [person]


def test_nobody_to_accept(corp: Corp) -> None:
    with pytest.raises(SimulatorRefused, match="nobody waits"):
        corp.act("accept", userid="anna", external_userid=corp.people[0])


def test_a_member_has_a_limit_of_customers(corp: Corp) -> None:
    corp.admin.settings(customers_per_member=3)
    with pytest.raises(SimulatorRefused, match="as many customers"):
        corp.admin.relate("add", "anna", corp.people[3])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"userid": ""}, 41009),
        ({"userid": "nobody"}, 40003),
        ({"userid": "carl"}, 84074),
        ({"external_userid": ""}, 41035),
        ({"external_userid": "wmother"}, 40096),
        ({"userid": "bo"}, 84061),
        ({"remark": None}, 40058),
        ({"remark": "r" * 21}, 40058),
        ({"description": "d" * 151}, 40058),
        ({"remark_company": "c" * 21}, 40058),
        ({"remark_pic_mediaid": "gone"}, 40007),
    ],
)
def test_errors_of_remark(corp: Corp, change: dict[str, Any], code: int) -> None:
    body = {"userid": "anna", "external_userid": corp.people[0], "remark": "r", **change}
    assert corp.code("externalcontact/remark", body) == code


def test_remark(corp: Corp) -> None:
    pair = {"userid": "anna", "external_userid": corp.people[0]}
    noted = {"remark": "林", "description": "tea", "remark_company": "co", "remark_mobiles": ["1", "2"]}
    assert corp.code("externalcontact/remark", {**pair, **noted}) == 0
    assert corp.code("externalcontact/remark", {**pair, "description": "coffee"}) == 0
    page = corp.call("externalcontact/batch/get_by_user", {"userid_list": ["anna"]})["external_contact_list"]
    (info,) = [
        one["follow_info"] for one in page if one["external_contact"]["external_userid"] == pair["external_userid"]
    ]
    assert (info["remark"], info["description"], info["remark_corp_name"]) == ("林", "coffee", "co")
    assert info["remark_mobiles"] == ["1", "2"]
    corp.call("externalcontact/remark", {**pair, "remark_mobiles": [""]})
    (follower,) = corp.call("externalcontact/get", external_userid=pair["external_userid"])["follow_user"]
    assert follower["remark_mobiles"] == []
    assert told(corp) == []  # what the API does is not told


def test_what_the_api_does_is_told_on_request(corp: Corp) -> None:
    corp.admin.settings(callbacks_by_api=True)
    corp.call("externalcontact/remark", {"userid": "anna", "external_userid": corp.people[0], "remark": "r"})
    assert told(corp) == [event("edit_external_contact", "anna", corp.people[0])]


def test_notes_of_a_member_are_told(corp: Corp) -> None:
    corp.act("note", userid="anna", external_userid=corp.people[0], remark="vip", own_tags=["likes tea"])
    assert told(corp) == [event("edit_external_contact", "anna", corp.people[0])]
    (follower,) = corp.call("externalcontact/get", external_userid=corp.people[0])["follow_user"]
    assert follower["tags"] == [{"group_name": "", "tag_name": "likes tea", "type": 2}]


def test_five_hundred_followers_a_page(corp: Corp) -> None:
    corp.admin.staff({"userid": f"s{n:03}", "name": "S"} for n in range(501))
    corp.admin.relations(
        {"userid": f"s{n:03}", "external_userid": corp.people[4], "createtime": 1_800_000_000} for n in range(501)
    )
    first = corp.call("externalcontact/get", external_userid=corp.people[4])
    rest = corp.call("externalcontact/get", external_userid=corp.people[4], cursor=first["next_cursor"])
    seen = [one["userid"] for one in first["follow_user"] + rest["follow_user"]]
    assert (len(first["follow_user"]), seen) == (500, ["bo", *(f"s{n:03}" for n in range(501))])
    assert "next_cursor" not in rest


def pages(corp: Corp, **body: Any) -> list[dict[str, Any]]:
    found, cursor = [], ""
    while True:
        page = corp.call("externalcontact/batch/get_by_user", {**body, "cursor": cursor})
        assert page["errcode"] == 0
        found.append(page)
        cursor = page.get("next_cursor", "")
        if not cursor:
            return found


def test_pages_may_be_empty_and_have_a_cursor(corp: Corp) -> None:
    corp.admin.settings(empty_page_rate=1.0)
    found = pages(corp, userid_list=["anna", "bo"], limit=2)
    assert [len(page["external_contact_list"]) for page in found] == [0, 2, 0, 2, 0, 1]
    corp.admin.settings(end_without_cursor=True)
    assert "next_cursor" not in pages(corp, userid_list=["anna", "bo"], limit=2)[-1]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"userid_list": []}, 40031),
        ({"userid_list": ["anna"] * 101}, 40058),
        ({"userid_list": ["anna"], "limit": 101}, 40058),
        ({"userid_list": ["anna"], "cursor": "nonsense"}, 40058),
        ({"userid_list": ["nobody"]}, 40003),
    ],
)
def test_errors_of_batch_get(corp: Corp, body: dict[str, Any], code: int) -> None:
    assert corp.code("externalcontact/batch/get_by_user", body) == code


def test_a_person_of_another_corp(corp: Corp) -> None:
    (person,) = corp.admin.people([{"key": "w", "name": "Wang", "kind": 2, "corp_name": "Tea Co", "position": "CEO"}])
    corp.admin.relate("add", "anna", person)
    (told_of,) = corp.events()
    assert "WelcomeCode" not in told_of
    contact = corp.call("externalcontact/get", external_userid=person)["external_contact"]
    assert (contact["type"], contact["corp_name"], contact["position"]) == (2, "Tea Co", "CEO")
    assert "unionid" not in contact
    assert corp.code("externalcontact/convert_to_openid", {"external_userid": person}) == 41056


def test_range_of_the_app(corp: Corp) -> None:
    corp.admin.corp("Lotus", [{"agentid": 1000002, "allowed": {"departments": [3]}}])
    assert corp.call("externalcontact/get_follow_user_list")["follow_user"] == ["bo"]
    assert corp.code("externalcontact/list", userid="anna") == 60011
    assert corp.code("externalcontact/get", external_userid=corp.people[0]) == 40096
    assert corp.code("externalcontact/get", external_userid=corp.people[4]) == 0
    corp.admin.corp("Lotus", [{"agentid": 1000002, "allowed": {"users": ["ANNA"]}}])
    assert corp.call("externalcontact/get_follow_user_list")["follow_user"] == ["anna"]


def test_unionid_and_pending_id(corp: Corp) -> None:
    contact = corp.call("externalcontact/get", external_userid=corp.people[0])["external_contact"]
    openid = corp.call("externalcontact/convert_to_openid", {"external_userid": corp.people[0]})["openid"]
    body = {"unionid": contact["unionid"], "openid": openid}
    for path in ("externalcontact/unionid_to_external_userid", "idconvert/unionid_to_external_userid"):
        assert corp.call(path, body)["external_userid"] == corp.people[0]
    (visitor,) = corp.admin.people([{"key": "v", "name": "V", "unionid": "oVISITOR"}])
    body = {"unionid": "oVISITOR", "openid": "o1"}
    assert corp.code("externalcontact/unionid_to_external_userid", body) == 84061
    pending = corp.call("idconvert/unionid_to_external_userid", body)["pending_id"]
    assert corp.call("idconvert/unionid_to_external_userid", body)["pending_id"] == pending
    corp.admin.relate("add", "bo", visitor)
    listed = {"external_userid": [visitor, corp.people[0]]}
    answer = corp.call("idconvert/batch/external_userid_to_pending_id", listed)
    assert answer["result"] == [{"external_userid": visitor, "pending_id": pending}]
    corp.pass_time(90 * 86400)
    assert corp.call("idconvert/batch/external_userid_to_pending_id", listed)["result"] == []


def test_errors_of_unionid(corp: Corp) -> None:
    path = "idconvert/unionid_to_external_userid"
    assert corp.code(path, {"unionid": "o"}) == 40058
    assert corp.code(path, {"unionid": "o", "openid": "o", "subject_type": 2}) == 40058
    corp.admin.settings(calls_per_span={path: [[3600, 3]]})
    assert [corp.code(path, {"unionid": "o", "openid": "o"}) for _ in range(2)] == [0, 45009]  # after two bad ones
    corp.admin.settings(unionid_bound=False, calls_per_span={})
    assert corp.code(path, {"unionid": "o", "openid": "o"}) == 41057
    assert "unionid" not in corp.call("externalcontact/get", external_userid=corp.people[0])["external_contact"]


def test_everybody_who_is_served(corp: Corp) -> None:
    (stranger,) = corp.admin.people([{"key": "s", "name": "Stranger"}])
    chat = corp.act("chat_create", owner="anna", name="Tea", members=[corp.people[0], stranger])["chat_id"]
    found, cursor = [], ""
    while True:
        page = corp.call("externalcontact/contact_list", {"limit": 2, "cursor": cursor})
        found += page["info_list"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    customers = [one["external_userid"] for one in found if one["is_customer"]]
    assert customers == sorted(corp.people[:3]) + sorted(corp.people[3:])
    (other,) = [one for one in found if not one["is_customer"]]
    assert (other["name"], other["chat_id"], other["chat_name"]) == ("S**", chat, "Tea")
    assert "external_userid" not in other
    assert corp.code("externalcontact/contact_list", {"limit": 1001}) == 40058
