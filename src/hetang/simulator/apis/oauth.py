"""Sign-on: who stands behind a code, and what he allowed to be told (reference section 22)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator import sign_on
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError


class Code(msgspec.Struct):
    code: str = ""


class JsCode(msgspec.Struct):
    js_code: str = ""
    grant_type: str = ""


class Ticket(msgspec.Struct):
    user_ticket: str = ""


@api("auth/getuserinfo", "GET", Code)
def getuserinfo(call: Call, request: Code) -> dict[str, Any]:
    row = sign_on.redeem(call.state, call.db, call.agentid, request.code)
    if not row["userid"]:
        found = {"openid": row["openid"]}
        return {**found, "external_userid": row["external_userid"]} if row["external_userid"] else found
    if not row["private"]:
        return {"userid": row["userid"]}
    ticket = secrets.token_urlsafe(48)
    call.db.execute(
        "insert into user_ticket (ticket, userid, agentid, at) values (?, ?, ?, ?)",
        [ticket, row["userid"], call.agentid, call.now],
    )
    return {"userid": row["userid"], "user_ticket": ticket}


@api("user/getuserinfo", "GET", Code)
def legacy_getuserinfo(call: Call, request: Code) -> dict[str, Any]:
    """The older form, with capitals."""
    row = sign_on.redeem(call.state, call.db, call.agentid, request.code)
    if row["userid"]:
        return {"UserId": row["userid"], "DeviceId": ""}
    found = {"OpenId": row["openid"]}
    return {**found, "external_userid": row["external_userid"]} if row["external_userid"] else found


@api("auth/getuserdetail", "POST", Ticket)
def getuserdetail(call: Call, request: Ticket) -> dict[str, Any]:
    row = call.db.execute(
        "select * from user_ticket where ticket = ? and agentid = ?", [request.user_ticket, call.agentid]
    ).fetchone()
    if row is None:
        raise WeComError(84015)
    if call.now - row["at"] > sign_on.TICKET_S:
        raise WeComError(84014)
    member = call.db.execute("select * from member where userid = ?", [row["userid"]]).fetchone()
    found = {"userid": member["userid"], "gender": str(member["gender"]), "avatar": call.picture("avatar", "member")}
    told = {"mobile": member["mobile"], "email": member["email"]}
    return {**found, **{name: value for name, value in told.items() if value}}  # only what he ticked


@api("miniprogram/jscode2session", "GET", JsCode)
def jscode2session(call: Call, request: JsCode) -> dict[str, Any]:
    if request.grant_type != "authorization_code":
        raise WeComError(40035, "grant_type")
    row = sign_on.redeem(call.state, call.db, call.agentid, request.js_code, "miniprogram")
    return {"corpid": call.state.value("corpid"), "userid": row["userid"], "session_key": secrets.token_urlsafe(16)}
