"""Customer-acquisition links (获客助手, reference section 9)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import acquisition, ids
from hetang.simulator.acquisition import LINK
from hetang.simulator.apis import kept
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

_BASE = "externalcontact/customer_acquisition"
LONGEST_SPAN_S, BACK_S = 30 * 86400, 180 * 86400


class Range(msgspec.Struct):
    user_list: list[str] = msgspec.field(default_factory=list)
    department_list: list[int] = msgspec.field(default_factory=list)


class Priority(msgspec.Struct):
    priority_type: int = 1
    priority_userid_list: list[str] = msgspec.field(default_factory=list)


class Link(msgspec.Struct):
    link_name: str = ""
    range: Range | None = None
    skip_verify: bool = True
    priority_option: Priority | None = None
    mark_source: bool = True
    link: dict[str, Any] | None = None  # an SDK wraps its body in `link`
    link_id: str = ""


class LinkId(msgspec.Struct):
    link_id: str = ""


class Paging(msgspec.Struct):
    link_id: str = ""
    limit: int | None = None
    cursor: str = ""


class Span(msgspec.Struct):
    link_id: str
    start_time: int
    end_time: int


class ChatKey(msgspec.Struct):
    chat_key: str = ""


@api(f"{_BASE}/list_link", "POST", Paging)
def list_link(call: Call, request: Paging) -> dict[str, Any]:
    _permitted(call)
    after = place(request.cursor) or [0]
    rows, cursor = kept.page(call, LINK, after[0], page_size(request.limit, 100, 100))
    return {"link_id_list": [row["id"] for row in rows], "next_cursor": cursor}


@api(f"{_BASE}/get", "POST", LinkId)
def get(call: Call, request: LinkId) -> dict[str, Any]:
    _permitted(call)
    row, body = kept.load(call, LINK, request.link_id)
    told = {"link_name": body["link_name"], **_made(row), "skip_verify": body["skip_verify"]}
    return {
        "link": {**told, "mark_source": body["mark_source"]},
        "range": body["range"],
        "priority_option": body["priority_option"] or {"priority_type": 1, "priority_userid_list": []},
    }


@api(f"{_BASE}/create_link", "POST", Link)
def create_link(call: Call, request: Link) -> dict[str, Any]:
    _permitted(call)
    body = _checked(call, _unwrapped(call, request))
    link_id = kept.store(call, LINK, "ca", body)
    row, _ = kept.load(call, LINK, link_id)
    return {"link": {"link_id": link_id, "link_name": body["link_name"], **_made(row)}}


@api(f"{_BASE}/update_link", "POST", Link)
def update_link(call: Call, request: Link) -> dict[str, Any]:
    _permitted(call)
    wanted = _unwrapped(call, request)
    link_id = request.link_id or wanted.link_id
    kept.load(call, LINK, link_id)
    kept.change(call, link_id, _checked(call, wanted))
    return {}


@api(f"{_BASE}/delete_link", "POST", LinkId)
def delete_link(call: Call, request: LinkId) -> dict[str, Any]:
    _permitted(call)
    kept.delete(call, LINK, request.link_id)
    return {}


@api(f"{_BASE}/customer", "POST", Paging)
def customer(call: Call, request: Paging) -> dict[str, Any]:
    _permitted(call)
    kept.load(call, LINK, request.link_id)
    size = page_size(request.limit, 1000, 1000)
    after = place(request.cursor) or ["", ""]
    rows = call.db.execute(
        "select * from relation where link_id = ? and state != 'asked' and (userid, external_userid) > (?, ?)"
        " order by userid, external_userid limit ?",
        [request.link_id, *after, size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "customer_list": [
            {
                "external_userid": row["external_userid"],
                "userid": row["userid"],
                "chat_status": 1 if row["received"] else 0,
                "state": row["channel_state"],
            }
            for row in rows
        ],
        "next_cursor": ids.cursor(rows[-1]["userid"], rows[-1]["external_userid"]) if more else "",
    }


@api("externalcontact/customer_acquisition_quota", "GET POST")
def customer_acquisition_quota(call: Call, _request: Any) -> dict[str, Any]:
    _permitted(call)
    rows = call.db.execute("select * from quota where expires_at > ? order by expires_at", [call.now]).fetchall()
    total = call.db.execute("select coalesce(sum(bought), 0) from quota").fetchone()[0]
    listed = [{"expire_date": acquisition.expire_date(call.state, row), "balance": row["balance"]} for row in rows]
    return {"total": total, "balance": sum(row["balance"] for row in rows), "quota_list": listed}


@api(f"{_BASE}/statistic", "POST", Span)
def statistic(call: Call, request: Span) -> dict[str, Any]:
    _permitted(call)
    kept.load(call, LINK, request.link_id)
    if not 0 <= request.end_time - request.start_time <= LONGEST_SPAN_S or request.start_time < call.now - BACK_S:
        raise WeComError(600018)
    values = [request.link_id, request.start_time, request.end_time]
    clicks = "select count(distinct external_userid) from link_click where link_id = ? and at >= ? and at <= ?"
    added = (
        "select count(*) from relation where link_id = ? and state != 'asked' and createtime >= ? and createtime <= ?"
    )
    return {
        "click_link_customer_cnt": call.db.execute(clicks, values).fetchone()[0],
        "new_customer_cnt": call.db.execute(added, values).fetchone()[0],
    }


@api(f"{_BASE}/get_chat_info", "POST", ChatKey)
def get_chat_info(call: Call, request: ChatKey) -> dict[str, Any]:
    _permitted(call)
    row = call.db.execute(
        "select k.*, r.channel_state from chat_key k join relation r using (userid, external_userid)"
        " where chat_key = ? and at > ?",
        [request.chat_key, call.now - acquisition.CHAT_KEY_S],
    ).fetchone()
    if row is None:
        raise WeComError(40058, "chat_key is invalid or expired")
    return {
        "userid": row["userid"],
        "external_userid": row["external_userid"],
        "chat_info": {"recv_msg_cnt": row["received"], "link_id": row["link_id"], "state": row["channel_state"]},
    }


@api("externalcontact/customer_acquisition_app/get_permit", "GET")
def get_permit(call: Call, _request: Any) -> dict[str, Any]:
    _permitted(call)
    told = msgspec.json.decode(call.app["allowed"] or b"{}") if call.app is not None else {}
    return {
        "user_list": told.get("users", []),
        "department_list": told.get("departments", [] if told else [1]),
        "tag_list": [],
    }


def _permitted(call: Call) -> None:
    if not call.state.settings.acquisition:
        raise WeComError(48002)


def _unwrapped(call: Call, request: Link) -> Link:
    if request.link is None or call.state.settings.strict:
        return request
    try:
        return msgspec.convert({**request.link, "link": None}, Link, strict=False)
    except msgspec.ValidationError as problem:
        raise WeComError(40058, str(problem)) from problem


def _checked(call: Call, link: Link) -> dict[str, Any]:
    if not link.link_name:
        raise WeComError(40058, "link_name is empty")
    behind = link.range or Range()
    if not behind.user_list and not behind.department_list:
        raise WeComError(40058, "range is empty")
    if len(behind.user_list) > call.state.settings.acquisition_range:
        raise WeComError(40058, "range is too large")
    for userid in behind.user_list:
        contact_member(call, userid)
    for department in behind.department_list:
        if call.db.execute("select 1 from department where id = ?", [department]).fetchone() is None:
            raise WeComError(60123)
    if link.priority_option is not None and link.priority_option.priority_type not in {1, 2}:
        raise WeComError(40058, "priority_type")
    body: dict[str, Any] = msgspec.to_builtins(link)
    return {**body, "range": msgspec.to_builtins(behind)}


def _made(row: sqlite3.Row) -> dict[str, Any]:
    return {"url": f"https://work.weixin.qq.com/ca/{row['id']}", "create_time": int(row["created_at"])}
