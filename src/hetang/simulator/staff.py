"""What members of staff do with their tasks: confirm after a while, ignore, change their mind when reminded."""

from __future__ import annotations

import calendar
import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from hetang.simulator import clicks, days, ids
from hetang.simulator.clicks import REACHED
from hetang.simulator.errors import AdminError
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


def make_message(
    state: State,
    db: sqlite3.Connection,
    pairs: list[tuple[str, str]],
    *,
    members: list[str],
    text: str,
    chat_type: str = "single",
    attachments: Sequence[dict[str, Any]] = (),
    agentid: int = 0,
    creator: str = "",
    allow_select: bool = False,
) -> str:
    """Store a mass message with a task per member and a recipient (customer or group) per pair. Returns its msgid."""
    number = db.execute("select coalesce(max(number), 0) + 1 from group_message").fetchone()[0]
    msgid = ids.token("msg", state.settings.seed, "msg", state.value("corpid"), number, length=40)
    db.execute(
        "insert into group_message (number, msgid, agentid, chat_type, text, attachments, created_at, creator,"
        " allow_select) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(number, msgid, agentid, chat_type, text, msgspec.json.encode(attachments).decode(), state.now()),
            *(creator, allow_select),
        ],
    )
    db.executemany(
        "insert into group_message_recipient (msgid, userid, external_userid) values (?, ?, ?)",
        ((msgid, member, recipient) for member, recipient in pairs),
    )
    for member in members:
        assigned(state, db, msgid, member, state.now())
    return msgid


def select(db: sqlite3.Connection, msgid: str, userid: str, only: list[str]) -> None:
    """The member leaves recipients out before he confirms, where the task allows it; picks groups where he may."""
    row = db.execute("select * from group_message where msgid = ?", [msgid]).fetchone()
    if row is None or (row["chat_type"] == "single" and not row["allow_select"]):
        raise AdminError(409, "this task does not let the member choose")
    picked = msgspec.json.encode(only).decode()
    if row["chat_type"] == "group":
        _offer_groups(db, msgid, userid)
    db.execute(
        "delete from group_message_recipient where msgid = ? and userid = ? and status = 0"
        " and external_userid not in (select value from json_each(?))",
        [msgid, userid, picked],
    )


def _offer_groups(db: sqlite3.Connection, msgid: str, userid: str) -> None:
    """A task for groups that names none is about all of the owner's."""
    db.execute(
        "insert into group_message_recipient (msgid, userid, external_userid) select ?1, ?2, c.chat_id from chat c"
        " join group_message g on g.msgid = ?1 and g.chat_type = 'group' where c.owner = ?2 and c.dismissed_at is null"
        " and not exists (select 1 from group_message_recipient r where r.msgid = ?1 and r.userid = ?2)",
        [msgid, userid],
    )


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
    _offer_groups(db, msgid, userid)
    _deliver(db, (msgid, userid), at, _cap(state, at))
    _count_in_groups(db, (msgid, userid), days.day_of(state.settings, at))
    clicks.expect(state, db, msgid, userid, at)
    return 1


def _count_in_groups(db: sqlite3.Connection, task: tuple[str, str], day: str) -> None:
    """A mass message that reached a group is a message there, and its owner has spoken that day."""
    reached = (
        "select r.external_userid chat_id, ?1 day, r.userid from group_message_recipient r"
        " join group_message g on g.msgid = r.msgid and g.chat_type = 'group'"
        " where r.msgid = ?2 and r.userid = ?3 and r.status = 1"
    )
    db.execute(
        f"insert into chat_day (chat_id, day, messages) select chat_id, day, 1 from ({reached})"
        " where true on conflict do update set messages = messages + 1",
        [day, *task],
    )
    db.execute(f"insert or ignore into chat_speaker (chat_id, day, userid) {reached}", [day, *task])


def _cap(state: State, at: float) -> tuple[str, int]:
    """The period that the moment lies in, and how many mass messages a customer or group gets in it."""
    moment = days.local(state.settings, at)
    kind = state.settings.cap_period
    if kind == "day":
        period, usual = f"{moment:%Y-%m-%d}", 1
    elif kind == "week":
        period, usual = f"{moment:%G-W%V}", 7
    else:
        period, usual = f"{moment:%Y-%m}", calendar.monthrange(moment.year, moment.month)[1]
    cap = state.settings.monthly_cap
    return period, usual if cap is None else cap


def _deliver(db: sqlite3.Connection, task: tuple[str, str], at: float, cap: tuple[str, int]) -> None:
    """Results 1 sent, 2 not a friend (or not his group), 3 the cap; counters and exposure of those who received."""
    period, most = cap
    db.execute(
        "update group_message_recipient as r set send_time = ?, status = case"
        " when not exists (select 1 from relation f where f.userid = r.userid"
        "   and f.external_userid = r.external_userid and f.state = 'full')"
        "  and not exists (select 1 from chat c where c.chat_id = r.external_userid and c.owner = r.userid"
        "   and c.dismissed_at is null) then 2"
        " when coalesce((select messages from received_in c where c.recipient = r.external_userid"
        "   and c.period = ?), 0) >= ? then 3 else 1 end"
        " where r.msgid = ? and r.userid = ? and r.status = 0",
        [at, period, most, *task],
    )
    db.execute(
        "insert into received_in (recipient, period, messages) select external_userid, ?, 1"
        " from group_message_recipient where msgid = ? and userid = ? and status = 1"
        " on conflict do update set messages = messages + 1",
        [period, *task],
    )
    db.execute(
        f"insert into exposure (external_userid, sent_at) select external_userid, ?1 from ({REACHED})"
        " where true on conflict do update set sent_at = max(sent_at, excluded.sent_at)",
        [at, *task],
    )
