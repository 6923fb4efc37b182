"""gettoken: the same token until it expires (page 91039)."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError


class GetToken(msgspec.Struct):
    corpid: str = ""
    corpsecret: str = ""


@api("gettoken", "GET", GetToken, authorised=False)
def gettoken(call: Call, request: GetToken) -> dict[str, Any]:
    if not request.corpid:
        raise WeComError(41002)
    if not request.corpsecret:
        raise WeComError(41004)
    if request.corpid != call.state.value("corpid"):
        raise WeComError(40013)
    app = call.db.execute("select agentid from app where secret = ?", [request.corpsecret]).fetchone()
    if app is None:
        raise WeComError(40001)
    row = call.db.execute(
        "select access_token, expires_at from token where agentid = ? and dead = '' and expires_at > ?",
        [app["agentid"], call.now],
    ).fetchone()
    if row is not None:
        return {"access_token": row["access_token"], "expires_in": int(row["expires_at"] - call.now)}
    return _issue(call, app["agentid"])


def _issue(call: Call, agentid: int) -> dict[str, Any]:
    life = call.state.settings.token_life_s
    token = secrets.token_urlsafe(160)
    call.db.execute(
        "delete from token where agentid = ? and expires_at < ?", [agentid, call.now - 30 * 86400]
    )  # long dead: nobody holds it any more
    call.db.execute(
        "insert into token (access_token, agentid, expires_at) values (?, ?, ?)", [token, agentid, call.now + life]
    )
    return {"access_token": token, "expires_in": life}
