"""Customer-acquisition links: quota that is used up by customers who write, and its events (reference 9, 24.7)."""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

import msgspec

from hetang.simulator import days, events, friendships
from hetang.simulator.errors import AdminError
from hetang.simulator.friendships import Meeting
from hetang.simulator.state import State

EVENT = "customer_acquisition"
LINK = "link"
ADD_WAY = 16
LOW = 20
LONGEST_CHANNEL_BYTES = 64
TOLD_MESSAGES = (3, 5, 10)
CHAT_KEY_S = 1800.0
TOLD_DAYS = (14, 7, 3, 2, 1)


def tell(state: State, db: sqlite3.Connection, change: str, at: float | None = None, **fields: events.Value) -> None:
    """Queue an event of this family."""
    events.queue(state, db, EVENT, change, fields, at=at)


def balance(db: sqlite3.Connection, now: float) -> int:
    """What is left of what was bought and has not expired."""
    row = db.execute("select coalesce(sum(balance), 0) from quota where expires_at > ?", [now]).fetchone()
    return int(row[0])


def buy(state: State, db: sqlite3.Connection, count: int, life_s: float) -> None:
    """The corp buys quota."""
    before = balance(db, state.now())
    db.execute("insert into quota (bought, balance, expires_at) values (?, ?, ?)", [count, count, state.now() + life_s])
    if before == 0 and count > 0 and db.execute("select count(*) from quota").fetchone()[0] > 1:
        tell(state, db, "balance_increased")


def open_link(state: State, db: sqlite3.Connection, link_id: str, person: str, channel: str) -> dict[str, Any]:
    """A person opens the link and asks to be added. Answers `{userid, state, welcome_code}`."""
    row = db.execute("select * from kept where kind = ? and id = ?", [LINK, link_id]).fetchone()
    if row is None:
        raise AdminError(404, "this link does not work (any more)")
    link = msgspec.json.decode(row["body"])
    at = state.now()
    told = channel.encode()[:LONGEST_CHANNEL_BYTES].decode(errors="ignore")
    db.execute("insert into link_click (link_id, external_userid, at) values (?, ?, ?)", [link_id, person, at])
    if balance(db, at) <= 0:
        raise AdminError(409, "the corp has no quota left: nobody can be added through the link")
    userid = _member(db, link, person)
    if userid is None:
        tell(state, db, "link_unavailable", LinkId=link_id)
        return {"userid": "", "state": "unavailable", "welcome_code": ""}
    known = friendships.relation(db, userid, person)
    if known is not None and known["state"] == "full":
        return {"userid": userid, "state": "friends", "welcome_code": ""}
    if told:
        tell(state, db, "friend_request", LinkId=link_id, State=told)
    meeting = Meeting(userid, person, ADD_WAY, told, link_id=link_id)
    if not link["skip_verify"]:
        friendships.ask(state, db, meeting)
        return {"userid": userid, "state": "asked", "welcome_code": ""}
    return {"userid": userid, "state": "full", "welcome_code": friendships.befriend(state, db, meeting)}


def customer_wrote(state: State, db: sqlite3.Connection, relation: sqlite3.Row, times: int) -> None:
    """A customer who came through a link wrote: the first message uses quota, some are told of."""
    first, link_id = relation["received"], relation["link_id"]
    if not link_id:
        return
    for number in range(first + 1, first + times + 1):
        if number == 1:
            pair = {"UserID": relation["userid"], "ExternalUserID": relation["external_userid"]}
            tell(state, db, "customer_start_chat", LinkId=link_id, **pair)
            _use(state, db)
        if number in TOLD_MESSAGES:
            key = secrets.token_urlsafe(24)
            db.execute(
                "insert into chat_key (chat_key, userid, external_userid, link_id, received, at)"
                " values (?, ?, ?, ?, ?, ?)",
                [key, relation["userid"], relation["external_userid"], link_id, number, state.now()],
            )
            tell(state, db, "message_from_customer", LinkId=link_id, ChatKey=key)


def act(state: State, db: sqlite3.Connection, start: float, end: float) -> None:
    """Quota that expires in 14, 7, 3, 2 or 1 days is told of once."""
    for row in db.execute("select * from quota where balance > 0 and expires_at > ?", [start]).fetchall():
        for ahead in TOLD_DAYS:
            moment = row["expires_at"] - ahead * 86400
            if start < moment <= end:
                fields: dict[str, events.Value] = {"ExpireTime": int(row["expires_at"])}
                tell(state, db, "quota_expire_soon", moment, ExpireQuotaNum=row["balance"], **fields)


def expire_date(state: State, row: sqlite3.Row) -> int:
    """The day on which quota ends, as the platform shows it: its midnight."""
    return days.midnight(state.settings, row["expires_at"])


def _use(state: State, db: sqlite3.Connection) -> None:
    now = state.now()
    before = balance(db, now)
    db.execute(
        "update quota set balance = balance - 1 where number ="
        " (select number from quota where balance > 0 and expires_at > ? order by expires_at limit 1)",
        [now],
    )
    after = balance(db, now)
    if before >= LOW > after:
        tell(state, db, "balance_low")
    if before > 0 and after == 0:
        tell(state, db, "balance_exhausted")


def _member(db: sqlite3.Connection, link: dict[str, Any], person: str) -> str | None:
    """Who gets the customer: a friend of hers in the range, else the one with the fewest customers of the link."""
    told = link["range"]
    listed = (link.get("priority_option") or {}).get("priority_userid_list") or []
    values = {
        "users": msgspec.json.encode(told["user_list"]).decode(),
        "parties": msgspec.json.encode(told["department_list"]).decode(),
        "person": person,
        "listed": msgspec.json.encode([one.lower() for one in listed]).decode(),
    }
    row = db.execute(
        "with recursive below (id) as (select value from json_each(:parties) union"
        "   select d.id from department d join below b on d.parentid = b.id)"
        " select m.userid from member m left join relation r on r.userid = m.userid and r.external_userid = :person"
        " where m.status = 1 and m.customer_contact = 1 and m.left_at is null"
        " and (m.userid in (select value from json_each(:users)) or m.userid in"
        "   (select userid from member_department where department in (select id from below)))"
        " order by coalesce(r.state = 'full', 0) desc,"
        " lower(m.userid) in (select value from json_each(:listed)) desc,"
        " (select count(*) from relation c where c.userid = m.userid and c.link_id != ''), m.userid limit 1",
        values,
    ).fetchone()
    return None if row is None else str(row["userid"])
