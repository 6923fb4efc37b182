"""Staff and their mass-message tasks: confirm and leave alone, when asked to."""

from __future__ import annotations

import sqlite3
from typing import Any

from hetang.simulator import ids, staff
from hetang.simulator.administration import Running, admin


@admin("confirm")
def confirm(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{msgid?, userid?, share?}`: the given tasks (default all open ones) are confirmed now, or a seeded share of
    them; the others are left as they are."""
    share = float(body.get("share", 1.0))
    confirmed = 0
    with running.state.transaction() as db:
        rows = _open_tasks(db, body)
        for row in rows:
            draw = ids.chance(running.state.settings.seed, "asked", row["userid"], row["msgid"])
            if draw < share:
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
