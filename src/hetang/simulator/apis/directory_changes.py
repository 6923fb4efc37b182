"""Writing departments and members (reference section 3): only an app with the secret of the contact sync may.

The address book's events follow where the setting `callbacks_by_api` says so; what people do is told anyway.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from hetang.simulator import events
from hetang.simulator.acts.seeding import Member, put_members
from hetang.simulator.acts.staffing import EVENT, Change, change_member, remove_member
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

ROOT = 1
LONGEST_DEPARTMENT, LONGEST_MEMBER = 32, 64
_USERID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_\-@.]{0,63}")
_DEPARTMENT_SIGNS = re.compile(r'[\\:*?"<>|]')


class NewDepartment(msgspec.Struct):
    name: str = ""
    parentid: int = 0
    order: int = 0
    id: int | None = None


class DepartmentChange(msgspec.Struct):
    id: int = 0
    name: str | None = None
    parentid: int | None = None
    order: int | None = None


class DepartmentId(msgspec.Struct):
    id: int = 0


class NewUser(msgspec.Struct):
    userid: str = ""
    name: str = ""
    department: list[int] = msgspec.field(default_factory=list)
    is_leader_in_dept: list[int] = msgspec.field(default_factory=list)
    position: str = ""
    mobile: str = ""
    email: str = ""
    alias: str = ""
    gender: int = 0
    enable: int = 1


class UserChange(msgspec.Struct):
    userid: str = ""
    name: str | None = None
    department: list[int] | None = None
    is_leader_in_dept: list[int] = msgspec.field(default_factory=list)
    position: str | None = None
    enable: int | None = None


class UserId(msgspec.Struct):
    userid: str = ""


class UserIds(msgspec.Struct):
    useridlist: list[str] = msgspec.field(default_factory=list)


@api("department/create", "POST", NewDepartment)
def department_create(call: Call, request: NewDepartment) -> dict[str, Any]:
    may_write(call)
    _check_department(call, request.name, request.parentid)
    number = request.id
    if number is None:
        number = call.db.execute("select max(coalesce(max(id), 1), 1) + 1 from department").fetchone()[0]
    elif number <= ROOT or _department(call, number) is not None:
        raise WeComError(60123, "the id is taken")
    call.db.execute(
        "insert into department (id, name, parentid, position) values (?, ?, ?, ?)",
        [number, request.name, request.parentid, request.order],
    )
    told = {"Id": number, "Name": request.name, "ParentId": request.parentid, "Order": request.order}
    events.queue_of_api(call.state, call.db, EVENT, "create_party", told)
    return {"errmsg": "created", "id": number}


@api("department/update", "POST", DepartmentChange)
def department_update(call: Call, request: DepartmentChange) -> dict[str, Any]:
    may_write(call)
    row = _department(call, request.id)
    if row is None:
        raise WeComError(60003)
    name = row["name"] if request.name is None else request.name
    parent = row["parentid"] if request.parentid is None else request.parentid
    if request.id != ROOT:
        _check_department(call, name, parent, but=request.id)
    if parent in _below(call, request.id):
        raise WeComError(60004, "a department cannot lie below itself")
    call.db.execute(
        "update department set name = ?, parentid = ?, position = coalesce(?, position) where id = ?",
        [name, parent, request.order, request.id],
    )
    told: dict[str, events.Value] = {"Id": request.id}
    told |= {"Name": name} if request.name is not None else {}
    told |= {"ParentId": parent} if request.parentid is not None else {}
    events.queue_of_api(call.state, call.db, EVENT, "update_party", told)
    return {"errmsg": "updated"}


@api("department/delete", "GET", DepartmentId)
def department_delete(call: Call, request: DepartmentId) -> dict[str, Any]:
    may_write(call)
    if request.id == ROOT or _department(call, request.id) is None:
        raise WeComError(60003)
    if len(_below(call, request.id)) > 1:
        raise WeComError(60006)
    if call.db.execute("select 1 from member_department where department = ?", [request.id]).fetchone():
        raise WeComError(60005)
    call.db.execute("delete from department where id = ?", [request.id])
    events.queue_of_api(call.state, call.db, EVENT, "delete_party", {"Id": request.id})
    return {"errmsg": "deleted"}


@api("user/create", "POST", NewUser)
def user_create(call: Call, request: NewUser) -> dict[str, Any]:
    may_write(call)
    if not request.userid:
        raise WeComError(41009)
    if not _USERID.fullmatch(request.userid):
        raise WeComError(40003)
    if not 1 <= len(request.name) <= LONGEST_MEMBER:
        raise WeComError(60112)
    if _member(call, request.userid) is not None:
        raise WeComError(60102)
    _check_taken(call, request)
    departments = request.department or [ROOT]
    _check_departments(call, departments)
    member = Member(
        userid=request.userid,
        name=request.name,
        departments=departments,
        leads=_led(departments, request.is_leader_in_dept),
        position=request.position,
        status=4 if request.enable else 2,  # not activated until the member logs in
        alias=request.alias,
        mobile=request.mobile,
        email=request.email,
        gender=request.gender,
    )
    put_members(call.db, [member])
    call.db.execute("update member set left_at = null where userid = ?", [member.userid])
    told = {"UserID": member.userid, "Name": member.name, "Department": ",".join(map(str, departments))}
    events.queue_of_api(call.state, call.db, EVENT, "create_user", {**told, "Status": member.status})
    return {"errmsg": "created"}


@api("user/update", "POST", UserChange)
def user_update(call: Call, request: UserChange) -> dict[str, Any]:
    may_write(call)
    row = _present(call, request.userid)
    if request.name is not None and not 1 <= len(request.name) <= LONGEST_MEMBER:
        raise WeComError(60112)
    if request.department is not None:
        _check_departments(call, request.department)
    status = None if request.enable is None else (2 if not request.enable else 1)
    change = Change(
        userid=row["userid"],
        name=request.name,
        departments=request.department,
        leads=_led(request.department or [], request.is_leader_in_dept),
        position=request.position,
        status=status,
    )
    told = change_member(call.db, change)
    if len(told) > 1:
        events.queue_of_api(call.state, call.db, EVENT, "update_user", told)
    return {"errmsg": "updated"}


@api("user/delete", "GET", UserId)
def user_delete(call: Call, request: UserId) -> dict[str, Any]:
    may_write(call)
    _remove(call, [_present(call, request.userid)["userid"]])
    return {"errmsg": "deleted"}


@api("user/batchdelete", "POST", UserIds)
def user_batchdelete(call: Call, request: UserIds) -> dict[str, Any]:
    """All or none: one who is not there spoils the call."""
    may_write(call)
    if not 1 <= len(request.useridlist) <= 200:
        raise WeComError(40032)
    _remove(call, [_present(call, userid)["userid"] for userid in request.useridlist])
    return {"errmsg": "deleted"}


def _remove(call: Call, userids: Iterable[str]) -> None:
    for userid in userids:
        remove_member(call.state, call.db, userid)
        events.queue_of_api(call.state, call.db, EVENT, "delete_user", {"UserID": userid})


def may_write(call: Call) -> None:
    """Raises 48002 unless the app has the contact sync's secret."""
    if call.app is None or not call.app["writes_contacts"]:
        raise WeComError(48002)


