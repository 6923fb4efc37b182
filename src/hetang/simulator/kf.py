"""WeChat customer service: sessions of people with an account, messages kept for three days (reference section 20)."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import msgspec

from hetang.simulator import events, ids
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State

NEW, BY_API, QUEUED, BY_SERVICER, ENDED = range(5)
OF_CUSTOMER, OF_SYSTEM, OF_SERVICER = 3, 4, 5
KEPT_S = 3 * 86400.0
ANSWER_S, ANSWERS = 48 * 3600.0, 5
TOKEN_S = 600.0
WELCOME_S = 20.0


def keep(
    state: State, db: sqlite3.Connection, who: tuple[str, str], *, origin: int, kind: str, body: dict[str, Any]
) -> str:
    """Store a message of (open_kfid, external_userid); tell the apps that something is there. Returns its msgid."""
    open_kfid, person = who
    number = db.execute("select coalesce(max(number), 0) + 1 from kf_message").fetchone()[0]
    msgid = ids.token("", state.settings.seed, "kf message", number)
    db.execute(
        "insert into kf_message (number, msgid, open_kfid, external_userid, origin, at, msgtype, body)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        [number, msgid, open_kfid, person, origin, state.now(), kind, msgspec.json.encode(body).decode()],
    )
    if origin != OF_SERVICER:
        token = secrets.token_urlsafe(24)
        db.execute("insert into kf_token (token, open_kfid, at) values (?, ?, ?)", [token, open_kfid, state.now()])
        events.queue_kf(state, db, token, open_kfid)
    return msgid


def session(db: sqlite3.Connection, open_kfid: str, person: str) -> sqlite3.Row:
    """The session's row, made if need be."""
    db.execute("insert or ignore into kf_session (open_kfid, external_userid) values (?, ?)", [open_kfid, person])
    row: sqlite3.Row = db.execute(
        "select * from kf_session where open_kfid = ? and external_userid = ?", [open_kfid, person]
    ).fetchone()
    return row


def enter(state: State, db: sqlite3.Connection, open_kfid: str, person: str, scene: str) -> str:
    """A person opens the account. Returns the welcome code that the event carries; "" within 48 hours of a message."""
    _check(db, open_kfid, person)
    recent = db.execute(
        "select 1 from kf_message where open_kfid = ? and external_userid = ? and origin in (3, 5) and at > ?",
        [open_kfid, person, state.now() - ANSWER_S],
    ).fetchone()
    code = "" if recent else secrets.token_urlsafe(24)
    session(db, open_kfid, person)
    if code:
        db.execute(
            "update kf_session set welcome_code = ?, entered_at = ? where open_kfid = ? and external_userid = ?",
            [code, state.now(), open_kfid, person],
        )
    told = {"event_type": "enter_session", "open_kfid": open_kfid, "external_userid": person, "scene": scene}
    if code:
        told["welcome_code"] = code
    keep(state, db, (open_kfid, person), origin=OF_SYSTEM, kind="event", body=told)
    return code


def write(state: State, db: sqlite3.Connection, open_kfid: str, person: str, text: str) -> str:
    """A person writes: the account may answer five times within 48 hours. Returns the msgid."""
    _check(db, open_kfid, person)
    row = session(db, open_kfid, person)
    after = NEW if row["state"] == ENDED else row["state"]
    db.execute(
        "update kf_session set state = ?, answers_left = ?, written_at = ?, welcome_code = ''"
        " where open_kfid = ? and external_userid = ?",
        [after, ANSWERS, state.now(), open_kfid, person],
    )
    return keep(state, db, (open_kfid, person), origin=OF_CUSTOMER, kind="text", body={"content": text})


def _check(db: sqlite3.Connection, open_kfid: str, person: str) -> None:
    known = db.execute(
        "select (select count(*) from kf_account where open_kfid = ? and deleted_at is null)"
        " + (select count(*) from person where external_userid = ?)",
        [open_kfid, person],
    ).fetchone()[0]
    if known != 2:
        raise AdminError(404, "no such account or person")
