"""WeChat customer service: accounts, servicers, messages, sessions (reference section 20)."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids, kf
from hetang.simulator.apis import media
from hetang.simulator.calls import Call, api, page_size, place
from hetang.simulator.errors import WeComError

MOST_ACCOUNTS = 5000
LONGEST_NAME = 16
_KINDS = {"text", "image", "voice", "video", "file", "link", "miniprogram", "msgmenu", "location", "business_card"}
_ALLOWED_MOVES = {  # from: to
    kf.NEW: {kf.BY_API, kf.QUEUED, kf.BY_SERVICER, kf.ENDED},
    kf.BY_API: {kf.QUEUED, kf.BY_SERVICER, kf.ENDED},
    kf.QUEUED: {kf.BY_SERVICER, kf.ENDED},
    kf.BY_SERVICER: {kf.BY_SERVICER, kf.ENDED},
    kf.ENDED: set(),
}


class Account(msgspec.Struct):
    open_kfid: str = ""
    name: str = ""
    media_id: str = ""
    scene: str = ""
    userid_list: list[str] = msgspec.field(default_factory=list)
    offset: int = 0
    limit: int | None = None


class Sync(msgspec.Struct):
    cursor: str = ""
    token: str = ""
    limit: int | None = None
    voice_format: int = 0
    open_kfid: str = ""


class Sending(msgspec.Struct):
    touser: str = ""
    open_kfid: str = ""
    msgid: str = ""
    msgtype: str = ""
    code: str = ""
    text: dict[str, Any] | None = None
    msgmenu: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    link: dict[str, Any] | None = None
    miniprogram: dict[str, Any] | None = None


class Session(msgspec.Struct):
    open_kfid: str = ""
    external_userid: str = ""
    service_state: int | None = None
    servicer_userid: str = ""


class Customers(msgspec.Struct):
    external_userid_list: list[str] = msgspec.field(default_factory=list)
    need_enter_session_context: int = 0


@api("kf/account/add", "POST", Account)
def account_add(call: Call, request: Account) -> dict[str, Any]:
    _check_name(request.name)
    if not media.usable(call, request.media_id):
        raise WeComError(40007)
    number = call.db.execute("select count(*) from kf_account").fetchone()[0]
    if number >= MOST_ACCOUNTS:
        raise WeComError(95005)
    made = ids.token("wk", call.state.settings.seed, "kf", call.state.value("corpid"), number)
    call.db.execute(
        "insert into kf_account (open_kfid, number, name, agentid) values (?, ?, ?, ?)",
        [made, number, request.name, call.agentid],
    )
    return {"open_kfid": made}


@api("kf/account/list", "GET POST", Account)
def account_list(call: Call, request: Account) -> dict[str, Any]:
    size = page_size(request.limit, 100, 100)
    rows = call.db.execute(
        "select * from kf_account where deleted_at is null order by number limit ? offset ?", [size, request.offset]
    )
    return {
        "account_list": [
            {
                "open_kfid": row["open_kfid"],
                "name": row["name"],
                "avatar": call.picture("avatar", row["open_kfid"]),
                "manage_privilege": row["agentid"] == call.agentid,
            }
            for row in rows
        ]
    }


@api("kf/account/update", "POST", Account)
def account_update(call: Call, request: Account) -> dict[str, Any]:
    _account(call, request.open_kfid)
    if request.name:
        _check_name(request.name)
        call.db.execute("update kf_account set name = ? where open_kfid = ?", [request.name, request.open_kfid])
    return {}


@api("kf/account/del", "POST", Account)
def account_del(call: Call, request: Account) -> dict[str, Any]:
    _account(call, request.open_kfid)
    call.db.execute("update kf_account set deleted_at = ? where open_kfid = ?", [call.now, request.open_kfid])
    return {}


@api("kf/add_contact_way", "POST", Account)
def add_contact_way(call: Call, request: Account) -> dict[str, Any]:
    _account(call, request.open_kfid)
    if len(request.scene) > 32 or not re.fullmatch(r"[0-9a-zA-Z_-]*", request.scene):
        raise WeComError(40058, "scene")
    return {"url": f"https://work.weixin.qq.com/kf/{request.open_kfid}?enc_scene={request.scene}"}


@api("kf/servicer/add", "POST", Account)
def servicer_add(call: Call, request: Account) -> dict[str, Any]:
    return _servicers(call, request, "insert or ignore into kf_servicer (open_kfid, userid) values (?, ?)")


@api("kf/servicer/del", "POST", Account)
def servicer_del(call: Call, request: Account) -> dict[str, Any]:
    return _servicers(call, request, "delete from kf_servicer where open_kfid = ? and userid = ?")


@api("kf/servicer/list", "GET", Account)
def servicer_list(call: Call, request: Account) -> dict[str, Any]:
    _account(call, request.open_kfid)
    rows = call.db.execute("select userid from kf_servicer where open_kfid = ? order by userid", [request.open_kfid])
    return {"servicer_list": [{"userid": row["userid"], "status": 0} for row in rows]}


@api("kf/sync_msg", "POST", Sync)
def sync_msg(call: Call, request: Sync) -> dict[str, Any]:
    """Messages behind the cursor, of the last three days."""
    if request.token:
        known = call.db.execute(
            "select 1 from kf_token where token = ? and at > ?", [request.token, call.now - kf.TOKEN_S]
        ).fetchone()
        if known is None:
            raise WeComError(95007)
    size = page_size(request.limit, 1000, 1000)
    after = place(request.cursor) or [0]
    rows = call.db.execute(
        "select * from kf_message where number > ?1 and at > ?2 and (?3 = '' or open_kfid = ?3)"
        " order by number limit ?4",
        [after[0], call.now - kf.KEPT_S, request.open_kfid, size + 1],
    ).fetchall()
    more = len(rows) > size
    rows = rows[:size]
    cursor = ids.cursor(rows[-1]["number"]) if rows else request.cursor
    return {"next_cursor": cursor, "has_more": int(more), "msg_list": [_message(row) for row in rows]}


@api("kf/send_msg", "POST", Sending)
def send_msg(call: Call, request: Sending) -> dict[str, Any]:
    _account(call, request.open_kfid)
    body = _body(request)
    row = kf.session(call.db, request.open_kfid, request.touser)
    if row["state"] not in {kf.NEW, kf.BY_API, kf.BY_SERVICER} or call.now - row["written_at"] > kf.ANSWER_S:
        raise WeComError(95018)
    if row["answers_left"] <= 0:
        raise WeComError(95001)
    call.db.execute(
        "update kf_session set answers_left = answers_left - 1 where open_kfid = ? and external_userid = ?",
        [request.open_kfid, request.touser],
    )
    who = (request.open_kfid, request.touser)
    return {"msgid": _answer(call, who, request.msgtype, body)}


@api("kf/send_msg_on_event", "POST", Sending)
def send_msg_on_event(call: Call, request: Sending) -> dict[str, Any]:
    if request.msgtype not in {"text", "msgmenu"}:
        raise WeComError(40008)
    body = _body(request)
    row = call.db.execute(
        "select * from kf_session where welcome_code = ? and welcome_code != '' and entered_at >= ?",
        [request.code, call.now - kf.WELCOME_S],
    ).fetchone()
    if row is None:
        raise WeComError(40058, "code is invalid, used or expired")
    who = (row["open_kfid"], row["external_userid"])
    call.db.execute("update kf_session set welcome_code = '' where open_kfid = ? and external_userid = ?", who)
    return {"msgid": _answer(call, who, request.msgtype, body)}


@api("kf/service_state/get", "POST", Session)
def service_state_get(call: Call, request: Session) -> dict[str, Any]:
    _account(call, request.open_kfid)
    row = kf.session(call.db, request.open_kfid, request.external_userid)
    found = {"service_state": row["state"]}
    return {**found, "servicer_userid": row["servicer"]} if row["servicer"] else found


@api("kf/service_state/trans", "POST", Session)
def service_state_trans(call: Call, request: Session) -> dict[str, Any]:
    _account(call, request.open_kfid)
    row = kf.session(call.db, request.open_kfid, request.external_userid)
    if request.service_state not in _ALLOWED_MOVES[row["state"]]:
        raise WeComError(95016)
    servicer = request.servicer_userid if request.service_state == kf.BY_SERVICER else ""
    if request.service_state == kf.BY_SERVICER:
        query = "select 1 from kf_servicer where open_kfid = ? and userid = ?"
        if call.db.execute(query, [request.open_kfid, servicer]).fetchone() is None:
            raise WeComError(95014)
    call.db.execute(
        "update kf_session set state = ?, servicer = ? where open_kfid = ? and external_userid = ?",
        [request.service_state, servicer, request.open_kfid, request.external_userid],
    )
    return {}


@api("kf/customer/batchget", "POST", Customers)
def customer_batchget(call: Call, request: Customers) -> dict[str, Any]:
    if not 1 <= len(request.external_userid_list) <= 100:
        raise WeComError(40058, "1 to 100 customers")
    asked = msgspec.json.encode(request.external_userid_list).decode()
    rows = call.db.execute(
        "select p.* from json_each(?) w join person p on p.external_userid = w.value order by w.key", [asked]
    ).fetchall()
    known = {row["external_userid"] for row in rows}
    return {
        "customer_list": [
            {
                "external_userid": row["external_userid"],
                "nickname": row["name"],
                "avatar": call.picture("avatar", row["external_userid"]),
                "gender": row["gender"],
                "unionid": row["unionid"],
            }
            for row in rows
        ],
        "invalid_external_userid": [one for one in request.external_userid_list if one not in known],
    }


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise WeComError(95006)


def _account(call: Call, open_kfid: str) -> None:
    query = "select 1 from kf_account where open_kfid = ? and deleted_at is null"
    if call.db.execute(query, [open_kfid]).fetchone() is None:
        raise WeComError(95004 if open_kfid.startswith("wk") else 95000)


def _servicers(call: Call, request: Account, statement: str) -> dict[str, Any]:
    _account(call, request.open_kfid)
    if not 1 <= len(request.userid_list) <= 100:
        raise WeComError(40058, "userid_list must have 1 to 100 entries")
    results = []
    for userid in request.userid_list:
        known = call.db.execute("select 1 from member where userid = ? and left_at is null", [userid]).fetchone()
        if known is not None:
            call.db.execute(statement, [request.open_kfid, userid])
        results.append({"userid": userid, "errcode": 0 if known else 60111, "errmsg": "success" if known else "no"})
    return {"result_list": results}


def _body(request: Sending) -> dict[str, Any]:
    if request.msgtype not in _KINDS:
        raise WeComError(40008)
    body: dict[str, Any] | None = getattr(request, request.msgtype, None)
    if not body:
        raise WeComError(44004)
    if request.msgtype == "msgmenu" and len(body.get("list") or []) > 10:
        raise WeComError(95008)
    return body


def _answer(call: Call, who: tuple[str, str], kind: str, body: dict[str, Any]) -> str:
    return kf.keep(call.state, call.db, who, origin=kf.OF_SERVICER, kind=kind, body=body)


def _message(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "msgid": row["msgid"],
        "open_kfid": row["open_kfid"],
        "external_userid": row["external_userid"],
        "send_time": int(row["at"]),
        "origin": row["origin"],
        "msgtype": row["msgtype"],
        row["msgtype"]: msgspec.json.decode(row["body"]),
    }
