"""Members who come, leave and get another userid, with the events of the address book (reference 24.8)."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from hetang.simulator import events
from hetang.simulator.acts.seeding import Member, put_members
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError
from hetang.simulator.state import State

EVENT = "change_contact"
# What changes and what the event calls it; "" where it says nothing.
_COLUMNS = {"name": "Name", "position": "Position", "status": "Status", "customer_contact": "", "own_welcome": ""}


class Rename(msgspec.Struct):
    userid: str
    new_userid: str


class Change(msgspec.Struct):
    userid: str
    name: str | None = None
    departments: list[int] | None = None
    leads: list[int] | None = None
    status: int | None = None
    position: str | None = None
    customer_contact: bool | None = None
    own_welcome: bool | None = None


class One(msgspec.Struct):
    userid: str


@admin("staff_joins")
def staff_joins(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """A `Member` as in `staff`, with the event `create_user`."""
    member = convert(body, Member)
    state = running.state
    with state.transaction() as db:
        if db.execute("select 1 from member where userid = ? and left_at is null", [member.userid]).fetchone():
            raise AdminError(409, "this userid is taken")
        put_members(db, [member])
        db.execute("update member set left_at = null where userid = ?", [member.userid])
        fields = {"UserID": member.userid, "Name": member.name, "Department": _numbers(member.departments)}
        fields["IsLeaderInDept"] = _numbers([int(one in member.leads) for one in member.departments])
        events.queue(state, db, EVENT, "create_user", {**fields, "Status": member.status})
    state.notify()
    return {}


@admin("staff_changes")
def staff_changes(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, name?, departments?, leads?, status?, position?, customer_contact?, own_welcome?}`, with `update_user`.

    The platform tells names, departments (with `leads`, those of them that he leads), status and positions; that the
    right to serve customers changed, it does not. Status 1 is active, 2 disabled.
    """
    change = convert(body, Change)
    state = running.state
    with state.transaction() as db:
        _present(db, change.userid)
        told = change_member(db, change)
        if len(told) > 1:
            events.queue(state, db, EVENT, "update_user", told)
    state.notify()
    return {}


def change_member(db: sqlite3.Connection, change: Change) -> dict[str, events.Value]:
    """Write what changed of a member; returns what the event says of it."""
    told: dict[str, events.Value] = {"UserID": change.userid}
    for column, name in _COLUMNS.items():
        value = getattr(change, column)
        if value is not None:
            db.execute(f"update member set {column} = ? where userid = ?", [value, change.userid])
            told |= {name: value} if name else {}
    if change.departments is not None:
        led = change.leads or []
        db.execute("delete from member_department where userid = ?", [change.userid])
        rows = ((change.userid, department, department in led) for department in change.departments)
        db.executemany("insert into member_department (userid, department, leads) values (?, ?, ?)", rows)
        told["Department"] = _numbers(change.departments)
        told["IsLeaderInDept"] = _numbers([int(department in led) for department in change.departments])
    return told


@admin("staff_leaves")
def staff_leaves(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid}`: he is deleted from the address book; his customers and groups wait to be handed over."""
    userid = convert(body, One).userid
    state = running.state
    with state.transaction() as db:
        _present(db, userid)
        remove_member(state, db, userid)
        events.queue(state, db, EVENT, "delete_user", {"UserID": userid})
    state.notify()
    return {}


def remove_member(state: State, db: sqlite3.Connection, userid: str) -> None:
    """He has left: no department is his, his groups wait to be handed over."""
    db.execute("update member set status = 5, left_at = ? where userid = ?", [state.now(), userid])
    db.execute("delete from member_department where userid = ?", [userid])
    db.execute("update chat set status = 1 where owner = ? and dismissed_at is null", [userid])


@admin("staff_renamed")
def staff_renamed(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, new_userid}`: everything that hangs on the old userid hangs on the new one."""
    wanted = convert(body, Rename)
    state = running.state
    with state.transaction() as db:
        _present(db, wanted.userid)
        if db.execute("select 1 from member where userid = ?", [wanted.new_userid]).fetchone():
            raise AdminError(409, "the new userid is taken")
        for table, column in _columns_of_members(db):
            db.execute(f"update {table} set {column} = ? where {column} = ?", [wanted.new_userid, wanted.userid])
        fields = {"UserID": wanted.userid, "NewUserID": wanted.new_userid}
        events.queue(state, db, EVENT, "update_user", fields)
    state.notify()
    return {}


def _columns_of_members(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """(table, column) of every column that holds userids."""
    names = ("userid", "owner", "handover", "takeover", "invitor")
    tables = [row[0] for row in db.execute("select name from sqlite_master where type = 'table'")]
    columns = ((table, row[1]) for table in tables for row in db.execute(f"pragma table_info({table})").fetchall())
    return [(table, column) for table, column in columns if column in names]


def _present(db: sqlite3.Connection, userid: str) -> None:
    if not db.execute("select 1 from member where userid = ? and left_at is null", [userid]).fetchone():
        raise AdminError(404, "there is no such member")


def _numbers(departments: list[int]) -> str:
    return ",".join(map(str, departments))
