"""Codes by which a member (or a customer) is told to an app after he signed on (reference section 22)."""

from __future__ import annotations

import secrets
import sqlite3
from urllib.parse import urlsplit

from hetang.simulator import ids
from hetang.simulator.errors import WeComError
from hetang.simulator.state import State

CODE_S, TICKET_S = 300.0, 1800.0


def issue(
    state: State,
    db: sqlite3.Connection,
    agentid: int,
    *,
    userid: str = "",
    external_userid: str = "",
    private: bool = False,
    kind: str = "web",
) -> str:
    """A code for five minutes and one use. Without userid and external_userid it is a stranger's."""
    code = secrets.token_urlsafe(32)
    openid = ids.token("o", state.settings.seed, "openid", external_userid or "stranger", length=28)
    db.execute(
        "insert into login_code (code, agentid, userid, external_userid, openid, kind, private, at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        [code, agentid, userid, external_userid, openid, kind, private, state.now()],
    )
    return code


def redeem(state: State, db: sqlite3.Connection, agentid: int, code: str, kind: str = "web") -> sqlite3.Row:
    """Who stands behind the code. Raises 40029 or 42022."""
    row: sqlite3.Row | None = db.execute(
        "select * from login_code where code = ? and agentid = ? and kind = ?", [code, agentid, kind]
    ).fetchone()
    if row is None or not 0 <= state.now() - row["at"] <= CODE_S:
        raise WeComError(40029)
    if row["used_at"] is not None:
        raise WeComError(42022)
    db.execute("update login_code set used_at = ? where code = ?", [state.now(), code])
    return row


def app_of(state: State, db: sqlite3.Connection, corpid: str, agentid: str, redirect_uri: str) -> sqlite3.Row:
    """The app that sends people to sign on. Raises 40013, 40056 or 50001."""
    if corpid != state.value("corpid"):
        raise WeComError(40013)
    rows = db.execute("select * from app where ?1 = '' or agentid = ?1", [agentid]).fetchall()
    if len(rows) != 1:
        raise WeComError(40056)
    row: sqlite3.Row = rows[0]
    place = urlsplit(redirect_uri)
    domain = row["redirect_domain"]
    if place.scheme not in {"http", "https"} or (domain and domain not in {place.netloc, place.hostname}):
        raise WeComError(50001)
    return row
