"""Staff and their mass-message tasks: confirm and leave alone, when asked to."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import ids, staff
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError

MOST_OF_ONE_MEMBER = 20_000


@admin("confirm")
def confirm(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{msgid?, userid?, share?, only?}`: the given tasks (default all open ones) are confirmed now, or a seeded share
    of them; the others are left as they are. `only` are the recipients that the member keeps (or groups he picks)."""
    share = float(body.get("share", 1.0))
    confirmed = 0
    with running.state.transaction() as db:
        rows = _open_tasks(db, body)
        for row in rows:
            draw = ids.chance(running.state.settings.seed, "asked", row["userid"], row["msgid"])
            if draw < share:
                if "only" in body:
                    staff.select(db, row["msgid"], row["userid"], list(body["only"]))
                confirmed += staff.confirm(running.state, db, row["msgid"], row["userid"], running.state.now())
    return {"confirmed": confirmed, "open": len(rows) - confirmed}


@admin("ignore")
def ignore(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{msgid?, userid?}`: these open tasks will not be confirmed by themselves."""
    with running.state.transaction() as db:
        rows = _open_tasks(db, body)
        db.executemany(
            "update group_message_task set ignored = 1 where msgid = ? and userid = ?",
            ((row["msgid"], row["userid"]) for row in rows),
        )
    return {"ignored": len(rows)}


def _open_tasks(db: sqlite3.Connection, body: dict[str, Any]) -> list[sqlite3.Row]:
    return db.execute(
        "select t.msgid, t.userid from group_message_task t join group_message g using (msgid)"
        " where t.status = 0 and g.cancelled_at is null and (?1 = '' or t.msgid = ?1) and (?2 = '' or t.userid = ?2)"
        " order by g.number, t.userid",
        [body.get("msgid") or "", body.get("userid") or ""],
    ).fetchall()


class OwnMessage(msgspec.Struct):
    userid: str
    text: str
    external_userids: list[str] | None = None


@admin("own_message")
def own_message(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, text, external_userids?}`: a member sends a mass message of his own from the client, at once.

    It counts against the same caps. A customer gets so many a day of such (setting `own_messages_a_day`).
    """
    wanted = convert(body, OwnMessage)
    state, now = running.state, running.state.now()
    with state.transaction() as db:
        listed = None if wanted.external_userids is None else msgspec.json.encode(wanted.external_userids).decode()
        rows = db.execute(
            "select r.external_userid from relation r where r.userid = ?1 and r.state = 'full'"
            " and (?2 is null or r.external_userid in (select value from json_each(?2)))"
            " and (select count(*) from group_message g join group_message_recipient p using (msgid)"
            "   where g.creator = ?1 and p.userid = ?1 and p.external_userid = r.external_userid and p.status = 1"
            "   and g.created_at > ?3) < ?4 limit ?5",
            [wanted.userid, listed, now - 86400, state.settings.own_messages_a_day, MOST_OF_ONE_MEMBER],
        ).fetchall()
        if not rows:
            raise AdminError(409, "none of the customers may get another message today")
        pairs = [(wanted.userid, row["external_userid"]) for row in rows]
        msgid = staff.make_message(state, db, pairs, members=[wanted.userid], text=wanted.text, creator=wanted.userid)
        staff.confirm(state, db, msgid, wanted.userid, now)
    return {"msgid": msgid, "people": len(pairs)}
