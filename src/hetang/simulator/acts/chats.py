"""What happens in customer groups: made, joined, left, renamed, dissolved, written in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from hetang.simulator import chats
from hetang.simulator.administration import Running, admin, convert
from hetang.simulator.errors import AdminError

_SCENES = {"invited": chats.INVITED, "link": chats.BY_LINK, "code": chats.BY_CODE}


class NewChat(msgspec.Struct):
    owner: str
    name: str = ""
    members: list[str] = msgspec.field(default_factory=list)


class Joining(msgspec.Struct):
    chat_id: str
    userids: list[str]
    how: Literal["invited", "link", "code"] = "invited"
    invitor: str = ""
    state: str = ""


class Leaving(msgspec.Struct):
    chat_id: str
    userids: list[str]
    removed: bool = False


class Change(msgspec.Struct):
    chat_id: str
    name: str | None = None
    notice: str | None = None
    owner: str | None = None
    admins: list[str] | None = None


class Speaking(msgspec.Struct):
    chat_id: str
    userid: str
    times: int = 1


class One(msgspec.Struct):
    chat_id: str


@admin("chat_create")
def chat_create(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{owner, name?, members?: [userid or external_userid]}`: a member makes a group. Answers `{chat_id}`."""
    wanted = convert(body, NewChat)
    with running.state.transaction() as db:
        chat = chats.create(running.state, db, wanted.owner, wanted.name)
        chat.join(wanted.members, chats.INVITED, chat.row["owner"])
    running.state.notify()
    return {"chat_id": chat.chat_id}


@admin("chat_join")
def chat_join(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, userids, how: invited | link | code, invitor?, state?}`. Answers `{joined}`."""
    wanted = convert(body, Joining)
    with running.state.transaction() as db:
        chat = chats.find(running.state, db, wanted.chat_id)
        joined = chat.join(wanted.userids, _SCENES[wanted.how], wanted.invitor, wanted.state)
    running.state.notify()
    return {"joined": joined}


@admin("chat_leave")
def chat_leave(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, userids, removed?}`: people leave, or are removed by the owner. Answers `{left}`."""
    wanted = convert(body, Leaving)
    with running.state.transaction() as db:
        chat = chats.find(running.state, db, wanted.chat_id)
        left = chat.leave(wanted.userids, chats.REMOVED if wanted.removed else chats.LEFT)
    running.state.notify()
    return {"left": left}


@admin("chat_change")
def chat_change(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, name?, notice?, owner?, admins?}`: told one by one; who administers is not told."""
    wanted = convert(body, Change)
    with running.state.transaction() as db:
        chat = chats.find(running.state, db, wanted.chat_id)
        if wanted.name is not None:
            chat.change("change_name", name=wanted.name)
        if wanted.notice is not None:
            chat.change("change_notice", notice=wanted.notice)
        if wanted.owner is not None:
            if not chat.holds(wanted.owner) or chats.kind_of(db, wanted.owner) != 1:
                raise AdminError(409, "the new owner must be a member in the group")
            chat.change("change_owner", owner=wanted.owner)
        if wanted.admins is not None:
            known = msgspec.json.encode([one for one in wanted.admins if chat.holds(one)]).decode()
            db.execute("update chat set admins = ? where chat_id = ?", [known, wanted.chat_id])
    running.state.notify()
    return {}


@admin("chat_dismiss")
def chat_dismiss(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id}`: the owner dissolves the group."""
    with running.state.transaction() as db:
        chats.find(running.state, db, convert(body, One).chat_id).dismiss()
    running.state.notify()
    return {}


@admin("chat_speak")
def chat_speak(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id, userid, times?}`: somebody writes into the group. No event; the day's statistics count it."""
    wanted = convert(body, Speaking)
    with running.state.transaction() as db:
        chats.find(running.state, db, wanted.chat_id).speak(wanted.userid, wanted.times)
    return {}


@admin("opengid")
def opengid(running: Running, body: dict[str, Any]) -> dict[str, Any]:
    """`{chat_id}`: the id under which a mini-program opened from this group knows it."""
    with running.state.transaction() as db:
        return {"opengid": chats.opengid(chats.find(running.state, db, convert(body, One).chat_id).chat_id)}
