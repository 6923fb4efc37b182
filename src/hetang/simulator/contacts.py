"""Customers and their relations to members (reference section 4)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.calls import Call, api, page_size
from hetang.simulator.errors import WeComError

# A customer who deleted the member stays in the member's list, and calls on the pair still work (84061 otherwise).
VISIBLE = ("full", "lost_by_customer")
_VISIBLE_SQL = "state in ('full', 'lost_by_customer')"


class ListQuery(msgspec.Struct):
    userid: str = ""


class GetQuery(msgspec.Struct):
    external_userid: str = ""
    cursor: str = ""


class BatchGet(msgspec.Struct):
    userid_list: list[str] = msgspec.field(default_factory=list)
    userid: str | list[str] | None = None  # an alias that SDKs send
    cursor: str = ""
    limit: int | None = None


@api("externalcontact/get_follow_user_list", "GET POST")
def get_follow_user_list(call: Call, _request: Any) -> dict[str, Any]:
    rows = call.db.execute("select userid from member where customer_contact = 1 and status = 1 order by userid")
    return {"follow_user": [row["userid"] for row in rows]}


@api("externalcontact/list", "GET", ListQuery)
def external_list(call: Call, request: ListQuery) -> dict[str, Any]:
    member = contact_member(call, request.userid)
    rows = call.db.execute(
        f"select external_userid from relation where userid = ? and {_VISIBLE_SQL} order by external_userid", [member]
    ).fetchall()
    if not rows:
        raise WeComError(84061)
    return {"external_userid": [row["external_userid"] for row in rows]}


@api("externalcontact/get", "GET", GetQuery)
def external_get(call: Call, request: GetQuery) -> dict[str, Any]:
    if not request.external_userid:
        raise WeComError(41035)
    person = call.db.execute("select * from person where external_userid = ?", [request.external_userid]).fetchone()
    if person is None:
        raise WeComError(40096)
    offset = _offset(request.cursor)
    rows = call.db.execute(
        f"select * from relation where external_userid = ? and {_VISIBLE_SQL} order by createtime, userid"
        " limit 501 offset ?",
        [request.external_userid, offset],
    ).fetchall()
    if not rows:
        raise WeComError(84061)
    answer = {
        "external_contact": _contact(person),
        "follow_user": [{**_follow(row), "tags": []} for row in rows[:500]],
    }
    if len(rows) > 500:
        answer["next_cursor"] = ids.cursor(offset + 500)
    return answer


@api("externalcontact/batch/get_by_user", "POST", BatchGet)
def batch_get_by_user(call: Call, request: BatchGet) -> dict[str, Any]:
    members = sorted({contact_member(call, userid) for userid in _userids(call, request)}, key=str.lower)
    size = page_size(request.limit, 50, 100)
    rows = _page_of_relations(call, members, request.cursor, size + 1)
    more = len(rows) > size
    rows = rows[:size]
    return {
        "external_contact_list": [
            {"external_contact": _contact(row), "follow_info": {**_follow(row), "tag_id": []}} for row in rows
        ],
        "next_cursor": ids.cursor(rows[-1]["userid"], rows[-1]["external_userid"]) if more else "",
    }


def contact_member(call: Call, userid: str) -> str:
    """The userid as stored. Raises 41009, 40003 or 84074."""
    if not userid:
        raise WeComError(41009)
    row = call.db.execute("select userid, customer_contact from member where userid = ?", [userid]).fetchone()
    if row is None:
        raise WeComError(40003)
    if not row["customer_contact"]:
        raise WeComError(84074)
    return str(row["userid"])


def _userids(call: Call, request: BatchGet) -> list[str]:
    wanted = request.userid_list
    if not wanted and request.userid is not None and not call.state.settings.strict:
        wanted = [request.userid] if isinstance(request.userid, str) else request.userid
    if not wanted:
        raise WeComError(40031)
    if len(wanted) > 100:
        raise WeComError(40058, "userid_list is longer than 100")
    return wanted


def _page_of_relations(call: Call, members: list[str], cursor: str, size: int) -> list[sqlite3.Row]:
    try:
        place = ids.position(cursor)
    except ValueError as problem:
        raise WeComError(40058, "cursor") from problem
    first, after = (str(place[0]), str(place[1])) if place else ("", "")
    rows: list[sqlite3.Row] = []
    for member in members:
        if member.lower() < first.lower():
            continue
        rows += call.db.execute(
            "select r.*, p.name, p.unionid, p.gender from relation r join person p using (external_userid)"
            f" where r.userid = ? and r.external_userid > ? and {_VISIBLE_SQL} order by r.external_userid limit ?",
            [member, after if member.lower() == first.lower() else "", size - len(rows)],
        ).fetchall()
        if len(rows) >= size:
            break
    return rows


def _contact(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "external_userid": row["external_userid"],
        "name": row["name"],
        "avatar": "",
        "type": 1,
        "gender": row["gender"],
        "unionid": row["unionid"],
    }


def _follow(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "userid": row["userid"],
        "remark": row["remark"],
        "description": "",
        "createtime": row["createtime"],
        "remark_corp_name": "",
        "remark_mobiles": [],
        "oper_userid": row["external_userid"] if row["add_way"] in {1, 16} else row["userid"],
        "add_way": row["add_way"],
        "state": row["channel_state"],
    }


def _offset(cursor: str) -> int:
    try:
        place = ids.position(cursor)
    except ValueError as problem:
        raise WeComError(40058, "cursor") from problem
    return int(place[0]) if place else 0
