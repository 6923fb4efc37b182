"""What one person or one member does, with its callbacks: add, accept, delete, write."""

from __future__ import annotations

from typing import Any

import msgspec

from hetang.simulator import friendships, welcome
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError
from hetang.simulator.friendships import Meeting


class Pair(msgspec.Struct):
    userid: str
    external_userid: str


class Relate(Pair):
    action: str
    state: str = ""
    add_way: int = 1


class AddByPhone(Pair):
    by: str = "staff"
    accept: bool = True


@admin("relate")
def relate(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{action: add | add_half | delete_by_customer | delete_by_staff, userid, external_userid, state?, add_way?}`.

    Answers the welcome code that the event carries, or "".
    """
    wanted = convert(body, Relate)
    state, pair, code = running.state, (wanted.userid, wanted.external_userid), ""
    meeting = Meeting(*pair, add_way=wanted.add_way, state=wanted.state)
    with state.transaction() as db:
        if wanted.action == "add":
            code = friendships.befriend(state, db, meeting)
        elif wanted.action == "add_half":
            code = friendships.befriend_half(state, db, meeting)
        elif wanted.action == "delete_by_customer":
            friendships.delete_by_customer(state, db, *pair)
        elif wanted.action == "delete_by_staff":
            friendships.delete_by_staff(state, db, *pair)
        else:
            raise AdminError(400, "action must be one of add, add_half, delete_by_customer, delete_by_staff")
    state.notify()
    return {"welcome_code": code}


@admin("add_by_phone")
def add_by_phone(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, by: staff | customer, accept?}`: one searches the other's mobile number and asks.

    With `accept` (the default) the other accepts at once; else `accept` does it later.
    """
    wanted = convert(body, AddByPhone)
    state = running.state
    meeting = Meeting(wanted.userid, wanted.external_userid, add_way=2, by_customer=wanted.by == "customer")
    with state.transaction() as db:
        friendships.ask(state, db, meeting)
        code = friendships.accept(state, db, wanted.userid, wanted.external_userid) if wanted.accept else ""
    state.notify()
    return {"accepted": wanted.accept, "welcome_code": code}


@admin("accept")
def accept(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid}`: who was asked accepts, or the member adds back who is half in."""
    wanted = convert(body, Pair)
    with running.state.transaction() as db:
        code = friendships.accept(running.state, db, wanted.userid, wanted.external_userid)
    running.state.notify()
    return {"welcome_code": code}


class Note(Pair):
    remark: str | None = None
    description: str | None = None
    own_tags: list[str] | None = None


@admin("note")
def note(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, remark?, description?, own_tags?}`: the member writes down something in the client."""
    wanted = convert(body, Note)
    tags = None if wanted.own_tags is None else msgspec.json.encode(wanted.own_tags).decode()
    state, pair = running.state, (wanted.userid, wanted.external_userid)
    with state.transaction() as db:
        changed = db.execute(
            "update relation set remark = coalesce(?, remark), description = coalesce(?, description),"
            f" own_tags = coalesce(?, own_tags) where userid = ? and external_userid = ?"
            f" and {friendships.VISIBLE_SQL}",
            [wanted.remark, wanted.description, tags, *pair],
        ).rowcount
        if not changed:
            raise AdminError(404, "there is no such friendship")
        friendships.queue_pair(state, db, "edit_external_contact", *pair)
    state.notify()
    return {}


@admin("agree_to_archive")
def agree_to_archive(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid}`: the customer agrees to the chat archive; the event carries a new welcome code."""
    wanted = convert(body, Pair)
    state, pair = running.state, (wanted.userid, wanted.external_userid)
    with state.transaction() as db:
        row = friendships.relation(db, *pair)
        if row is None or row["state"] != "full":
            raise AdminError(404, "there is no such friendship")
        code = welcome.issue(state, db, *pair)
        friendships.queue_pair(state, db, "msg_audit_approved", *pair, WelcomeCode=code)
    state.notify()
    return {"welcome_code": code}
