"""The life of a friendship between a member and a person, with the events that it makes (reference 4.1, 24.4).

States of a relation: `asked` (a request that the member has not accepted; the platform does not know it yet), `half`
(the person added the member without verification, the member has not added him back), `full`, `lost_by_customer` (the
member still sees the customer, calls work) and `lost_by_staff` (gone: calls answer 84061).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from hetang.simulator import events, member_days, welcome
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State

EVENT = "change_external_contact"
VISIBLE = ("full", "lost_by_customer")
VISIBLE_SQL = "state in ('full', 'lost_by_customer')"
_UPSERT = (
    "insert into relation (userid, external_userid, state, createtime, add_way, channel_state, by_customer, way,"
    " link_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (userid, external_userid) do update set"
    " state = excluded.state, createtime = excluded.createtime, add_way = excluded.add_way,"
    " channel_state = excluded.channel_state, by_customer = excluded.by_customer, way = excluded.way,"
    " link_id = excluded.link_id, received = 0, written = 0, lost_at = null"
)


@dataclass(frozen=True)
class Meeting:
    """How two people came together. `way` is the contact way's config_id, `link_id` that of an acquisition link."""

    userid: str
    external_userid: str
    add_way: int = 1
    state: str = ""
    by_customer: bool = True
    way: str = ""
    link_id: str = ""


def relation(db: sqlite3.Connection, userid: str, external_userid: str) -> sqlite3.Row | None:
    """The stored row in whatever state."""
    found: sqlite3.Row | None = db.execute(
        "select * from relation where userid = ? and external_userid = ?", [userid, external_userid]
    ).fetchone()
    return found


def ask(state: State, db: sqlite3.Connection, meeting: Meeting) -> None:
    """One asks to be added; the other has to accept. No event."""
    _check_people(state, db, meeting)
    _put(state, db, meeting, "asked")
    if not meeting.by_customer:
        member_days.count(state, db, meeting.userid, applied=1)


def befriend(state: State, db: sqlite3.Connection, meeting: Meeting) -> str:
    """They are friends now. Returns the welcome code that the event carries, or ""."""
    _check_people(state, db, meeting)
    _put(state, db, meeting, "full")
    member_days.count(state, db, meeting.userid, gained=1)
    return _tell(state, db, "add_external_contact", meeting)


def befriend_half(state: State, db: sqlite3.Connection, meeting: Meeting) -> str:
    """The person is in without verification, the member has yet to add him back. Returns the welcome code or ""."""
    _check_people(state, db, meeting)
    _put(state, db, meeting, "half")
    return _tell(state, db, "add_half_external_contact", meeting)


def accept(state: State, db: sqlite3.Connection, userid: str, external_userid: str) -> str:
    """The one who was asked accepts, or the member adds back who is half in. Returns the welcome code or ""."""
    row = relation(db, userid, external_userid)
    if row is None or row["state"] not in {"asked", "half"}:
        raise AdminError(404, "nobody waits to be accepted")
    meeting = Meeting(
        row["userid"], external_userid, row["add_way"], row["channel_state"], bool(row["by_customer"]), row["way"]
    )
    db.execute(
        "update relation set state = 'full', createtime = case when state = 'half' then createtime else ? end"
        " where userid = ? and external_userid = ?",
        [int(state.now()), userid, external_userid],
    )
    member_days.count(state, db, row["userid"], gained=1)
    return _tell(state, db, "add_external_contact", meeting)


def delete_by_customer(state: State, db: sqlite3.Connection, userid: str, external_userid: str) -> None:
    """The customer deletes the member: he stays in the member's list."""
    _end(state, db, (userid, external_userid), "lost_by_customer", ("full", "half"))
    member_days.count(state, db, userid, lost=1)
    queue_pair(state, db, "del_follow_user", userid, external_userid)


def delete_by_staff(
    state: State,
    db: sqlite3.Connection,
    userid: str,
    external_userid: str,
    *,
    source: str = "",
    at: float | None = None,
) -> None:
    """The member deletes the customer (or a transfer does): the relation is gone, with its remarks and tags."""
    _end(state, db, (userid, external_userid), "lost_by_staff", ("full", "half", "lost_by_customer"))
    db.execute(
        "update relation set remark = '', description = '', corp_remark = '', mobiles = '[]', tags = '[]',"
        " own_tags = '[]' where userid = ? and external_userid = ?",
        [userid, external_userid],
    )
    queue_pair(state, db, "del_external_contact", userid, external_userid, at=at, Source=source)


def queue_pair(
    state: State,
    db: sqlite3.Connection,
    change: str,
    userid: str,
    external_userid: str,
    *,
    at: float | None = None,
    **more: str,
) -> None:
    """An event about a member and a customer."""
    events.queue(state, db, EVENT, change, {"UserID": userid, "ExternalUserID": external_userid, **more}, at=at)


def _tell(state: State, db: sqlite3.Connection, change: str, meeting: Meeting) -> str:
    code = welcome.issue(state, db, meeting.userid, meeting.external_userid)
    pair = (meeting.userid, meeting.external_userid)
    queue_pair(state, db, change, *pair, State=meeting.state, WelcomeCode=code)
    return code


def _put(state: State, db: sqlite3.Connection, meeting: Meeting, new_state: str) -> None:
    db.execute(
        _UPSERT,
        [
            *(meeting.userid, meeting.external_userid, new_state, int(state.now()), meeting.add_way),
            *(meeting.state, meeting.by_customer, meeting.way, meeting.link_id),
        ],
    )


def _end(
    state: State, db: sqlite3.Connection, pair: tuple[str, str], new_state: str, from_states: tuple[str, ...]
) -> None:
    marks = ", ".join("?" for _ in from_states)
    changed = db.execute(
        f"update relation set state = ?, lost_at = ? where userid = ? and external_userid = ? and state in ({marks})",
        [new_state, state.now(), *pair, *from_states],
    ).rowcount
    if not changed:
        raise AdminError(404, "there is no such friendship")


def _check_people(state: State, db: sqlite3.Connection, meeting: Meeting) -> None:
    member = db.execute("select status, customer_contact from member where userid = ?", [meeting.userid]).fetchone()
    person = db.execute("select 1 from person where external_userid = ?", [meeting.external_userid]).fetchone()
    if member is None or person is None:
        raise AdminError(404, "no such member or person")
    if member["status"] != 1 or not member["customer_contact"]:
        raise AdminError(409, "the member has left or has no customer contact")
    if friends(db, meeting.userid) >= state.settings.customers_per_member:
        raise AdminError(409, "the member has as many customers as he may have")


def friends(db: sqlite3.Connection, userid: str) -> int:
    """How many customers the member sees."""
    row = db.execute(f"select count(*) from relation where userid = ? and {VISIBLE_SQL}", [userid])
    return int(row.fetchone()[0])
