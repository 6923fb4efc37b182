"""Departments and members (reference section 3)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis.scope import in_range
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError


class DepartmentQuery(msgspec.Struct):
    id: int | None = None


class UserGet(msgspec.Struct):
    userid: str = ""


class UserList(msgspec.Struct):
    department_id: int
    fetch_child: int = 0


class Mobile(msgspec.Struct):
    mobile: str = ""


class Email(msgspec.Struct):
    email: str = ""
    email_type: int = 1


class OpenId(msgspec.Struct):
    openid: str = ""


class AgentQuery(msgspec.Struct):
    agentid: int = 0


class UserListId(msgspec.Struct):
    cursor: str = ""
    limit: int | None = None


@api("department/list", "GET", DepartmentQuery)
def department_list(call: Call, request: DepartmentQuery) -> dict[str, Any]:
    rows = _departments(call, request.id)
    leaders: dict[int, list[str]] = {}
    for led in call.db.execute("select department, userid from member_department where leads order by userid"):
        leaders.setdefault(led["department"], []).append(led["userid"])
    return {
        "department": [
            {
                "id": row["id"],
                "name": row["name"],
                "parentid": row["parentid"],
                "order": row["position"],
                "department_leader": leaders.get(row["id"], []),
            }
            for row in rows
        ]
    }


@api("department/simplelist", "GET", DepartmentQuery)
def department_simplelist(call: Call, request: DepartmentQuery) -> dict[str, Any]:
    rows = _departments(call, request.id)
    return {"department_id": [{"id": row["id"], "parentid": row["parentid"], "order": row["position"]} for row in rows]}


@api("department/get", "GET", DepartmentQuery)
def department_get(call: Call, request: DepartmentQuery) -> dict[str, Any]:
    if request.id is None:
        raise WeComError(60123)
    return {"department": department_list(call, request)["department"][0]}


@api("user/get", "GET", UserGet)
def user_get(call: Call, request: UserGet) -> dict[str, Any]:
    if not request.userid:
        raise WeComError(41009)
    row = call.db.execute("select * from member where userid = ? and left_at is null", [request.userid]).fetchone()
    if row is None:
        raise WeComError(60111)
    if not in_range(call, row["userid"]):
        raise WeComError(60011)
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


@api("user/getuserid", "POST", Mobile)
def user_getuserid(call: Call, request: Mobile) -> dict[str, Any]:
    return {"userid": _present(call, "mobile", request.mobile)}


@api("user/get_userid_by_email", "POST", Email)
def get_userid_by_email(call: Call, request: Email) -> dict[str, Any]:
    return {"userid": _present(call, "email", request.email)}


@api("user/convert_to_openid", "POST", UserGet)
def user_convert_to_openid(call: Call, request: UserGet) -> dict[str, Any]:
    return {"openid": _openid(call, _present(call, "userid", request.userid))}


@api("user/convert_to_userid", "POST", OpenId)
def user_convert_to_userid(call: Call, request: OpenId) -> dict[str, Any]:
    for row in call.db.execute("select userid from member where left_at is null"):
        if _openid(call, row["userid"]) == request.openid:
            return {"userid": row["userid"]}
    raise WeComError(40073)


@api("agent/get", "GET", AgentQuery)
def agent_get(call: Call, request: AgentQuery) -> dict[str, Any]:
    if call.app is None or request.agentid != call.agentid:
        raise WeComError(40056)
    told = msgspec.json.decode(call.app["allowed"] or b"{}")
    return {
        "agentid": call.agentid,
        "name": call.app["name"],
        "square_logo_url": call.picture("app", str(call.agentid)),
        "description": "",
        "allow_userinfos": {"user": [{"userid": userid} for userid in told.get("users", [])]},
        "allow_partys": {"partyid": told.get("departments", [] if told else [1])},
        "allow_tags": {"tagid": []},
        "close": 0,
        "redirect_domain": call.app["redirect_domain"],
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
    }


def _present(call: Call, column: str, value: str) -> str:
    """The userid of the member with this value. Raises 60111."""
    row = call.db.execute(
        f"select userid from member where {column} = ? and {column} != '' and left_at is null", [value]
    ).fetchone()
    if row is None:
        raise WeComError(60111)
    return str(row["userid"])


def _openid(call: Call, userid: str) -> str:
    return ids.token("o", call.state.settings.seed, "openid of member", userid.lower(), length=28)


def _after(cursor: str) -> tuple[int, str]:
    found = place(cursor)
    return (int(found[0]), str(found[1])) if found else (0, "")


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
    rows = call.db.execute(
        "select distinct m.* from member m join member_department using (userid)"
        " where department in (select value from json_each(?)) order by m.userid",
        [msgspec.json.encode(numbers).decode()],
    ).fetchall()
    return [row for row in rows if in_range(call, row["userid"])]


def _member(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    places = call.db.execute(
        "select department, leads from member_department where userid = ? order by department", [row["userid"]]
    ).fetchall()
    departments = [place["department"] for place in places]
    return {
        "userid": row["userid"],
        "name": row["name"],
        "department": departments,
        "order": [0] * len(departments),
        "position": row["position"],
        "status": row["status"],
        "is_leader_in_dept": [place["leads"] for place in places],
        "direct_leader": [],
        "main_department": departments[0] if departments else 1,
        "alias": row["alias"],
        "extattr": {"attrs": []},
    }
