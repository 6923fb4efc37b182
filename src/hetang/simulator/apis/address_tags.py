"""Tags of the address book, which members and departments wear: only an app with the contact sync's secret has them.

The reference names these calls and no fields (section 3, graded "rarely needed"): fields and codes are those of the
platform's public pages as we know them, not confirmed.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import events
from hetang.simulator.acts.staffing import EVENT
from hetang.simulator.apis.directory_changes import may_write
from hetang.simulator.calls import Call, api
from hetang.simulator.errors import WeComError

MOST, LONGEST_NAME = 3000, 32
MOST_MEMBERS, MOST_DEPARTMENTS = 1000, 100  # of one call


class Tag(msgspec.Struct):
    tagname: str = ""
    tagid: int | None = None


class Wearers(msgspec.Struct):
    tagid: int = 0
    userlist: list[str] = msgspec.field(default_factory=list)
    partylist: list[int] = msgspec.field(default_factory=list)


@api("tag/create", "POST", Tag)
def tag_create(call: Call, request: Tag) -> dict[str, Any]:
    may_write(call)
    _check_name(call, request.tagname)
    number, highest = call.db.execute("select count(*), coalesce(max(tagid), 0) from address_tag").fetchone()
    if number >= MOST:
        raise WeComError(45009, f"{MOST} tags")
    tagid = highest + 1 if request.tagid is None else request.tagid
    if tagid < 0 or call.db.execute("select 1 from address_tag where tagid = ?", [tagid]).fetchone():
        raise WeComError(40068)
    call.db.execute("insert into address_tag (tagid, name) values (?, ?)", [tagid, request.tagname])
    return {"errmsg": "created", "tagid": tagid}


@api("tag/update", "POST", Tag)
def tag_update(call: Call, request: Tag) -> dict[str, Any]:
    row = _tag(call, request.tagid)
    _check_name(call, request.tagname, but=row["tagid"])
    call.db.execute("update address_tag set name = ? where tagid = ?", [request.tagname, row["tagid"]])
    return {"errmsg": "updated"}


@api("tag/delete", "GET", Tag)
def tag_delete(call: Call, request: Tag) -> dict[str, Any]:
    row = _tag(call, request.tagid)
    for table in ("address_tag", "address_tag_member", "address_tag_department"):
        call.db.execute(f"delete from {table} where tagid = ?", [row["tagid"]])
    return {"errmsg": "deleted"}


@api("tag/get", "GET", Tag)
def tag_get(call: Call, request: Tag) -> dict[str, Any]:
    row = _tag(call, request.tagid)
    members = call.db.execute(
        "select m.userid, m.name from address_tag_member t join member m using (userid)"
        " where t.tagid = ? and m.left_at is null order by m.userid",
        [row["tagid"]],
    )
    departments = call.db.execute(
        "select department from address_tag_department where tagid = ? order by department", [row["tagid"]]
    )
    return {
        "tagname": row["name"],
        "userlist": [{"userid": one["userid"], "name": one["name"]} for one in members],
        "partylist": [one["department"] for one in departments],
    }


@api("tag/list", "GET", Tag)
def tag_list(call: Call, _request: Tag) -> dict[str, Any]:
    may_write(call)
    rows = call.db.execute("select tagid, name from address_tag order by tagid")
    return {"taglist": [{"tagid": row["tagid"], "tagname": row["name"]} for row in rows]}


@api("tag/addtagusers", "POST", Wearers)
def tag_add_users(call: Call, request: Wearers) -> dict[str, Any]:
    return _change(call, request, "insert or ignore into {table} (tagid, {column}) values (?, ?)", "Add")


@api("tag/deltagusers", "POST", Wearers)
def tag_delete_users(call: Call, request: Wearers) -> dict[str, Any]:
    return _change(call, request, "delete from {table} where tagid = ? and {column} = ?", "Del")


def _change(call: Call, request: Wearers, statement: str, word: str) -> dict[str, Any]:
    """Put it on or take it off; who is not known is named, and a call that knows nobody is refused (40070)."""
    row = _tag(call, request.tagid)
    if not request.userlist and not request.partylist:
        raise WeComError(40063, "userlist and partylist")
    if len(request.userlist) > MOST_MEMBERS or len(request.partylist) > MOST_DEPARTMENTS:
        raise WeComError(40058, f"{MOST_MEMBERS} members, {MOST_DEPARTMENTS} departments")
    members = _known(call, "select userid from member where userid = ? and left_at is null", request.userlist)
    departments = _known(call, "select id from department where id = ?", request.partylist)
    if not members and not departments:
        raise WeComError(40070)
    for table, column, values in (
        ("address_tag_member", "userid", members),
        ("address_tag_department", "department", departments),
    ):
        sql = statement.format(table=table, column=column)
        call.db.executemany(sql, [(row["tagid"], one) for one in values])
    told: dict[str, events.Value] = {"TagId": row["tagid"]}
    told |= {f"{word}UserItems": ",".join(members)} if members else {}
    told |= {f"{word}PartyItems": ",".join(map(str, departments))} if departments else {}
    events.queue_of_api(call.state, call.db, EVENT, "update_tag", told)
    unknown = [one for one in request.userlist if one.lower() not in {known.lower() for known in members}]
    nowhere = [one for one in request.partylist if one not in departments]
    found: dict[str, Any] = {"invalidlist": "|".join(unknown)} if unknown else {}
    return found | ({"invalidparty": nowhere} if nowhere else {})


def _known(call: Call, query: str, values: list[Any]) -> list[Any]:
    rows = [call.db.execute(query, [one]).fetchone() for one in dict.fromkeys(values)]
    return [row[0] for row in rows if row is not None]


def _tag(call: Call, tagid: int | None) -> sqlite3.Row:
    may_write(call)
    row: sqlite3.Row | None = call.db.execute("select * from address_tag where tagid = ?", [tagid]).fetchone()
    if row is None:
        raise WeComError(40068)
    return row


def _check_name(call: Call, name: str, but: int | None = None) -> None:
    if not name:
        raise WeComError(40063, "tagname")
    if len(name) > LONGEST_NAME:
        raise WeComError(40072)
    row = call.db.execute("select tagid from address_tag where name = ?", [name]).fetchone()
    if row is not None and row["tagid"] != but:
        raise WeComError(40071)
