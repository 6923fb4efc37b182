"""What became of mass messages: lists, tasks, results, reminders, cancelling (reference section 10.3)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids, staff
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

MAX_SPAN_S = 31 * 86400  # one month; not confirmed by the official text
REMINDERS_A_DAY = 3


class ListQuery(msgspec.Struct):
    chat_type: str
    start_time: int
    end_time: int
    creator: str = ""
    filter_type: int = 2
    limit: int | None = None
    cursor: str = ""


class TaskQuery(msgspec.Struct):
    msgid: str = ""
    limit: int | None = None
    cursor: str = ""


class ResultQuery(msgspec.Struct):
    msgid: str = ""
    userid: str = ""
    limit: int | None = None
    cursor: str = ""


@api("externalcontact/get_groupmsg_list_v2", "POST", ListQuery)
def get_groupmsg_list_v2(call: Call, request: ListQuery) -> dict[str, Any]:
    if request.chat_type not in {"single", "group"}:
        raise WeComError(86214)
    if not 0 <= request.end_time - request.start_time <= MAX_SPAN_S:
        raise WeComError(600018)
    size = page_size(request.limit, 50, 100)
    before = place(request.cursor) or [1 << 60]
    rows = call.db.execute(
        "select * from group_message where chat_type = ?1 and created_at >= ?2 and created_at < ?3 and created_at <= ?4"
        " and number < ?5 and (?6 = 2 or (creator != '') = ?6) and (?7 = '' or creator = ?7)"
        " order by number desc limit ?8",
        [
            *(request.chat_type, request.start_time, request.end_time + 1),
            *(call.now - call.state.settings.list_lag_s, before[0]),
            *(request.filter_type, request.creator, size + 1),
        ],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "group_msg_list": [_listed(row) for row in rows],
        "next_cursor": ids.cursor(rows[-1]["number"]) if more else "",
    }


@api("externalcontact/get_groupmsg_task", "POST", TaskQuery)
def get_groupmsg_task(call: Call, request: TaskQuery) -> dict[str, Any]:
    _message(call, request.msgid)
    size = page_size(request.limit, 500, 1000)
    after = place(request.cursor) or [""]
    rows = call.db.execute(
        "select userid, status, send_time from group_message_task where msgid = ? and userid > ?"
        " order by userid limit ?",
        [request.msgid, after[0], size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "task_list": [_with_time({"userid": row["userid"], "status": row["status"]}, row) for row in rows],
        "next_cursor": ids.cursor(rows[-1]["userid"]) if more else "",
    }


@api("externalcontact/get_groupmsg_send_result", "POST", ResultQuery)
def get_groupmsg_send_result(call: Call, request: ResultQuery) -> dict[str, Any]:
    kind = "chat_id" if _message(call, request.msgid)["chat_type"] == "group" else "external_userid"
    member = contact_member(call, request.userid)
    size = page_size(request.limit, 500, 1000)
    after = place(request.cursor) or [""]
    rows = call.db.execute(
        "select external_userid, userid, status, send_time from group_message_recipient"
        " where msgid = ? and userid = ? and external_userid > ? order by external_userid limit ?",
        [request.msgid, member, after[0], size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "send_list": [
            _with_time({kind: row["external_userid"], "userid": row["userid"], "status": row["status"]}, row)
            for row in rows
        ],
        "next_cursor": ids.cursor(rows[-1]["external_userid"]) if more else "",
    }


@api("externalcontact/get_group_msg_result", "POST", TaskQuery, legacy=True)
def get_group_msg_result(call: Call, request: TaskQuery) -> dict[str, Any]:
    """The older form: all members' results in one list."""
    kind = "chat_id" if _message(call, request.msgid)["chat_type"] == "group" else "external_userid"
    size = page_size(request.limit, 500, 1000)
    after = place(request.cursor) or ["", ""]
    rows = call.db.execute(
        "select * from group_message_recipient where msgid = ? and (userid, external_userid) > (?, ?)"
        " order by userid, external_userid limit ?",
        [request.msgid, *after, size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    found = [
        _with_time({kind: row["external_userid"], "userid": row["userid"], "status": row["status"]}, row)
        for row in rows
    ]
    cursor = ids.cursor(rows[-1]["userid"], rows[-1]["external_userid"]) if more else ""
    return {"check_status": 1, "detail_list": found, "next_cursor": cursor}


@api("externalcontact/remind_groupmsg_send", "POST", TaskQuery)
def remind_groupmsg_send(call: Call, request: TaskQuery) -> dict[str, Any]:
    _message(call, request.msgid)
    recent = call.db.execute(
        "select count(*) from reminder where msgid = ? and at > ?", [request.msgid, call.now - 86400]
    ).fetchone()[0]
    if recent >= REMINDERS_A_DAY:
        raise WeComError(45009, "3 reminders in 24 hours")
    call.db.execute("insert into reminder (msgid, at) values (?, ?)", [request.msgid, call.now])
    staff.reminded(call.state, call.db, request.msgid, call.now)
    return {}


@api("externalcontact/cancel_groupmsg_send", "POST", TaskQuery)
def cancel_groupmsg_send(call: Call, request: TaskQuery) -> dict[str, Any]:
    _message(call, request.msgid)
    call.db.execute(
        "update group_message set cancelled_at = ? where msgid = ? and cancelled_at is null",
        [call.now, request.msgid],
    )
    return {}


def _message(call: Call, msgid: str) -> sqlite3.Row:
    if not msgid:
        raise WeComError(41046)
    row: sqlite3.Row | None = call.db.execute("select * from group_message where msgid = ?", [msgid]).fetchone()
    if row is None:
        raise WeComError(41047)
    if call.now < row["created_at"] + call.state.settings.dispatch_s:
        raise WeComError(41063)
    return row


def _listed(row: sqlite3.Row) -> dict[str, Any]:
    # The platform leaves `creator` out for tasks made through the API.
    by = {"creator": row["creator"]} if row["creator"] else {}
    return {
        **by,
        "msgid": row["msgid"],
        "create_time": str(int(row["created_at"])),
        "create_type": 1 if row["creator"] else 0,
        "text": {"content": row["text"]},
        "attachments": msgspec.json.decode(row["attachments"]),
    }


def _with_time(item: dict[str, Any], row: sqlite3.Row) -> dict[str, Any]:
    return {**item, "send_time": int(row["send_time"])} if row["send_time"] is not None else item
