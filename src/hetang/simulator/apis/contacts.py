"""Customers and their relations to members (reference section 4.1)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids
from hetang.simulator.apis import labels
from hetang.simulator.apis.scope import contact_member, in_range
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError
from hetang.simulator.friendships import VISIBLE_SQL

FOLLOWERS_A_PAGE = 500


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
    return {"follow_user": [row["userid"] for row in rows if in_range(call, row["userid"])]}


@api("externalcontact/list", "GET", ListQuery)
def external_list(call: Call, request: ListQuery) -> dict[str, Any]:
    member = contact_member(call, request.userid)
    rows = call.db.execute(
        f"select external_userid from relation where userid = ? and {VISIBLE_SQL} order by external_userid", [member]
    ).fetchall()
    if not rows:
        raise WeComError(84061)  # the platform's way to say that he has no customers
    return {"external_userid": [row["external_userid"] for row in rows]}


@api("externalcontact/get", "GET", GetQuery)
def external_get(call: Call, request: GetQuery) -> dict[str, Any]:
    person = person_of(call, request.external_userid)
    after = place(request.cursor)
    offset = int(after[0]) if after else 0
    rows = call.db.execute(
        f"select * from relation where external_userid = ? and {VISIBLE_SQL} order by createtime, userid",
        [request.external_userid],
    ).fetchall()
    if not rows:
        raise WeComError(84061)
    rows = [row for row in rows if in_range(call, row["userid"])]
    if not rows:
        raise WeComError(40096)
    answer = {
        "external_contact": contact(call, person),
        "follow_user": [
            {**_follow(row), "tags": labels.of_relation(call, row)} for row in rows[offset : offset + FOLLOWERS_A_PAGE]
        ],
    }
    if len(rows) > offset + FOLLOWERS_A_PAGE:
        answer["next_cursor"] = ids.cursor(offset + FOLLOWERS_A_PAGE)
    return answer


@api("externalcontact/batch/get_by_user", "POST", BatchGet)
def batch_get_by_user(call: Call, request: BatchGet) -> dict[str, Any]:
    members = sorted({contact_member(call, userid) for userid in _userids(call, request)}, key=str.lower)
    size = page_size(request.limit, 50, 100)
    empty = _empty_page(call, request.cursor)
    if empty:
        return {"external_contact_list": [], "next_cursor": empty}
    rows = _page_of_relations(call, members, request.cursor, size + 1)
    more = len(rows) > size
    rows = rows[:size]
    numbers = labels.ids_by_number(call)
    answer: dict[str, Any] = {
        "external_contact_list": [
            {
                "external_contact": contact(call, row),
                "follow_info": {**_follow(row), "tag_id": labels.ids_of(numbers, row["tags"])},
            }
            for row in rows
        ]
    }
    if more or not call.state.settings.end_without_cursor:
        answer["next_cursor"] = ids.cursor(rows[-1]["userid"], rows[-1]["external_userid"]) if more else ""
    return answer


def person_of(call: Call, external_userid: str) -> sqlite3.Row:
    """The stored person. Raises 41035 or 40096."""
    if not external_userid:
        raise WeComError(41035)
    person: sqlite3.Row | None = call.db.execute(
        "select * from person where external_userid = ?", [external_userid]
    ).fetchone()
    if person is None:
        raise WeComError(40096)
    return person


def pair(call: Call, userid: str, external_userid: str) -> sqlite3.Row:
    """The relation that a call on (member, customer) works on. Raises 84061 where the platform sees none."""
    member = contact_member(call, userid)
    person_of(call, external_userid)
    row: sqlite3.Row | None = call.db.execute(
        f"select * from relation where userid = ? and external_userid = ? and {VISIBLE_SQL}",
        [member, external_userid],
    ).fetchone()
    if row is None:
        raise WeComError(84061)
    return row


def contact(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    """`external_contact` of a row with the person's columns."""
    found: dict[str, Any] = {
        "external_userid": row["external_userid"],
        "name": row["name"],
        "avatar": call.picture("avatar", row["external_userid"]),
        "type": row["kind"],
        "gender": row["gender"],
    }
    if row["kind"] == 2:
        found |= {"corp_name": row["corp_name"], "corp_full_name": row["corp_name"], "position": row["position"]}
    elif call.state.settings.unionid_bound:
        found["unionid"] = row["unionid"]
    return found


def _follow(row: sqlite3.Row) -> dict[str, Any]:
    # Rows of an earlier version do not say who began: a scan and a link are the customer's doing.
    by_customer = row["add_way"] in {1, 16} if row["by_customer"] is None else row["by_customer"]
    found = {
        "userid": row["userid"],
        "remark": row["remark"],
        "description": row["description"],
        "createtime": row["createtime"],
        "remark_corp_name": row["corp_remark"],
        "remark_mobiles": msgspec.json.decode(row["mobiles"]),
        "add_way": row["add_way"],
        "state": row["channel_state"],
    }
    if row["add_way"] != 202:  # absent where an administrator assigned the customer
        found["oper_userid"] = row["external_userid"] if by_customer else row["userid"]
    if row["add_way"] == 10:
        found["wechat_channels"] = {"nickname": "simulated channel", "source": 1}
    return found


def _empty_page(call: Call, cursor: str) -> str:
    """A cursor to go on with behind an empty page: clients must not take such a page for the end. "" for none."""
    rate = call.state.settings.empty_page_rate
    after = place(cursor)
    if not rate or (after and len(after) == 3):
        return ""
    if ids.chance(call.state.settings.seed, "empty page", cursor) >= rate:
        return ""
    return ids.cursor(*(after or ("", "")), "empty before")


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
    """One index range per member, until the page is full: a page of one member's customers is one query."""
    after = place(cursor)
    first, behind = (str(after[0]), str(after[1])) if after else ("", "")
    rows: list[sqlite3.Row] = []
    for member in members:
        if member.lower() < first.lower():
            continue
        rows += call.db.execute(
            "select r.*, p.name, p.unionid, p.gender, p.kind, p.corp_name, p.position"
            " from relation r join person p using (external_userid)"
            f" where r.userid = ? and r.external_userid > ? and r.{VISIBLE_SQL} order by r.external_userid limit ?",
            [member, behind if member.lower() == first.lower() else "", size - len(rows)],
        ).fetchall()
        if len(rows) >= size:
            break
    return rows
