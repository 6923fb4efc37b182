"""What the simulated platform answers, checked without the connector."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from hetang.simulator.admin import SimulatorAdmin
from tests.simulator.world import SINCE, World

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 32


def test_token_stays_the_same_until_it_expires(world: World) -> None:
    first = world.token
    world.sign_in()
    assert world.token == first
    world.admin.call("tokens", {"dead": "expired"})
    assert world.call("department/list")["errcode"] == 42001
    world.sign_in()
    assert world.token != first
    world.admin.call("tokens", {"dead": "invalid"})
    assert world.call("department/list")["errcode"] == 40014
    world.sign_in()
    world.admin.advance(7200)
    assert world.call("department/list")["errcode"] == 42001


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, 41002),
        ({"corpid": "ww0123456789abcdef"}, 41004),
        ({"corpid": "wwother", "corpsecret": "x"}, 40013),
        ({"corpid": "ww0123456789abcdef", "corpsecret": "x"}, 40001),
    ],
)
def test_wrong_credentials(world: World, query: dict[str, str], code: int) -> None:
    assert world.call("gettoken", **query)["errcode"] == code


def test_envelope_of_an_error(world: World) -> None:
    world.token = ""
    answer = world.call("department/list")
    assert answer["errcode"] == 41001
    assert answer["errmsg"].startswith("access_token missing, hint: [")


def test_directory(world: World) -> None:
    departments = world.call("department/list")["department"]
    assert [(one["id"], one["name"], one["parentid"]) for one in departments] == [
        *[(1, "Lotus", 0), (2, "S1", 1), (3, "S2", 1)]
    ]
    assert [one["userid"] for one in world.call("user/list", department_id=2)["userlist"]] == ["anna"]
    everybody = world.call("user/list", department_id=1, fetch_child=1)["userlist"]
    assert [one["userid"] for one in everybody] == ["anna", "bo", "carl"]
    assert world.call("user/get", userid="ANNA")["name"] == "Anna"
    assert world.call("user/get", userid="nobody")["errcode"] == 60111
    pages = world.call("user/list_id", {"limit": 2})
    rest = world.call("user/list_id", {"limit": 2, "cursor": pages["next_cursor"]})
    assert [one["userid"] for one in pages["dept_user"] + rest["dept_user"]] == ["carl", "anna", "bo"]
    assert rest["next_cursor"] == ""


def test_customers(world: World) -> None:
    assert world.call("externalcontact/get_follow_user_list")["follow_user"] == ["anna", "bo"]
    listed = world.call("externalcontact/list", userid="anna")["external_userid"]
    assert listed == sorted(world.people[:3])
    assert world.call("externalcontact/list", userid="carl")["errcode"] == 84074
    found = world.call("externalcontact/get", external_userid=world.people[0])
    assert found["external_contact"]["name"] == "Person 0"
    assert [(one["userid"], one["createtime"]) for one in found["follow_user"]] == [("anna", SINCE)]


def test_member_without_customers_is_84061_not_an_empty_list(world: World) -> None:
    world.admin.staff([{"userid": "dora", "name": "Dora"}])
    assert world.call("externalcontact/list", userid="dora")["errcode"] == 84061


def test_batch_pages_over_members(world: World) -> None:
    seen, cursor = [], ""
    while True:
        body = {"userid_list": ["bo", "anna"], "limit": 2, "cursor": cursor}
        page = world.call("externalcontact/batch/get_by_user", body)
        seen += [
            (one["follow_info"]["userid"], one["external_contact"]["external_userid"])
            for one in page["external_contact_list"]
        ]
        cursor = page["next_cursor"]
        if not cursor:
            break
    anna, bo = sorted(world.people[:3]), sorted(world.people[3:])
    assert seen == [("anna", one) for one in anna] + [("bo", one) for one in bo]


def test_relation_states(world: World) -> None:
    gone, left = world.people[0], world.people[1]
    world.admin.relate("delete_by_staff", "anna", gone)
    world.admin.relate("delete_by_customer", "anna", left)
    assert world.call("externalcontact/get", external_userid=gone)["errcode"] == 84061
    assert world.call("externalcontact/get", external_userid=left)["errcode"] == 0
    msgid = world.send("anna", world.people[:3])
    world.admin.confirm()
    assert world.statuses(msgid, "anna") == {left: 2, world.people[2]: 1}


def test_strict_mode_refuses_the_alias_of_batch_get(world: World) -> None:
    body = {"userid": "anna"}
    assert world.call("externalcontact/batch/get_by_user", body)["errcode"] == 40031
    world.admin.settings(strict=False)
    assert len(world.call("externalcontact/batch/get_by_user", body)["external_contact_list"]) == 3


def test_bad_input_is_40058(world: World) -> None:
    raw = world.http.post("department/list", params={"access_token": world.token}, content=b"{}")
    assert raw.json()["errcode"] == 40058  # wrong method
    raw = world.http.post(
        "externalcontact/get_groupmsg_task", params={"access_token": world.token}, content=b"{not json"
    )
    assert raw.json()["errcode"] == 40058
    assert world.call("externalcontact/batch/get_by_user", {"userid_list": "anna"})["errcode"] == 40058


def test_numeric_strings_are_taken_for_numbers(world: World) -> None:
    body = {"userid_list": ["anna"], "limit": "2"}
    assert len(world.call("externalcontact/batch/get_by_user", body)["external_contact_list"]) == 2


def test_uploads(world: World) -> None:
    params = {"access_token": world.token, "type": "image"}
    made = world.http.post("media/upload", params=params, files={"media": ("a.png", PNG)}).json()
    assert isinstance(made["created_at"], str)
    picture = {"msgtype": "image", "image": {"media_id": made["media_id"]}}
    body = {"sender": "anna", "external_userid": world.people[:1], "attachments": [picture]}
    assert world.call("externalcontact/add_msg_template", body)["errcode"] == 0
    world.admin.advance(3 * 86400)
    world.sign_in()
    assert world.call("externalcontact/add_msg_template", body)["errcode"] == 40007
    params = {"access_token": world.token}
    assert world.http.post("media/uploadimg", params=params, files={"media": ("a.png", PNG)}).json()["url"]
    assert (
        world.http.post("media/uploadimg", params=params, files={"media": ("a", b"GIF89a..")}).json()["errcode"]
        == 40123
    )
    assert world.http.post("media/uploadimg", params=params).json()["errcode"] == 41005
    address = world.http.post("media/uploadimg", params=params, files={"media": ("a.png", PNG)}).json()["url"]
    for url, code in ((address, 0), ("https://shop.example/a.png", 40007), (made["media_id"], 40007)):
        picture = {"msgtype": "image", "image": {"pic_url": url}}
        body = {"sender": "anna", "external_userid": world.people[:1], "attachments": [picture]}
        assert world.call("externalcontact/add_msg_template", body)["errcode"] == code


def test_trusted_addresses(admin: SimulatorAdmin, world: World) -> None:
    admin.corp("Lotus", [{"agentid": 1000002, "trusted_ips": ["10.1.1.1"]}])
    assert world.call("department/list")["errcode"] == 60020


def test_frequency_limit(world: World) -> None:
    world.admin.settings(calls_per_minute=3)
    world.admin.clock(60 - world.admin.clock()["now"] % 60)  # at the start of a minute
    codes = [world.call("externalcontact/list", userid="anna")["errcode"] for _ in range(4)]
    assert codes == [0, 0, 0, 45009]
    assert world.call("department/list")["errcode"] == 0  # another API has its own limit
    world.admin.advance(60)
    assert world.call("externalcontact/list", userid="anna")["errcode"] == 0


def test_concurrency_limit(world: World) -> None:
    world.admin.settings(concurrency={"department/list": 1})
    world.admin.fault("slow", "department/list", seconds=2)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.call, "department/list")
        while world.admin.call("faults")["faults"]:
            pass  # until the slow call is inside
        codes = [world.call("department/list")["errcode"], first.result()["errcode"]]
    assert codes == [45033, 0]


def test_faults(world: World) -> None:
    world.admin.fault("error", "department/list", code=-1, times=2)
    assert [world.call("department/list")["errcode"] for _ in range(3)] == [-1, -1, 0]
    body = {"sender": "anna", "external_userid": world.people[:1], "text": {"content": "x"}}
    for kind, made in (("drop_before", 0), ("drop_after", 1)):
        world.admin.fault(kind, "externalcontact/add_msg_template")
        with pytest.raises(httpx.RemoteProtocolError):
            world.call("externalcontact/add_msg_template", body)
        assert world.admin.status()["counts"]["group_message"] == made


def test_admin_needs_the_secret(world: World, simulator: object) -> None:
    answer = world.http.post("../simulator/status")
    assert answer.status_code == 401
