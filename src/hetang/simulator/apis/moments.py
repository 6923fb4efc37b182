"""Customer moments: tasks, results, lists, who sees and reacts (reference section 13)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids, moments, tags
from hetang.simulator.apis import media
from hetang.simulator.apis.content import Text
from hetang.simulator.apis.scope import departments_below
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

LONGEST_TEXT = 2000
MOST_SENDERS = 100_000
JOB_LIFE_S = 86400
LONGEST_SPAN_S = 30 * 86400
BEGUN, CREATING, DONE = 1, 2, 3
_MOST_OF_KIND = {"image": 9, "video": 1, "link": 1}


class Senders(msgspec.Struct):
    user_list: list[str] = msgspec.field(default_factory=list)
    department_list: list[int] = msgspec.field(default_factory=list)


class Customers(msgspec.Struct):
    tag_list: list[str] = msgspec.field(default_factory=list)


class Range(msgspec.Struct):
    sender_list: Senders | None = None
    external_contact_list: Customers | None = None


class NewMoment(msgspec.Struct):
    text: Text | None = None
    attachments: list[dict[str, Any]] = msgspec.field(default_factory=list)
    visible_range: Range | None = None


class Job(msgspec.Struct):
    jobid: str = ""


class ListQuery(msgspec.Struct):
    start_time: int
    end_time: int
    creator: str = ""
    filter_type: int = 2
    cursor: str = ""
    limit: int | None = None


class One(msgspec.Struct):
    moment_id: str = ""
    userid: str = ""
    cursor: str = ""
    limit: int | None = None


@api("externalcontact/add_moment_task", "POST", NewMoment)
def add_moment_task(call: Call, request: NewMoment) -> dict[str, Any]:
    _check(call, request)
    asked = request.visible_range or Range()
    senders, wrong = _senders(call, asked.sender_list)
    known, unknown = _tags(call, asked.external_contact_list)
    words = request.text.content if request.text else ""
    body = {"text": words, "attachments": request.attachments, "tag_list": known, "public": asked == Range()}
    row = moments.create(call.state, call.db, body, senders, agentid=call.agentid)
    invalid = {"invalid_sender_list": wrong, "invalid_external_contact_list": {"tag_list": unknown}}
    call.db.execute(
        "update moment set invalid = ? where number = ?", [msgspec.json.encode(invalid).decode(), row["number"]]
    )
    return {"jobid": row["jobid"]}


@api("externalcontact/get_moment_task_result", "GET", Job)
def get_moment_task_result(call: Call, request: Job) -> dict[str, Any]:
    if not request.jobid:
        raise WeComError(40088)
    row = call.db.execute("select * from moment where jobid = ?", [request.jobid]).fetchone()
    if row is None or call.now - row["created_at"] > JOB_LIFE_S:
        raise WeComError(40089)
    status = _status(call, row)
    if status != DONE:
        return {"status": status, "type": "add_moment_task"}
    found = {"errcode": 0, "errmsg": "ok", "moment_id": row["moment_id"], **msgspec.json.decode(row["invalid"])}
    return {"status": DONE, "type": "add_moment_task", "result": found}


@api("externalcontact/cancel_moment_task", "POST", One)
def cancel_moment_task(call: Call, request: One) -> dict[str, Any]:
    row = _moment(call, request.moment_id, own=True)
    call.db.execute(
        "update moment set cancelled_at = coalesce(cancelled_at, ?) where number = ?", [call.now, row["number"]]
    )
    return {}


@api("externalcontact/get_moment_list", "POST", ListQuery)
def get_moment_list(call: Call, request: ListQuery) -> dict[str, Any]:
    if not 0 <= request.end_time - request.start_time <= LONGEST_SPAN_S:
        raise WeComError(600018)
    size = page_size(request.limit, 20, 20)
    before = place(request.cursor) or [1 << 60]
    rows = call.db.execute(
        "select * from moment where created_at >= ? and created_at < ? and created_at <= ? and number < ?"
        " and (?5 = 2 or (owner = '') = (?5 = 0)) and (?6 = '' or owner = ?6) order by number desc limit ?7",
        [
            *(request.start_time, request.end_time + 1, call.now - call.state.settings.moment_job_s, before[0]),
            *(request.filter_type, request.creator, size + 1),
        ],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return {
        "moment_list": [_listed(row) for row in rows],
        "next_cursor": ids.cursor(rows[-1]["number"]) if more else "",
    }


@api("externalcontact/get_moment_task", "POST", One)
def get_moment_task(call: Call, request: One) -> dict[str, Any]:
    row = _moment(call, request.moment_id)
    if row["owner"]:
        raise WeComError(41060, "only moments of the corp have tasks")
    rows, cursor = _page(
        call,
        "select userid, published_at from moment_task where moment_id = ? and userid > ? order by userid limit ?",
        (request.moment_id,),
        (request, 500, 1000, "userid"),
    )
    tasks = [{"userid": row["userid"], "publish_status": int(row["published_at"] is not None)} for row in rows]
    return {"task_list": tasks, "next_cursor": cursor}


@api("externalcontact/get_moment_customer_list", "POST", One)
def get_moment_customer_list(call: Call, request: One) -> dict[str, Any]:
    rows, cursor = _viewers(call, request, "", (500, 1000))
    listed = [{"userid": row["userid"], "external_userid": row["external_userid"]} for row in rows]
    return {"customer_list": listed, "next_cursor": cursor}


@api("externalcontact/get_moment_send_result", "POST", One)
def get_moment_send_result(call: Call, request: One) -> dict[str, Any]:
    rows, cursor = _viewers(call, request, " and seen", (3000, 5000))
    return {"customer_list": [{"external_userid": row["external_userid"]} for row in rows], "next_cursor": cursor}


@api("externalcontact/get_moment_comments", "POST", One)
def get_moment_comments(call: Call, request: One) -> dict[str, Any]:
    _published(call, request)
    rows = call.db.execute(
        "select * from moment_reaction where moment_id = ? and userid = ? order by number",
        [request.moment_id, request.userid],
    ).fetchall()
    told: dict[str, list[dict[str, Any]]] = {"comment": [], "like": []}
    for row in rows:
        told[row["kind"]].append({"external_userid": row["external_userid"], "create_time": int(row["at"])})
    return {"comment_list": told["comment"], "like_list": told["like"]}


def _check(call: Call, request: NewMoment) -> None:
    words = request.text.content if request.text else ""
    if len(words) > LONGEST_TEXT:
        raise WeComError(45002)
    if not words and not request.attachments:
        raise WeComError(40058, "text and attachments are both empty")
    kinds = {str(one.get("msgtype")) for one in request.attachments}
    if len(kinds) > 1 or kinds - set(_MOST_OF_KIND):
        raise WeComError(41065, "invalid attachments msgtype")
    for kind in kinds:
        if len(request.attachments) > _MOST_OF_KIND[kind]:
            raise WeComError(41064, "invalid attachments size")
    for one in request.attachments:
        body = one.get(one["msgtype"]) or {}
        if not media.usable(call, str(body.get("media_id")), media.FOR_MOMENTS):
            raise WeComError(40007)
        if one["msgtype"] == "link" and (not body.get("url") or len(str(body.get("title", "")).encode()) > 64):
            raise WeComError(40058, "link")


def _senders(call: Call, asked: Senders | None) -> tuple[list[str], dict[str, Any]]:
    """The members who get a task, and what was asked for in vain."""
    wanted = asked or Senders()
    if len(wanted.user_list) > MOST_SENDERS:
        raise WeComError(40058, "too many senders")
    rows = call.db.execute("select userid from member where status = 1 and customer_contact = 1 and left_at is null")
    able = {row["userid"].lower(): row["userid"] for row in rows}
    departments = {row["id"] for row in call.db.execute("select id from department")}
    wrong = {
        "user_list": [one for one in wanted.user_list if one.lower() not in able],
        "department_list": [one for one in wanted.department_list if one not in departments],
    }
    if not wanted.user_list and not wanted.department_list:
        return sorted(able.values()), wrong
    asked_for = {*wanted.user_list, *departments_below(call, wanted.department_list)}
    return sorted({able[one.lower()] for one in asked_for if one.lower() in able}), wrong


def _tags(call: Call, asked: Customers | None) -> tuple[list[str], list[str]]:
    known, unknown = [], []
    for tag in asked.tag_list if asked else []:
        try:
            tags.numbers_of(call.db, [tag])
        except WeComError:
            unknown.append(tag)
        else:
            known.append(tag)
    return known, unknown


def _status(call: Call, row: sqlite3.Row) -> int:
    took, whole = call.now - row["created_at"], call.state.settings.moment_job_s
    return DONE if took >= whole else CREATING if took >= whole / 2 else BEGUN


def _moment(call: Call, moment_id: str, *, own: bool = False) -> sqlite3.Row:
    if not moment_id:
        raise WeComError(41059)
    row: sqlite3.Row | None = call.db.execute("select * from moment where moment_id = ?", [moment_id]).fetchone()
    if row is None or _status(call, row) != DONE:
        raise WeComError(41060)
    if own and row["agentid"] != call.agentid:
        raise WeComError(301002)
    return row


def _published(call: Call, request: One) -> None:
    _moment(call, request.moment_id)
    if not request.userid:
        raise WeComError(41009)
    row = call.db.execute(
        "select published_at from moment_task where moment_id = ? and userid = ?", [request.moment_id, request.userid]
    ).fetchone()
    if row is None:
        raise WeComError(41061)
    if row["published_at"] is None:
        raise WeComError(41062)


def _viewers(call: Call, request: One, where: str, sizes: tuple[int, int]) -> tuple[list[sqlite3.Row], str]:
    _published(call, request)
    return _page(
        call,
        f"select userid, external_userid from moment_view where moment_id = ? and userid = ?{where}"
        " and external_userid > ? order by external_userid limit ?",
        (request.moment_id, request.userid),
        (request, *sizes, "external_userid"),
    )


def _page(
    call: Call, query: str, values: tuple[Any, ...], paging: tuple[One, int, int, str]
) -> tuple[list[sqlite3.Row], str]:
    request, default, highest, key = paging
    size = page_size(request.limit, default, highest)
    after = place(request.cursor) or [""]
    rows = call.db.execute(query, [*values, after[0], size + 1]).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    return rows, ids.cursor(rows[-1][key]) if more else ""


def _listed(row: sqlite3.Row) -> dict[str, Any]:
    body = msgspec.json.decode(row["body"])
    found: dict[str, Any] = {
        "moment_id": row["moment_id"],
        "create_time": int(row["created_at"]),
        "create_type": 1 if row["owner"] else 0,
        "visible_type": 1 if body["public"] else 0,
        "text": {"content": body["text"]},
    }
    if row["owner"]:
        found["creator"] = row["owner"]
    for one in body["attachments"]:
        if one["msgtype"] == "image":
            found.setdefault("image", []).append({"media_id": one["image"]["media_id"]})
        elif one["msgtype"] == "video":
            found["video"] = {"media_id": one["video"]["media_id"], "thumb_media_id": ""}
        else:
            found["link"] = {"title": one["link"].get("title", ""), "url": one["link"]["url"]}
    return found
