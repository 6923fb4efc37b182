"""People scan codes: contact ways and join ways (reference 28.2)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import chats, friendships
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError
from hetang.simulator.friendships import Meeting
from hetang.simulator.state import State

_BEHIND = """
with recursive below (id) as (select value from json_each(:parties)
                              union select d.id from department d join below b on d.parentid = b.id)
select userid from member where status = 1 and customer_contact = 1 and left_at is null
  and (lower(userid) in (select lower(value) from json_each(:users))
       or userid in (select userid from member_department where department in (select id from below)))
order by userid
"""


class Scan(msgspec.Struct):
    config_id: str
    external_userid: str


@admin("scan")
def scan(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{config_id, external_userid}`: a person scans a contact way or a join way.

    Answers `{userid, state: full | half | asked | friends | temporary, welcome_code}` or `{chat_id, joined}`.
    """
    wanted = convert(body, Scan)
    with running.state.transaction() as db:
        answer = scanned(running.state, db, wanted.config_id, wanted.external_userid)
    running.state.notify()
    return answer


def scanned(state: State, db: sqlite3.Connection, config_id: str, person: str) -> dict[str, Any]:
    """What comes of a scan. Raises AdminError where nothing can."""
    row = db.execute("select * from way where config_id = ?", [config_id]).fetchone()
    if row is None:
        raise AdminError(404, "this code does not work (any more)")
    way = msgspec.json.decode(row["body"])
    found = (_contact if row["kind"] == "contact" else _join)(state, db, row, way, person)
    db.execute("update way set used = used + 1 where config_id = ?", [config_id])
    return found


def _contact(
    state: State, db: sqlite3.Connection, row: sqlite3.Row, way: dict[str, Any], person: str
) -> dict[str, Any]:
    if way["is_temp"]:
        return _temporary(state, db, row, way, person)
    bound = _bound(db, person) if way["is_exclusive"] else None
    userid = bound or _next_member(db, row, way)
    known = friendships.relation(db, userid, person)
    if known is not None and known["state"] == "full":
        return {"userid": userid, "state": "friends", "welcome_code": ""}
    meeting = Meeting(userid, person, state=way["state"], way=row["config_id"])
    if not way["skip_verify"]:
        friendships.ask(state, db, meeting)
        return {"userid": userid, "state": "asked", "welcome_code": ""}
    if state.settings.half_first:
        return {"userid": userid, "state": "half", "welcome_code": friendships.befriend_half(state, db, meeting)}
    return {"userid": userid, "state": "full", "welcome_code": friendships.befriend(state, db, meeting)}


def _next_member(db: sqlite3.Connection, row: sqlite3.Row, way: dict[str, Any]) -> str:
    """Round robin over those behind the code who can be added."""
    values = {
        "users": msgspec.json.encode(way["user"]).decode(),
        "parties": msgspec.json.encode(way["party"]).decode(),
    }
    behind = [found["userid"] for found in db.execute(_BEHIND, values)]
    if not behind:
        raise AdminError(409, "nobody behind this code can be added")
    return str(behind[row["used"] % len(behind)])


def _bound(db: sqlite3.Connection, person: str) -> str | None:
    """The member whom the person added through a code of one member a person, if there is one."""
    found = db.execute(
        "select r.userid from relation r join way w on w.config_id = r.way where r.external_userid = ?"
        " and r.state != 'lost_by_staff' and json_extract(w.body, '$.is_exclusive')",
        [person],
    ).fetchone()
    return None if found is None else str(found["userid"])


def _temporary(
    state: State, db: sqlite3.Connection, row: sqlite3.Row, way: dict[str, Any], person: str
) -> dict[str, Any]:
    now = state.now()
    if now >= row["created_at"] + way["expires_in"]:
        raise AdminError(409, "this temporary code has expired")
    known = db.execute("select unionid from person where external_userid = ?", [person]).fetchone()
    if known is None or (way["unionid"] and way["unionid"] != known["unionid"]):
        raise AdminError(403, "this temporary code is for somebody else")
    db.execute(
        "insert into temp_chat (userid, external_userid, ends_at) values (?, ?, ?)"
        " on conflict (userid, external_userid) do update set ends_at = excluded.ends_at, closed_at = null",
        [way["user"][0], person, now + way["chat_expires_in"]],
    )
    return {"userid": way["user"][0], "state": "temporary", "welcome_code": ""}


def _join(state: State, db: sqlite3.Connection, row: sqlite3.Row, way: dict[str, Any], person: str) -> dict[str, Any]:
    """The first group with room; a new one where all are full and the way may make one."""
    made: list[str] = way.get("made", [])
    living = [one for one in (*way["chat_id_list"], *made) if _lives(db, one)]
    groups = [chats.find(state, db, one) for one in living]
    for chat in groups:
        if chat.holds(person):
            return {"chat_id": chat.chat_id, "joined": 0}
        if chat.size() < state.settings.chat_direct_size:
            return {"chat_id": chat.chat_id, "joined": chat.join([person], chats.BY_CODE, "", way["state"])}
    if not way["auto_create_room"] or not groups:
        raise AdminError(409, "all groups behind this code are full")
    name = f"{way['room_base_name'] or groups[0].row['name']}{way['room_base_id'] + len(made)}"
    chat = chats.create(state, db, groups[0].row["owner"], name)
    way["made"] = [*made, chat.chat_id]
    db.execute("update way set body = ? where number = ?", [msgspec.json.encode(way).decode(), row["number"]])
    return {"chat_id": chat.chat_id, "joined": chat.join([person], chats.BY_CODE, "", way["state"])}


def _lives(db: sqlite3.Connection, chat_id: str) -> bool:
    query = "select 1 from chat where chat_id = ? and dismissed_at is null"
    return db.execute(query, [chat_id]).fetchone() is not None
