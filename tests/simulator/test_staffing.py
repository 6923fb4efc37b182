"""Members who come, change, leave and are renamed."""

from __future__ import annotations

import pytest

from hetang.simulator.admin import SimulatorRefused
from tests.simulator.local import Corp


def test_a_member_comes_and_changes(corp: Corp) -> None:
    corp.act("staff_joins", userid="dora", name="Dora", departments=[2, 3])
    corp.act("staff_changes", userid="dora", name="Dora Li", departments=[3], own_welcome=True)
    common = {"Event": "change_contact", "UserID": "dora"}
    assert corp.events() == [
        {
            **common,
            "ChangeType": "create_user",
            "Name": "Dora",
            "Department": "2,3",
            "IsLeaderInDept": "0,0",
            "Status": 1,
        },
        {**common, "ChangeType": "update_user", "Name": "Dora Li", "Department": "3", "IsLeaderInDept": "0"},
    ]
    assert corp.call("user/get", userid="dora")["department"] == [3]
    with pytest.raises(SimulatorRefused, match="taken"):
        corp.act("staff_joins", userid="Dora", name="Another")


def test_a_member_leaves(corp: Corp) -> None:
    corp.act("staff_leaves", userid="anna")
    assert corp.events() == [{"Event": "change_contact", "ChangeType": "delete_user", "UserID": "anna"}]
    assert corp.code("user/get", userid="anna") == 60111
    assert corp.code("externalcontact/list", userid="anna") == 40003
    assert corp.call("externalcontact/get_follow_user_list")["follow_user"] == ["bo"]
    with pytest.raises(SimulatorRefused, match="no such member"):
        corp.act("staff_leaves", userid="anna")


def test_a_member_gets_another_userid(corp: Corp) -> None:
    msgid = corp.send("anna", corp.people[:2])
    corp.act("staff_renamed", userid="anna", new_userid="anna.lin")
    told = {"Event": "change_contact", "ChangeType": "update_user", "UserID": "anna", "NewUserID": "anna.lin"}
    assert corp.events() == [told]
    assert corp.code("externalcontact/list", userid="anna") == 40003
    assert corp.call("externalcontact/list", userid="anna.lin")["external_userid"] == sorted(corp.people[:3])
    tasks = corp.call("externalcontact/get_groupmsg_task", {"msgid": msgid})["task_list"]
    assert [one["userid"] for one in tasks] == ["anna.lin"]


def test_looking_members_up(corp: Corp) -> None:
    corp.admin.staff([{"userid": "eve", "name": "Eve", "mobile": "13800000000", "email": "e@x.cn", "alias": "E"}])
    assert corp.call("user/getuserid", {"mobile": "13800000000"})["userid"] == "eve"
    assert corp.call("user/get_userid_by_email", {"email": "e@x.cn"})["userid"] == "eve"
    assert corp.code("user/getuserid", {"mobile": ""}) == 60111
    openid = corp.call("user/convert_to_openid", {"userid": "EVE"})["openid"]
    assert corp.call("user/convert_to_userid", {"openid": openid})["userid"] == "eve"
    assert corp.code("user/convert_to_userid", {"openid": "o"}) == 40073
    assert corp.call("department/get", id=2)["department"]["name"] == "S1"
    assert corp.code("department/get", id=9) == 60003
    found = corp.call("agent/get", agentid=1000002)
    assert (found["name"], found["allow_partys"]) == ("Hetang", {"partyid": [1]})
    assert corp.code("agent/get", agentid=1) == 40056
