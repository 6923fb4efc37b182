"""Departments and members (reference section 3)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.calls import Call, api, page_size
from hetang.simulator.errors import WeComError


class DepartmentQuery(msgspec.Struct):
    id: int | None = None


class UserGet(msgspec.Struct):
    userid: str = ""


class UserList(msgspec.Struct):
    department_id: int
    fetch_child: int = 0


class UserListId(msgspec.Struct):
    cursor: str = ""
    limit: int | None = None


@api("department/list", "GET", DepartmentQuery)
def department_list(call: Call, request: DepartmentQuery) -> dict[str, Any]:
    rows = _departments(call, request.id)
    return {
        "department": [
            {
                "id": row["id"],
                "name": row["name"],
                "parentid": row["parentid"],
                "order": row["position"],
                "department_leader": [],
            }
            for row in rows
        ]
    }


@api("department/simplelist", "GET", DepartmentQuery)
def department_simplelist(call: Call, request: DepartmentQuery) -> dict[str, Any]:
    rows = _departments(call, request.id)
    return {"department_id": [{"id": row["id"], "parentid": row["parentid"], "order": row["position"]} for row in rows]}


@api("user/get", "GET", UserGet)
def user_get(call: Call, request: UserGet) -> dict[str, Any]:
    if not request.userid:
        raise WeComError(41009)
    row = call.db.execute("select * from member where userid = ?", [request.userid]).fetchone()
    if row is None:
        raise WeComError(60111)
    return _member(call, row)


@api("user/list", "GET", UserList)
def user_list(call: Call, request: UserList) -> dict[str, Any]:
    return {"userlist": [_member(call, row) for row in _members_of(call, request)]}


@api("user/simplelist", "GET", UserList)
def user_simplelist(call: Call, request: UserList) -> dict[str, Any]:
    fields = ("userid", "name", "department")
    members = [_member(call, row) for row in _members_of(call, request)]
    return {"userlist": [{field: member[field] for field in fields} for member in members]}


@api("user/list_id", "POST", UserListId)
def user_list_id(call: Call, request: UserListId) -> dict[str, Any]:
    size = page_size(request.limit, 10_000, 10_000)
    department, userid = _after(request.cursor)
    rows = call.db.execute(
        "select userid, department from member_department where (department, userid) > (?, ?)"
        " order by department, userid limit ?",
        [department, userid, size],
    ).fetchall()
    full = len(rows) == size
    return {
        "dept_user": [{"userid": row["userid"], "department": row["department"]} for row in rows],
        "next_cursor": ids.cursor(rows[-1]["department"], rows[-1]["userid"]) if full else "",
    }


def _after(cursor: str) -> tuple[int, str]:
    try:
        place = ids.position(cursor)
    except ValueError as problem:
        raise WeComError(40058, "cursor") from problem
    return (int(place[0]), str(place[1])) if place else (0, "")


def _departments(call: Call, root: int | None) -> list[sqlite3.Row]:
    if root is None:
        return call.db.execute("select * from department order by id").fetchall()
    rows = call.db.execute(
        "with recursive below (id) as"
        " (values (?) union select d.id from department d join below b on d.parentid = b.id)"
        " select d.* from department d join below using (id) order by d.id",
        [root],
    ).fetchall()
    if not rows:
        raise WeComError(60003)
    return rows


def _members_of(call: Call, request: UserList) -> list[sqlite3.Row]:
    wanted = _departments(call, request.department_id)
    numbers = [row["id"] for row in wanted] if request.fetch_child else [request.department_id]
    return call.db.execute(
        "select distinct m.* from member m join member_department using (userid)"
        " where department in (select value from json_each(?)) order by m.userid",
        [msgspec.json.encode(numbers).decode()],
    ).fetchall()


def _member(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    departments = [
        place["department"]
        for place in call.db.execute(
            "select department from member_department where userid = ? order by department", [row["userid"]]
        )
    ]
    return {
        "userid": row["userid"],
        "name": row["name"],
        "department": departments,
        "order": [0] * len(departments),
        "position": row["position"],
        "status": row["status"],
        "is_leader_in_dept": [0] * len(departments),
        "direct_leader": [],
        "main_department": departments[0] if departments else 1,
        "alias": "",
        "extattr": {"attrs": []},
    }
