"""Customers and groups that go from one member to another, and the day it takes (reference section 14)."""

from __future__ import annotations

import sqlite3

from hetang.simulator import chats, events, friendships, member_days
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State

TAKEN, WAITING, REFUSED, AT_LIMIT = 1, 2, 3, 4
RECENT_S = 90 * 86400
BY_ADMINISTRATOR = 202


def settle(state: State, db: sqlite3.Connection, until: float) -> int:
    """Complete every transfer whose day has passed by `until`. Returns how many."""
    due = db.execute(
        "select * from transfer where status = ? and asked_at <= ? order by asked_at, number",
        [WAITING, until - state.settings.transfer_s],
    ).fetchall()
    for row in due:
        _complete(state, db, row, row["asked_at"] + state.settings.transfer_s)
    waiting = db.execute(
        "select * from chat_transfer where done_at is null and asked_at <= ? order by number",
        [until - state.settings.group_transfer_s],
    ).fetchall()
    for row in waiting:
        _complete_chat(state, db, row, row["asked_at"] + state.settings.group_transfer_s)
    return len(due) + len(waiting)


def refuse(state: State, db: sqlite3.Connection, external_userid: str, takeover: str) -> None:
    """The customer does not want the new member."""
    row = db.execute(
        "select * from transfer where external_userid = ? and takeover = ? and status = ?",
        [external_userid, takeover, WAITING],
    ).fetchone()
    if row is None:
        raise AdminError(404, "no transfer waits for this customer")
    _fail(state, db, row, (REFUSED, "customer_refused"), state.now())


def _complete(state: State, db: sqlite3.Connection, row: sqlite3.Row, at: float) -> None:
    taker, person = row["takeover"], row["external_userid"]
    before = friendships.relation(db, row["handover"], person)
    if friendships.friends(db, taker) >= state.settings.customers_per_member:
        _fail(state, db, row, (AT_LIMIT, "customer_limit_exceed"), at)
        return
    db.execute("update transfer set status = ?, taken_at = ? where number = ?", [TAKEN, at, row["number"]])
    if before is not None and before["state"] in friendships.VISIBLE:
        friendships.delete_by_staff(state, db, row["handover"], person, source="DELETE_BY_TRANSFER", at=at)
    known = friendships.relation(db, taker, person)
    if known is not None and known["state"] == "full":
        return  # they are friends already: nothing is added, nothing is told
    kept = before["channel_state"] if before is not None and state.settings.transfer_keeps_state else ""
    db.execute(
        "insert into relation (userid, external_userid, state, createtime, add_way, channel_state, by_customer)"
        " values (?, ?, 'full', ?, ?, ?, 0) on conflict (userid, external_userid) do update set state = 'full',"
        " createtime = excluded.createtime, add_way = excluded.add_way, channel_state = excluded.channel_state,"
        " by_customer = 0, lost_at = null",
        [taker, person, int(at), BY_ADMINISTRATOR, kept],
    )
    member_days.count(state, db, taker, at, gained=1)
    friendships.queue_pair(state, db, "add_external_contact", taker, person, at=at, State=kept)


def _fail(state: State, db: sqlite3.Connection, row: sqlite3.Row, how: tuple[int, str], at: float) -> None:
    status, reason = how
    db.execute("update transfer set status = ? where number = ?", [status, row["number"]])
    fields = {"FailReason": reason, "UserID": row["takeover"], "ExternalUserID": row["external_userid"]}
    events.queue(state, db, friendships.EVENT, "transfer_fail", fields, at=at)


def _complete_chat(state: State, db: sqlite3.Connection, row: sqlite3.Row, at: float) -> None:
    db.execute("update chat_transfer set done_at = ? where number = ?", [at, row["number"]])
    found = db.execute("select * from chat where chat_id = ? and dismissed_at is null", [row["chat_id"]]).fetchone()
    if found is None:
        return
    chat = chats.Chat(state, db, found)
    chat.join([row["takeover"]], chats.INVITED)
    status = 3 if row["kind"] == "resigned" else 0
    chat.change("change_owner", owner=row["takeover"], status=status)