def _department(call: Call, number: int) -> sqlite3.Row | None:
    row: sqlite3.Row | None = call.db.execute("select * from department where id = ?", [number]).fetchone()
    return row


def _member(call: Call, userid: str) -> sqlite3.Row | None:
    query = "select * from member where userid = ? and left_at is null"
    row: sqlite3.Row | None = call.db.execute(query, [userid]).fetchone()
    return row


def _present(call: Call, userid: str) -> sqlite3.Row:
    if not userid:
        raise WeComError(41009)
    row = _member(call, userid)
    if row is None:
        raise WeComError(60111)
    return row


def _below(call: Call, number: int) -> set[int]:
    """The department and everything below it."""
    rows = call.db.execute(
        "with recursive below (id) as"
        " (values (?) union select d.id from department d join below b on d.parentid = b.id and d.id != b.id)"
        " select id from below",
        [number],
    )
    return {row["id"] for row in rows}


def _check_department(call: Call, name: str, parent: int, but: int = 0) -> None:
    if not 1 <= len(name) <= LONGEST_DEPARTMENT:
        raise WeComError(60001)
    if _DEPARTMENT_SIGNS.search(name):
        raise WeComError(60009)
    if parent != ROOT and _department(call, parent) is None:
        raise WeComError(60004)
    query = "select 1 from department where parentid = ? and name = ? and id != ?"
    if call.db.execute(query, [parent, name, but]).fetchone():
        raise WeComError(60008)


def _check_departments(call: Call, numbers: list[int]) -> None:
    if not 1 <= len(numbers) <= 100:
        raise WeComError(60123, "1 to 100 departments")
    for number in numbers:
        if number != ROOT and _department(call, number) is None:
            raise WeComError(60003)


def _check_taken(call: Call, request: NewUser) -> None:
    for column, value, code in (("mobile", request.mobile, 60104), ("email", request.email, 60106)):
        query = f"select 1 from member where {column} = ? and left_at is null"
        if value and call.db.execute(query, [value]).fetchone():
            raise WeComError(code)


def _led(departments: list[int], leads: list[int]) -> list[int]:
    return [department for department, leader in zip(departments, leads, strict=False) if leader]
