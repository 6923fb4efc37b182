"""What members of staff do with their tasks: confirm after a while, ignore, change their mind when reminded."""

from __future__ import annotations

import calendar
import sqlite3
from datetime import datetime
from zoneinfo import ZoneInfo

from hetang.simulator import clicks, ids
from hetang.simulator.state import State


def assigned(state: State, db: sqlite3.Connection, msgid: str, userid: str, at: float) -> None:
    """Give a member a task and draw when he will confirm it, if ever. The draw follows from his own count of tasks."""
    db.execute("update member set tasks = tasks + 1 where userid = ?", [userid])
    nth = db.execute("select tasks from member where userid = ?", [userid]).fetchone()[0]
    settings = state.settings
    decides, delay, _, _ = ids.chances(settings.seed, "confirm", userid, nth)
    confirms_at = at + 2 * settings.confirm_delay_s * delay if decides < settings.confirm_rate else None
    db.execute(
        "insert into group_message_task (msgid, userid, confirms_at) values (?, ?, ?)", [msgid, userid, confirms_at]
    )


def reminded(state: State, db: sqlite3.Connection, msgid: str, at: float) -> None:
    """Those who would never have confirmed think again."""
    settings = state.settings
    times = db.execute("select count(*) from reminder where msgid = ?", [msgid]).fetchone()[0]
    undecided = db.execute(
        "select userid from group_message_task where msgid = ? and status = 0 and confirms_at is null and ignored = 0",
        [msgid],
    ).fetchall()
    for row in undecided:
        decides, delay, _, _ = ids.chances(settings.seed, "reminded", row["userid"], msgid, times)
        if decides < settings.remind_rate:
            db.execute(
                "update group_message_task set confirms_at = ? where msgid = ? and userid = ?",
                [at + 2 * settings.confirm_delay_s * delay, msgid, row["userid"]],
            )


def act(state: State, db: sqlite3.Connection, until: float) -> int:
    """Everybody whose moment has come by `until` confirms. Returns the number of tasks confirmed."""
    due = db.execute(
        "select t.msgid, t.userid, t.confirms_at from group_message_task t join group_message g using (msgid)"
        " where t.status = 0 and t.ignored = 0 and t.confirms_at <= ?"
        " and (g.cancelled_at is null or g.cancelled_at > t.confirms_at) order by t.confirms_at, t.msgid, t.userid",
        [until],
    ).fetchall()
    return sum(confirm(state, db, row["msgid"], row["userid"], row["confirms_at"]) for row in due)


def confirm(state: State, db: sqlite3.Connection, msgid: str, userid: str, at: float) -> int:
    """One member confirms one task: every recipient gets a result. Returns 1, or 0 if there was nothing to confirm."""
    changed = db.execute(
        "update group_message_task as t set status = 2, send_time = ? where msgid = ? and userid = ? and status = 0"
        " and exists (select 1 from group_message g where g.msgid = t.msgid"
        "   and (g.cancelled_at is null or g.cancelled_at > ?))",
        [at, msgid, userid, at],
    ).rowcount
    if not changed:
        return 0
    moment = datetime.fromtimestamp(at, ZoneInfo(state.settings.time_zone))
    cap = state.settings.monthly_cap
    if cap is None:
        cap = calendar.monthrange(moment.year, moment.month)[1]
    _deliver(db, (msgid, userid), moment, cap)
    clicks.expect(state, db, msgid, userid, at)
    return 1


def _deliver(db: sqlite3.Connection, task: tuple[str, str], moment: datetime, cap: int) -> None:
    """Results 1 sent, 2 not a friend, 3 monthly cap; counters and exposure of those who received."""
    at, month = moment.timestamp(), f"{moment:%Y-%m}"
    db.execute(
        "update group_message_recipient as r set send_time = ?, status = case"
        " when not exists (select 1 from relation f where f.userid = r.userid"
        "   and f.external_userid = r.external_userid and f.state = 'full') then 2"
        " when coalesce((select messages from received c where c.external_userid = r.external_userid"
        "   and c.month = ?), 0) >= ? then 3 else 1 end"
        " where r.msgid = ? and r.userid = ? and r.status = 0",
        [at, month, cap, *task],
    )
    mine = "from group_message_recipient where msgid = ? and userid = ? and status = 1"
    db.execute(
        f"insert into received (external_userid, month, messages) select external_userid, ?, 1 {mine}"
        " on conflict do update set messages = messages + 1",
        [month, *task],
    )
    db.execute(
        f"insert into exposure (external_userid, sent_at) select external_userid, ? {mine}"
        " on conflict do update set sent_at = max(sent_at, excluded.sent_at)",
        [at, *task],
    )
