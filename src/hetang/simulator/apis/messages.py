"""Mass messages (reference section 10): the API makes tasks; nothing reaches a customer before a member confirms."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids, staff
from hetang.simulator.apis.content import Text, check_message
from hetang.simulator.apis.scope import contact_member
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

MAX_CUSTOMERS = 10_000
MAX_SPAN_S = 31 * 86400  # one month; not confirmed by the official text
REMINDERS_A_DAY = 3


class AddTemplate(msgspec.Struct):
    chat_type: str = "single"
    external_userid: list[str] | None = None
    sender: str = ""
    allow_select: bool = False
    text: Text | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)


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


@api("externalcontact/add_msg_template", "POST", AddTemplate)
def add_msg_template(call: Call, request: AddTemplate) -> dict[str, Any]:
    if request.chat_type != "single":
        raise WeComError(86214, "customer groups come with group chats")
    check_message(call, request.text, request.attachments)
    wanted = _wanted(request)
    pairs = _pairs(call, request, wanted)
    if not pairs:
        raise WeComError(41048)
    msgid = _store(call, request, pairs)
    reachable = {customer for _, customer in pairs}
    failed = [customer for customer in dict.fromkeys(wanted or ()) if customer not in reachable]
    return {"fail_list": failed, "msgid": msgid}


@api("externalcontact/get_groupmsg_list_v2", "POST", ListQuery)
def get_groupmsg_list_v2(call: Call, request: ListQuery) -> dict[str, Any]:
    if request.chat_type not in {"single", "group"}:
        raise WeComError(86214)
    if not 0 <= request.end_time - request.start_time <= MAX_SPAN_S:
        raise WeComError(600018)
    size = page_size(request.limit, 50, 100)
    before = place(request.cursor) or [1 << 60]
    rows = call.db.execute(
        "select * from group_message where chat_type = ? and created_at >= ? and created_at < ? and created_at <= ?"
        " and number < ? order by number desc limit ?",
        [
            *(request.chat_type, request.start_time, request.end_time + 1),
            *(call.now - call.state.settings.list_lag_s, before[0], size + 1),
        ],
    ).fetchall()
    if request.filter_type == 1 or request.creator:
        rows = []  # API tasks have no creator, and no member of the simulation writes mass messages of his own
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
    _message(call, request.msgid)
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
            _with_time(
                {"external_userid": row["external_userid"], "userid": row["userid"], "status": row["status"]}, row
            )
            for row in rows
        ],
        "next_cursor": ids.cursor(rows[-1]["external_userid"]) if more else "",
    }


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


def _wanted(request: AddTemplate) -> list[str] | None:
    """The customers asked for; None: all of the sender's."""
    if request.external_userid:
        if len(request.external_userid) > MAX_CUSTOMERS:
            raise WeComError(40058, "more than 10,000 customers")
        return request.external_userid
    if not request.sender:
        raise WeComError(40058, "sender and external_userid are both empty")
    return None


def _pairs(call: Call, request: AddTemplate, wanted: list[str] | None) -> list[tuple[str, str]]:
    """(member, customer): the sender's own customers, or each customer's most recent member."""
    visible = "state in ('full', 'lost_by_customer')"
    if wanted is None:
        member = contact_member(call, request.sender)
        query = f"select userid, external_userid from relation where userid = ? and {visible}"
        return [(row[0], row[1]) for row in call.db.execute(query, [member])]
    listed = msgspec.json.encode(wanted).decode()
    if request.sender:
        member = contact_member(call, request.sender)
        query = (
            "select r.userid, r.external_userid from (select distinct value from json_each(?)) w"
            f" join relation r on r.external_userid = w.value and r.userid = ? where r.{visible}"
        )
        return [(row[0], row[1]) for row in call.db.execute(query, [listed, member])]
    query = (
        "select userid, external_userid, max(createtime) from relation"
        f" where external_userid in (select value from json_each(?)) and {visible} group by external_userid"
    )
    return [(row[0], row[1]) for row in call.db.execute(query, [listed])]


def _store(call: Call, request: AddTemplate, pairs: list[tuple[str, str]]) -> str:
    number = call.db.execute("select coalesce(max(number), 0) + 1 from group_message").fetchone()[0]
    msgid = ids.token("msg", call.state.settings.seed, "msg", call.state.value("corpid"), number, length=40)
    text = request.text.content if request.text else ""
    call.db.execute(
        "insert into group_message (number, msgid, agentid, chat_type, text, attachments, created_at)"
        " values (?, ?, ?, 'single', ?, ?, ?)",
        [number, msgid, call.agentid, text, msgspec.json.encode(request.attachments).decode(), call.now],
    )
    call.db.executemany(
        "insert into group_message_recipient (msgid, userid, external_userid) values (?, ?, ?)",
        ((msgid, member, customer) for member, customer in pairs),
    )
    for member in sorted({member for member, _ in pairs}):
        staff.assigned(call.state, call.db, msgid, member, call.now)
    return msgid


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
    # No `creator`: the platform leaves it out for tasks made through the API.
    return {
        "msgid": row["msgid"],
        "create_time": str(int(row["created_at"])),
        "create_type": 0,
        "text": {"content": row["text"]},
        "attachments": msgspec.json.decode(row["attachments"]),
    }


def _with_time(item: dict[str, Any], row: sqlite3.Row) -> dict[str, Any]:
    return {**item, "send_time": int(row["send_time"])} if row["send_time"] is not None else item
