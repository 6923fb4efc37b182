"""Welcome codes: given out with an event, good for twenty seconds and one use (reference section 11)."""

from __future__ import annotations

import secrets
import sqlite3

from hetang.simulator.state import State

LIFE_S = 20.0


def issue(state: State, db: sqlite3.Connection, userid: str, external_userid: str, at: float | None = None) -> str:
    """A code for the event that is about to be told; empty where the platform gives none.

    None is given for people of other corps, where the member has a welcome of his own, once the chat has begun, and
    after the code of an earlier half event was used.
    """
    moment = state.now() if at is None else at
    refused = db.execute(
        "select (select own_welcome from member where userid = ?1) or (select kind = 2 from person"
        " where external_userid = ?2) or exists (select 1 from relation where userid = ?1 and external_userid = ?2"
        "   and (received > 0 or written > 0)) or exists (select 1 from welcome_code w join relation r"
        "   using (userid, external_userid) where w.userid = ?1 and w.external_userid = ?2 and w.used_at is not null"
        "   and w.at >= r.createtime)",
        [userid, external_userid],
    ).fetchone()[0]
    if refused:
        return ""
    code = secrets.token_urlsafe(32)
    db.execute(
        "insert into welcome_code (code, userid, external_userid, at) values (?, ?, ?, ?)",
        [code, userid, external_userid, moment],
    )
    return code
