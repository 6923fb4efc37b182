"""Departments and members written through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.local import Corp


@pytest.fixture
def sync(corp: Corp) -> Corp:
    """The corp with the token of the contact sync, whose changes are told."""
    corp.admin.settings(callbacks_by_api=True)
    corp.admin.corp("Lotus", [{"agentid": 9, "secret": "contacts", "writes_contacts": True}])
    corp.token = corp.call("gettoken", corpid=corp.corpid, corpsecret="contacts")["access_token"]
    corp.events()
    return corp


def user(sync: Corp, **more: Any) -> dict[str, Any]:
    return sync.call("user/create", {"userid": "dora", "name": "Dora", "department": [2, 3], **more})


def test_only_the_contact_sync_writes(corp: Corp) -> None:
    assert corp.code("department/create", {"name": "S9", "parentid": 1}) == 48002
    assert corp.code("user/delete", userid="anna") == 48002


def test_departments(sync: Corp) -> None:
    made = sync.call("department/create", {"name": "North", "parentid": 1, "order": 5})
    assert (made["errcode"], made["errmsg"], made["id"]) == (0, "created", 4)
    assert sync.code("department/create", {"name": "S4", "parentid": 4, "id": 40}) == 0
    assert sync.code("department/update", {"id": 40, "name": "Store 4"}) == 0
    assert sync.call("department/get", id=40)["department"]["name"] == "Store 4"
    assert sync.code("department/delete", id=4) == 60006
    assert sync.code("department/delete", id=40) == 0
    assert sync.code("department/delete", id=4) == 0
    head = {"Event": "change_contact"}
    assert sync.events() == [
        {**head, "ChangeType": "create_party", "Id": 4, "Name": "North", "ParentId": 1, "Order": 5},
        {**head, "ChangeType": "create_party", "Id": 40, "Name": "S4", "ParentId": 4, "Order": 0},
        {**head, "ChangeType": "update_party", "Id": 40, "Name": "Store 4"},
        {**head, "ChangeType": "delete_party", "Id": 40},
        {**head, "ChangeType": "delete_party", "Id": 4},
    ]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("department/create", {"name": "", "parentid": 1}, 60001),
        ("department/create", {"name": "x" * 33, "parentid": 1}, 60001),
        ("department/create", {"name": "a:b", "parentid": 1}, 60009),
        ("department/create", {"name": "S1", "parentid": 1}, 60008),
        ("department/create", {"name": "S9", "parentid": 99}, 60004),
        ("department/create", {"name": "S9", "parentid": 1, "id": 2}, 60123),
        ("department/update", {"id": 99, "name": "x"}, 60003),
        ("department/update", {"id": 2, "name": "S2"}, 60008),
        ("department/update", {"id": 2, "parentid": 2}, 60004),
        ("user/create", {"userid": "anna", "name": "A"}, 60102),
        ("user/create", {"userid": "-x", "name": "A"}, 40003),
        ("user/create", {"userid": "", "name": "A"}, 41009),
        ("user/create", {"userid": "x", "name": ""}, 60112),
        ("user/create", {"userid": "x", "name": "A", "department": [99]}, 60003),
        ("user/update", {"userid": "ghost"}, 60111),
        ("user/update", {"userid": "anna", "name": ""}, 60112),
        ("user/batchdelete", {"useridlist": []}, 40032),
        ("user/batchdelete", {"useridlist": ["anna", "ghost"]}, 60111),
    ],
)
def test_refused(sync: Corp, path: str, body: dict[str, Any], code: int) -> None:
    assert sync.code(path, body) == code
    assert sync.events() == []
    assert sync.code("user/get", userid="anna") == 0  # all or none


def test_a_member_is_made_changed_and_deleted(sync: Corp) -> None:
    assert user(sync, is_leader_in_dept=[0, 1], mobile="13800138000")["errmsg"] == "created"
    found = sync.call("user/get", userid="dora")
    assert (found["department"], found["is_leader_in_dept"], found["status"]) == ([2, 3], [0, 1], 4)
    assert sync.code("user/create", {"userid": "eve", "name": "E", "mobile": "13800138000"}) == 60104
    assert sync.code("user/update", {"userid": "dora", "name": "Dora D", "department": [2], "enable": 0}) == 0
    found = sync.call("user/get", userid="dora")
    assert (found["name"], found["department"], found["status"]) == ("Dora D", [2], 2)
    assert sync.code("department/delete", id=2) == 60005
    assert sync.code("user/delete", userid="dora") == 0
    assert sync.code("user/get", userid="dora") == 60111
    head = {"Event": "change_contact", "UserID": "dora"}
    created, updated, deleted = sync.events()
    assert created == {**head, "ChangeType": "create_user", "Name": "Dora", "Department": "2,3", "Status": 4}
    assert (updated["ChangeType"], updated["Name"], updated["Status"]) == ("update_user", "Dora D", 2)
    assert deleted == {**head, "ChangeType": "delete_user"}
    assert user(sync)["errcode"] == 0  # she comes back


def test_many_leave_at_once_and_their_groups_wait(sync: Corp) -> None:
    sync.admin.call(
        "groups", {"groups": [{"owner": "anna", "name": "G", "createtime": 1_700_000_000, "members": sync.people[:2]}]}
    )
    assert sync.code("user/batchdelete", {"useridlist": ["anna", "carl"]}) == 0
    assert [one["UserID"] for one in sync.events()] == ["anna", "carl"]
    with sync.local.state.transaction() as db:
        assert db.execute("select status from chat").fetchone()[0] == 1


def test_tags_are_worn_by_members_and_departments(sync: Corp) -> None:
    made = sync.call("tag/create", {"tagname": "Night shift"})
    assert (made["errmsg"], made["tagid"]) == ("created", 1)
    assert sync.code("tag/create", {"tagname": "Night shift"}) == 40071
    assert sync.code("tag/create", {"tagname": "Day shift", "tagid": 1}) == 40068
    assert sync.code("tag/create", {"tagname": "x" * 33}) == 40072
    put = sync.call("tag/addtagusers", {"tagid": 1, "userlist": ["ANNA", "nobody"], "partylist": [2, 99]})
    assert (put["errcode"], put["invalidlist"], put["invalidparty"]) == (0, "nobody", [99])
    assert sync.code("tag/addtagusers", {"tagid": 1, "userlist": ["nobody"]}) == 40070
    got = sync.call("tag/get", tagid=1)
    assert (got["tagname"], got["partylist"]) == ("Night shift", [2])
    assert got["userlist"] == [{"userid": "anna", "name": "Anna"}]
    assert sync.events() == [
        {
            "Event": "change_contact",
            "ChangeType": "update_tag",
            "TagId": 1,
            "AddUserItems": "anna",
            "AddPartyItems": "2",
        }
    ]
    assert sync.code("tag/update", {"tagid": 1, "tagname": "Nights"}) == 0
    assert sync.code("tag/deltagusers", {"tagid": 1, "userlist": ["anna"]}) == 0
    assert sync.call("tag/get", tagid=1)["userlist"] == []
    assert sync.call("tag/list")["taglist"] == [{"tagid": 1, "tagname": "Nights"}]
    assert sync.call("tag/delete", tagid=1)["errmsg"] == "deleted"
    assert sync.code("tag/get", tagid=1) == 40068


def test_only_the_contact_sync_has_tags(corp: Corp) -> None:
    assert corp.code("tag/list") == 48002
    assert corp.code("tag/create", {"tagname": "x"}) == 48002
